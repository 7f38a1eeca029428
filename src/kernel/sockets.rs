//! The sockets to the front ends, and how messages are taken from a socket and put into one.

use super::connection::Connection;
use zmq::{Context, DONTWAIT, Error, Message, SNDMORE, Socket, SocketType};

/// A message as it came: its frames are moved, never copied.
pub type Frames = Vec<Message>;

/// After these many messages of one socket the others have their turn.
pub const TURN: usize = 100;
/// What a front end that does not read may make us keep, in messages.
const MOST_KEPT: i32 = 100_000;

/// Where the front ends connect to. A heartbeat is answered by a thread of its own, whatever the
/// others wait for; it ends with the context.
pub struct Front {
    /// Requests that change the notebook's state.
    pub shell: Socket,
    /// Requests that must not wait behind a cell.
    pub control: Socket,
    /// What the child asks the user.
    pub stdin: Socket,
    /// Outputs. An XPUB: it tells of each subscription.
    pub iopub: Socket,
}

impl Front {
    /// Binds all five ports of the connection.
    pub fn bind(context: &Context, connection: &Connection) -> zmq::Result<Front> {
        let socket = |kind: SocketType, port: u16| -> zmq::Result<Socket> {
            let socket = context.socket(kind)?;
            // What was said last, the reply to a shutdown, still goes out.
            socket.set_linger(1000)?;
            socket.set_ipv6(connection.ip.contains(':'))?;
            if kind == SocketType::ROUTER {
                // One client that does not read must not stop the others.
                socket.set_sndhwm(0)?;
                socket.set_rcvhwm(0)?;
                // A client that comes back before its old connection is known to be dead.
                socket.set_router_handover(true)?;
            } else {
                socket.set_sndhwm(MOST_KEPT)?;
                // Also when somebody else has subscribed to the same.
                socket.set_xpub_verbose(true)?;
            }
            socket.bind(&connection.endpoint(port))?;
            Ok(socket)
        };
        let heartbeat = socket(SocketType::ROUTER, connection.hb_port)?;
        let front = Front {
            shell: socket(SocketType::ROUTER, connection.shell_port)?,
            control: socket(SocketType::ROUTER, connection.control_port)?,
            stdin: socket(SocketType::ROUTER, connection.stdin_port)?,
            iopub: socket(SocketType::XPUB, connection.iopub_port)?,
        };
        std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || {
                // Ends with an error when the context does, and for no other reason but a signal.
                while zmq::proxy(&heartbeat, &heartbeat) == Err(Error::EINTR) {}
            })
            .map_err(|_| Error::EMTHREAD)?;
        Ok(front)
    }
}

/// The next message of a socket; `None` when there is none yet.
pub fn receive(socket: &Socket) -> Option<Frames> {
    let mut frames = Frames::new();
    loop {
        match socket.recv_msg(DONTWAIT) {
            Ok(frame) => {
                let more = frame.get_more();
                frames.push(frame);
                if !more {
                    return Some(frames);
                }
            }
            Err(Error::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Gives `each` the messages of one turn of a socket that `has` some; whether there were any.
pub fn drain(socket: &Socket, has: bool, mut each: impl FnMut(Frames)) -> bool {
    let mut any = false;
    for _ in 0..if has { TURN } else { 0 } {
        let Some(frames) = receive(socket) else { break };
        any = true;
        each(frames);
    }
    any
}

/// Sends a message without waiting. Where nobody is to receive it, it is lost, as ZeroMQ has it.
pub fn send(socket: &Socket, frames: impl IntoIterator<Item = impl Into<Message>>) {
    let mut frames = frames.into_iter().map(Into::into).peekable();
    while let Some(frame) = frames.next() {
        let more = if frames.peek().is_some() { SNDMORE } else { 0 };
        if socket.send(frame, DONTWAIT | more).is_err() {
            return;
        }
    }
}
