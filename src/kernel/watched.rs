//! What the relay waits for besides its sockets: signals, and the end of who started us.

use rustix::process::{PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use signal_hook::{SigId, flag};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use zmq::{POLLIN, PollItem};

/// Signals. While this lives, none of them ends the process.
#[derive(Debug)]
pub struct Signals {
    /// SIGTERM or SIGHUP: somebody wants us to end.
    end: UnixStream,
    handlers: Vec<SigId>,
}

impl Signals {
    /// Handles them from now on.
    pub fn handle() -> io::Result<Signals> {
        let (end, sender) = UnixStream::pair()?;
        end.set_nonblocking(true)?;
        let handlers = vec![
            pipe::register(SIGTERM, sender.try_clone()?)?,
            pipe::register(SIGHUP, sender)?,
            // It was for the child, which is in our process group. A handler that does nothing, and
            // not "ignored": a child would inherit that.
            flag::register(SIGINT, Arc::default())?,
        ];
        Ok(Signals { end, handlers })
    }

    /// Becomes readable when somebody wants us to end.
    pub fn end(&self) -> PollItem<'_> {
        PollItem::from_fd(self.end.as_raw_fd(), POLLIN)
    }

    /// Whether somebody wanted us to end since it was asked last.
    pub fn take_end(&mut self) -> bool {
        let mut any = false;
        while self.end.read(&mut [0; 64]).is_ok_and(|read| read > 0) {
            any = true;
        }
        any
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            unregister(handler);
        }
    }
}

/// The process that started us, if it wants to be watched; Jupyter says so by `JPY_PARENT_PID`.
#[derive(Debug)]
pub struct Parent(Option<OwnedFd>);

impl Parent {
    /// Watches it from now on.
    pub fn watch() -> io::Result<Parent> {
        let wanted = std::env::var("JPY_PARENT_PID").ok().and_then(|text| text.parse::<i32>().ok());
        let parent = getppid().filter(|pid| wanted == Some(pid.as_raw_nonzero().get()));
        Ok(Parent(parent.map(|pid| pidfd_open(pid, PidfdFlags::empty())).transpose()?))
    }

    /// Becomes readable when the parent is gone; never, where it is not watched.
    pub fn gone(&self) -> PollItem<'_> {
        // Of a negative number, poll says nothing.
        PollItem::from_fd(self.0.as_ref().map_or(-1, AsRawFd::as_raw_fd), POLLIN)
    }
}

/// Has the calling process be killed when the thread that started it ends, in the process `parent`.
pub fn end_with_parent(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // What ended before that sends no signal.
    match getppid() {
        Some(pid) if pid.as_raw_nonzero().get() == parent => Ok(()),
        _ => Err(io::Error::other(format!("process {parent} did not start this one, or is gone"))),
    }
}
