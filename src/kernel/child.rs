//! The process that computes: a stock ipykernel on sockets of its own.

use super::connection::Connection;
use super::link::Link;
use super::private_folder::{self, PrivateFolder};
use crate::hooks::segment::{self, Reader};
use crate::profile::telemetry::{Telemetry, VARIABLE};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpgrp, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use zmq::{POLLIN, PollItem};

/// One identity for all of the child's sockets: it finds our stdin by that of our shell.
const IDENTITY: &[u8] = b"memprofile";
/// How long what a dead child has written may take to arrive. Only where a process that it forked
/// keeps its connections open does this pass.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What starts a child.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program and its arguments; `-f FILE` is put after them.
    pub command: Vec<OsString>,
    /// The name of the connection file: tools read the kernel's id from it.
    pub file_name: OsString,
    /// Whose key the child has.
    pub connection: Connection,
}

/// A running child.
pub struct Child {
    /// Requests that change the notebook's state.
    pub shell: Link,
    /// Requests that must not wait behind a cell.
    pub control: Link,
    /// What it asks the user.
    pub stdin: Link,
    /// Outputs.
    pub iopub: Link,
    /// What it tells of itself; `None` where the system has no memory of that kind.
    telemetry: Option<Reader>,
    process: std::process::Child,
    pidfd: OwnedFd,
    folder: PathBuf,
}

impl Child {
    /// Starts the `generation`th child.
    pub fn start(launch: &Launch, parent: &PrivateFolder, generation: u32) -> io::Result<Child> {
        let folder = parent.subfolder(&generation.to_string())?;
        let private = launch.connection.private(&folder);
        let file = folder.join(&launch.file_name);
        private.write(&file)?;
        let link = |kind: &str, port: u16| Link::new(private.path(port), kind, IDENTITY);
        let shell = link("DEALER", private.shell_port);
        let control = link("DEALER", private.control_port);
        let stdin = link("DEALER", private.stdin_port);
        let iopub = link("SUB", private.iopub_port);
        let (program, arguments) =
            launch.command.split_first().ok_or_else(|| io::Error::other("no command was given"))?;
        let mut command = Command::new(program);
        command.args(arguments).arg("-f").arg(&file);
        // ipykernel ends when this is no longer its parent.
        command.env("JPY_PARENT_PID", std::process::id().to_string());
        let telemetry = segment::create().and_then(|segment| {
            command.env(VARIABLE, segment.as_raw_fd().to_string());
            Reader::new(segment)
        });
        if let Err(error) = &telemetry {
            eprintln!("memprofile kernel: reports after a crash will say less: {error}");
        }
        let process = command.spawn()?;
        let pidfd = pidfd_open(pid(&process)?, PidfdFlags::empty())?;
        let telemetry = telemetry.ok();
        Ok(Child { shell, control, stdin, iopub, telemetry, process, pidfd, folder })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has told of itself last, also when it is gone.
    pub fn told(&self) -> Option<Telemetry> {
        let letter = self.telemetry.as_ref()?.read().ok()??;
        Telemetry::from_letter(&letter).filter(|told| told.process == self.pid())
    }

    /// No more is asked of it. The next child must not inherit what this one writes to.
    pub fn forget(&mut self) {
        self.telemetry = None;
    }

    /// Where its connection file is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Becomes readable when the process is gone.
    pub fn gone(&self) -> PollItem<'_> {
        PollItem::from_fd(self.pidfd.as_raw_fd(), POLLIN)
    }

    /// Sends SIGINT: to the whole process group where that is ours alone, as Jupyter does, so that
    /// what a cell has started hears it too.
    pub fn interrupt(&self) -> io::Result<()> {
        if getpgrp() == getpid() {
            return Ok(kill_process_group(getpgrp(), Signal::INT)?);
        }
        self.signal(Signal::INT)
    }

    /// Sends a signal to the process alone. One that is gone gets none.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// How it ended; waits for that.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait()
    }

    /// Asks it to end, and kills it where it does not within `patience`.
    pub fn end(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + patience;
        while zmq::poll(&mut [self.gone()], milliseconds_until(deadline)) == Err(zmq::Error::EINTR)
        {
        }
        self.signal(Signal::KILL)?;
        self.wait()
    }

    /// Reads all that the dead process has written to its sockets.
    pub fn last_words(&mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        let mut links = [&mut self.iopub, &mut self.stdin, &mut self.shell, &mut self.control];
        while Instant::now() < deadline && links.iter().any(|link| link.is_open()) {
            let mut items: Vec<PollItem<'_>> = links.iter().map(|link| link.stirs()).collect();
            if zmq::poll(&mut items, milliseconds_until(deadline)).is_err() {
                return;
            }
            drop(items);
            links.iter_mut().for_each(|link| link.tend());
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Whoever forgets a child must not leave it running.
        if let Ok(None) = self.process.try_wait()
            && let Err(error) = self.process.kill().and_then(|()| self.process.wait())
        {
            eprintln!(
                "memprofile kernel: process {} could not be ended: {error}",
                self.process.id()
            );
        }
        private_folder::remove(&self.folder);
    }
}

fn pid(process: &std::process::Child) -> io::Result<Pid> {
    i32::try_from(process.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("no process id"))
}

/// For a poll: at least what is left, so that the deadline has passed when it returns.
pub fn milliseconds_until(deadline: Instant) -> i64 {
    let left = deadline.saturating_duration_since(Instant::now());
    i64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}
