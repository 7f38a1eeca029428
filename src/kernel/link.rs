//! A connection to one of the child's sockets.

use super::zmtp::{self, Decoder, GREETING};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use std::io::{ErrorKind, Write};
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zmq::{POLLIN, POLLOUT, PollItem};

/// A message of the child's.
pub type Frames = Vec<Vec<u8>>;

/// Between two tries to connect: the child is not there yet.
const RETRY: Duration = Duration::from_millis(10);
/// After these many bytes of one socket the others have their turn.
const TURN: usize = 1 << 20;
/// Room that is kept for what comes.
const ROOM: usize = 64 << 10;

/// A socket as the child's own ones take it for their other side. Nothing waits here, and nothing that was
/// sent is lost: it is kept until the child reads it.
#[derive(Debug)]
pub struct Link {
    path: PathBuf,
    /// What is said of ourselves, and what is asked for first.
    introduction: Vec<u8>,
    stream: Option<UnixStream>,
    retry: Instant,
    decoder: Decoder,
    /// What is still to be written, before which the other side must be ready.
    out: Vec<u8>,
    written: usize,
    ended: bool,
}

impl Link {
    /// To the socket at `path`, as one of this type and identity. A `SUB` is told of all.
    pub fn new(path: PathBuf, socket_type: &str, identity: &[u8]) -> Link {
        let mut out = Vec::new();
        if socket_type == "SUB" {
            zmtp::encode(&mut out, &[vec![1]]);
        }
        Link {
            path,
            introduction: [&GREETING[..], &zmtp::ready(socket_type, identity)].concat(),
            stream: None,
            retry: Instant::now(),
            decoder: Decoder::default(),
            out,
            written: 0,
            ended: false,
        }
    }

    /// When to try again to connect; `None` while it is connected, or never will be again.
    pub fn retry(&self) -> Option<Instant> {
        (self.stream.is_none() && !self.ended).then_some(self.retry)
    }

    /// Whether it is connected, so that more can come.
    pub fn is_open(&self) -> bool {
        self.stream.is_some() && !self.ended
    }

    /// Becomes readable when there is something to [`tend`](Link::tend) to.
    pub fn stirs(&self) -> PollItem<'_> {
        // Of a negative number, poll says nothing.
        let descriptor =
            self.stream.as_ref().filter(|_| self.is_open()).map_or(-1, AsRawFd::as_raw_fd);
        let writes = self.decoder.is_ready() && !self.out.is_empty();
        PollItem::from_fd(descriptor, if writes { POLLIN | POLLOUT } else { POLLIN })
    }

    /// Connects, reads and writes as far as that goes at once.
    pub fn tend(&mut self) {
        if self.retry().is_some_and(|at| at <= Instant::now()) {
            self.connect();
        }
        self.read();
        self.write();
    }

    /// The next message, of what was read.
    pub fn receive(&mut self) -> Option<Frames> {
        let was_ready = self.decoder.is_ready();
        let found = self.decoder.message().unwrap_or_else(|fault| {
            eprintln!(
                "memprofile kernel: what Python says is lost, it {fault}; restart the kernel"
            );
            self.end();
            None
        });
        if !was_ready && self.decoder.is_ready() {
            self.write();
        }
        found
    }

    /// Sends a message.
    pub fn send<F: Deref<Target = [u8]>>(&mut self, frames: &[F]) {
        if !self.ended {
            zmtp::encode(&mut self.out, frames);
            self.write();
        }
    }

    fn connect(&mut self) {
        self.retry = Instant::now() + RETRY;
        let Ok(mut stream) = UnixStream::connect(&self.path) else { return };
        // A new connection has room for these bytes.
        if stream.set_nonblocking(true).is_ok() && stream.write_all(&self.introduction).is_ok() {
            self.stream = Some(stream);
        }
    }

    fn read(&mut self) {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.ended) else { return };
        let read = &mut self.decoder.read;
        let mut taken = 0;
        while taken < TURN {
            read.reserve(ROOM);
            let room = read.capacity() - read.len();
            match rustix::io::read(&mut *stream, spare_capacity(read)) {
                Ok(0) => return self.ended = true,
                // What leaves room was all that there was.
                Ok(found) if found < room => return,
                Ok(found) => taken += found,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.ended = true,
            }
        }
    }

    fn write(&mut self) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.decoder.is_ready()) else { return };
        while self.written < self.out.len() {
            match stream.write(&self.out[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It is gone; what it has said can still be read.
                Err(_) => break,
            }
        }
        zmtp::give_back(&mut self.out);
        self.written = 0;
    }

    fn end(&mut self) {
        self.ended = true;
        self.stream = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zmq::{Context, SocketType};

    /// Waits for the next message.
    fn next(link: &mut Link) -> Frames {
        loop {
            link.tend();
            if let Some(frames) = link.receive() {
                return frames;
            }
            let timeout = if link.retry().is_some() { 1 } else { 10_000 };
            let stirs = zmq::poll(&mut [link.stirs()], timeout).expect("it can be waited for");
            assert!(stirs > 0 || link.retry().is_some(), "it did not come");
        }
    }

    /// A link to a socket of ZeroMQ's own, which is there only after the link's first try.
    fn linked(ours: &str, theirs: SocketType, name: &str) -> (Link, zmq::Socket, PathBuf) {
        let path = std::env::temp_dir().join(format!("mp-link-{}-{name}", std::process::id()));
        let mut link = Link::new(path.clone(), ours, b"me");
        link.tend();
        assert!(!link.is_open());
        let socket = Context::new().socket(theirs).expect("a socket");
        socket.set_rcvtimeo(10_000).expect("an option");
        socket.bind(&format!("ipc://{}", path.display())).expect("a free path");
        (link, socket, path)
    }

    #[test]
    fn zeromq_takes_it_for_a_dealer_of_this_identity() {
        let (mut link, router, path) = linked("DEALER", SocketType::ROUTER, "dealer");
        // Before there is a connection; larger than any buffer.
        let large = vec![7; 3 << 20];
        link.send(&[b"one".to_vec(), Vec::new(), large.clone()]);
        let wait = std::thread::spawn(move || {
            let frames = router.recv_multipart(0).expect("a message");
            router
                .send_multipart([b"me".to_vec(), large.clone(), b"two".to_vec()], 0)
                .expect("sent");
            (frames, router)
        });
        let answer = next(&mut link);
        let (frames, router) = wait.join().expect("it ended well");
        assert_eq!(frames[..3], [b"me".to_vec(), b"one".to_vec(), Vec::new()]);
        assert_eq!((frames[3].len(), answer[0].len()), (3 << 20, 3 << 20));
        assert_eq!(answer[1], b"two");
        drop(router);
        while link.is_open() {
            link.tend();
        }
        assert_eq!(link.receive(), None);
        let _ = std::fs::remove_file(path);
    }

    #[test]
    fn zeromq_takes_it_for_a_subscriber_of_all() {
        let (mut link, publisher, path) = linked("SUB", SocketType::XPUB, "sub");
        let wait = std::thread::spawn(move || {
            let subscription = publisher.recv_bytes(0).expect("a subscription");
            for n in 0..1000u32 {
                publisher
                    .send_multipart([b"topic".to_vec(), n.to_string().into()], 0)
                    .expect("sent");
            }
            (subscription, publisher)
        });
        for n in 0..1000u32 {
            assert_eq!(next(&mut link), [b"topic".to_vec(), n.to_string().into()]);
        }
        assert_eq!(wait.join().expect("it ended well").0, [1]);
        let _ = std::fs::remove_file(path);
    }
}
