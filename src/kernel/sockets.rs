//! The sockets to the front ends, and how messages are taken from a socket and put into one.

use super::connection::Connection;
use std::cell::Cell;
use std::os::fd::{AsRawFd, RawFd};
use zmq::{Context, DONTWAIT, Error, Message, POLLIN, PollItem, SNDMORE, Socket, SocketType};

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
    pub shell: Endpoint,
    /// Requests that must not wait behind a cell.
    pub control: Endpoint,
    /// What the child asks the user.
    pub stdin: Endpoint,
    /// Outputs. An XPUB: it tells of each subscription.
    pub iopub: Endpoint,
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
            shell: Endpoint::new(socket(SocketType::ROUTER, connection.shell_port)?),
            control: Endpoint::new(socket(SocketType::ROUTER, connection.control_port)?),
            stdin: Endpoint::new(socket(SocketType::ROUTER, connection.stdin_port)?),
            iopub: Endpoint::new(socket(SocketType::XPUB, connection.iopub_port)?),
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

/// A socket that is asked whether it has a message only where it may have one. To ask takes longer than to
/// pass a message on, and of the sockets one or two have something.
///
/// ZeroMQ says by a descriptor that something has happened to a socket, and says so once: any call to the
/// socket may have taken note of it (`ZMQ_FD`). So it has to be asked after each call, and else only when
/// its descriptor is readable.
pub struct Endpoint {
    socket: Socket,
    descriptor: RawFd,
    stirred: Cell<bool>,
}

impl Endpoint {
    /// Of a socket that is bound or connected.
    pub fn new(socket: Socket) -> Endpoint {
        Endpoint { descriptor: socket.as_raw_fd(), socket, stirred: Cell::new(true) }
    }

    /// Becomes readable when something has happened to it.
    pub fn stirs(&self) -> PollItem<'_> {
        PollItem::from_fd(self.descriptor, POLLIN)
    }

    /// Whether it has a message; `stirred` says that its descriptor was readable.
    pub fn has_message(&self, stirred: bool) -> bool {
        (self.stirred.replace(false) || stirred)
            && self.socket.get_events().is_ok_and(|events| events.contains(POLLIN))
    }

    /// The next message; `None` when there is none yet.
    pub fn receive(&self) -> Option<Frames> {
        let mut frames = Frames::new();
        loop {
            match self.socket.recv_msg(DONTWAIT) {
                Ok(frame) => {
                    let more = frame.get_more();
                    frames.push(frame);
                    if !more {
                        self.stirred.set(true);
                        return Some(frames);
                    }
                }
                Err(Error::EINTR) => {}
                Err(_) => {
                    // What has nothing has just looked.
                    self.stirred.set(false);
                    return None;
                }
            }
        }
    }

    /// Sends a message without waiting. Where nobody is to receive it, it is lost, as ZeroMQ has it.
    pub fn send(&self, frames: impl IntoIterator<Item = impl Into<Message>>) {
        self.stirred.set(true);
        let mut frames = frames.into_iter().map(Into::into).peekable();
        while let Some(frame) = frames.next() {
            let more = if frames.peek().is_some() { SNDMORE } else { 0 };
            if self.socket.send(frame, DONTWAIT | more).is_err() {
                return;
            }
        }
    }
}
