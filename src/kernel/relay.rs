//! The loop: who waits for what, and what is done when it comes.

use super::after_death;
use super::child::{Child, Launch, milliseconds_until};
use super::connection::Connection;
use super::limit_watch::LimitWatch;
use super::link::{self, Link};
use super::memory::MemoryWatch;
use super::message::{Author, Parent as Asked};
use super::private_folder::PrivateFolder;
use super::requests::{Channel, Requests};
use super::sockets::{Frames, Front, TURN};
use super::torn;
use super::watched::{Parent, Signals};
use super::wire::{Envelope, Fault, Signer};
use crate::error::{Error, Result};
use crate::process::OutOfMemory;
use crate::report::Death;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};
use zmq::{Context, POLLIN, PollItem};

/// Names our own requests to a child: their replies go no further.
const NUDGE: &[u8] = b"memprofile-nudge";
/// Between two of them, while the child has not said anything.
const NUDGE_EVERY: Duration = Duration::from_millis(100);
/// A cell that ends before that is not looked at: its outputs would wait for the look.
const SHORT: Duration = Duration::from_millis(5);
/// Outputs of a cell are passed on together that come within this time: each alone would wake four threads,
/// whose time the cell has to do without. Its reply takes along what came before it.
const GATHER: Duration = Duration::from_millis(10);
/// After SIGTERM, until SIGKILL.
const PATIENCE: Duration = Duration::from_millis(500);
/// A child that dies before this age and has run no cell is likely to die again.
const YOUNG: Duration = Duration::from_secs(10);

/// Runs a kernel until it is shut down; the result is the exit code for the process.
///
/// `command` starts a child: a program and its arguments, to which `-f FILE` is added.
///
/// # Errors
///
/// When the connection file cannot be used, a port cannot be bound, or a child cannot be started.
pub fn run(connection_file: &Path, command: Vec<OsString>) -> Result<i32> {
    // A signal goes to the main thread if that takes it. It does nothing else than wait, so no call
    // of ZeroMQ is ever cut short. And this thread lasts: a child is ended when who started it is.
    std::thread::scope(|scope| {
        let relay = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn_scoped(scope, || Relay::start(connection_file, command)?.run())
            .map_err(|error| failed("start a thread", error))?;
        relay.join().unwrap_or_else(|_| Err(failed("go on", "a panic, of which see above")))
    })
}

pub(super) fn failed(what: &str, reason: impl ToString) -> Error {
    Error::Kernel { what: what.to_owned(), reason: reason.to_string() }
}

/// What is known of the child of the moment.
#[derive(Debug)]
pub(super) struct State {
    /// It has been heard: what it publishes reaches us.
    pub(super) ready: bool,
    /// When the next nudge is due.
    nudge: Instant,
    started: Instant,
}

impl State {
    pub(super) fn new() -> State {
        let now = Instant::now();
        State { ready: false, nudge: now, started: now }
    }

    pub(super) fn is_young(&self) -> bool {
        self.started.elapsed() < YOUNG
    }
}

/// What the loop does something about. A socket that has nothing is not asked: asking costs more than
/// passing a message on.
struct Came {
    parent_gone: bool,
    child_gone: bool,
    /// Somebody wants us to end.
    end: bool,
    /// In the order in which they are heard.
    child: Sockets,
    front: Sockets,
}

/// Which of the four sockets of one side: of the child's IOPub, stdin, shell and control; of ours to the
/// front ends IOPub, control, stdin and shell.
pub(super) type Sockets = [bool; 4];
pub(super) const ALL: Sockets = [true; 4];

pub(super) struct Relay {
    context: Context,
    pub(super) front: Front,
    signer: Signer,
    pub(super) author: Author,
    pub(super) requests: Requests,
    pub(super) launch: Launch,
    pub(super) folder: PrivateFolder,
    signals: Signals,
    parent: Parent,
    pub(super) child: Child,
    pub(super) state: State,
    pub(super) memory: MemoryWatch,
    pub(super) limit: LimitWatch,
    pub(super) out_of_memory: OutOfMemory,
    /// What became of a child while no cell ran: the next cell tells it.
    pub(super) notice: Option<Death>,
    /// When it is time to see again whether a cell is to be shown.
    pub(super) live_due: Instant,
    /// Until when outputs are gathered.
    gathers_until: Instant,
    pub(super) generation: u32,
    pub(super) failures: u32,
    /// A front end has asked for the end.
    pub(super) shutdown: bool,
    dropped: u64,
}

impl Relay {
    fn start(connection_file: &Path, command: Vec<OsString>) -> Result<Relay> {
        let connection = Connection::read(connection_file)?;
        let signer = Signer::new(&connection.key);
        let author = Author::new(signer.clone()).map_err(|e| failed("name its session", e))?;
        let signals = Signals::handle().map_err(|e| failed("handle signals", e))?;
        let parent = Parent::watch().map_err(|e| failed("watch its parent", e))?;
        let context = Context::new();
        let front = Front::bind(&context, &connection).map_err(|e| failed("bind its ports", e))?;
        let folder = PrivateFolder::make().map_err(|e| failed("make a private folder", e))?;
        let file_name = connection_file.file_name().map(ToOwned::to_owned).unwrap_or_default();
        let launch = Launch { command, file_name, connection };
        let child = Child::start(&launch, &folder, 1).map_err(|e| failed("start Python", e))?;
        Ok(Relay {
            context,
            front,
            signer,
            author,
            requests: Requests::default(),
            launch,
            folder,
            signals,
            parent,
            memory: MemoryWatch::of(child.pid()),
            limit: LimitWatch::new(),
            out_of_memory: OutOfMemory::watch(child.pid()),
            notice: None,
            live_due: Instant::now(),
            gathers_until: Instant::now(),
            child,
            state: State::new(),
            generation: 1,
            failures: 0,
            shutdown: false,
            dropped: 0,
        })
    }

    fn run(mut self) -> Result<i32> {
        loop {
            let came = self.wait();
            // The child first: what it has said of a request goes out before we speak of it.
            self.hear_child(came.child);
            if came.end && self.signals.take_end() || came.parent_gone {
                self.child.end(PATIENCE).map_err(|e| failed("end Python", e))?;
                // It may have ended the cell itself.
                self.child.last_words();
                while self.hear_child(ALL) {}
                self.end_shown();
                return Ok(self.leave(1));
            }
            if came.child_gone
                && let Some(code) = self.child_gone()?
            {
                return Ok(self.leave(code));
            }
            self.hear_front(came.front);
            self.say_busy();
            self.nudge();
            self.show_live();
            if self.looks_due().is_some_and(|due| due <= Instant::now())
                && let Some(request) = self.requests.running()
            {
                self.memory.look(&request.header);
                self.limit.look(&self.child, request.id());
            }
        }
    }

    /// Waits until what was said last has gone out, as long as the sockets linger.
    fn leave(self, code: i32) -> i32 {
        let Relay { mut context, front, child, dropped, .. } = self;
        if dropped > 0 {
            eprintln!("memprofile kernel: dropped {dropped} messages in all");
        }
        drop((front, child));
        if let Err(error) = context.destroy() {
            eprintln!("memprofile kernel: ZeroMQ did not end: {error}");
        }
        code
    }

    /// Waits until there is something to do.
    fn wait(&self) -> Came {
        let nudge = (!self.state.ready).then_some(self.state.nudge);
        let busy = self.requests.silent_until().filter(|_| self.state.ready);
        let times = nudge.into_iter().chain(busy).chain(self.looks_due()).chain(self.live_due());
        let (child, front) = (&self.child, &self.front);
        let links = [&child.iopub, &child.stdin, &child.shell, &child.control];
        let mut sockets = vec![&front.iopub, &front.control, &front.stdin];
        // Not before the child can be heard: what it said of a request would be lost.
        sockets.extend(self.state.ready.then_some(&front.shell));
        let had: Vec<bool> = sockets.iter().map(|socket| socket.has_message(false)).collect();
        let retries = links.iter().filter_map(|link| link.retry());
        let gathers = self.requests.owe_reply() && self.gathers_until > Instant::now();
        let gathered = gathers.then_some(self.gathers_until);
        let timeout = match times.chain(retries).chain(gathered).min() {
            _ if had.contains(&true) => 0,
            None => -1,
            Some(time) => milliseconds_until(time),
        };
        let mut items = vec![self.parent.gone(), child.gone(), self.signals.end()];
        items.extend(links.map(Link::stirs));
        if gathers {
            // Of a negative number, poll says nothing.
            items[3] = PollItem::from_fd(-1, POLLIN);
        }
        items.extend(sockets.iter().map(|socket| socket.stirs()));
        let polled = zmq::poll(&mut items, timeout).is_ok();
        let stirs = |at: usize| {
            let item = items.get(at).filter(|_| polled);
            item.is_some_and(|item| !item.get_revents().is_empty())
        };
        let now = Instant::now();
        let heard = |at: usize| stirs(3 + at) || links[at].retry().is_some_and(|at| at <= now);
        let [_, stdin, shell, control] = [0, 1, 2, 3].map(heard);
        let iopub = heard(0) || gathers && (stdin || shell || control);
        let has = |at: usize| {
            let stirred = stirs(7 + at);
            had.get(at).is_some_and(|had| *had || stirred && sockets[at].has_message(true))
        };
        Came {
            parent_gone: stirs(0),
            child_gone: stirs(1),
            end: stirs(2),
            child: [iopub, stdin, shell, control],
            front: [0, 1, 2, 3].map(has),
        }
    }

    /// When the memory of the child is to be looked at; `None` while no cell runs.
    fn looks_due(&self) -> Option<Instant> {
        Some(self.memory.due().max(self.requests.running_since()? + SHORT))
    }

    /// Passes on what the child has said on these; whether there was anything.
    pub(super) fn hear_child(&mut self, [iopub, stdin, shell, control]: Sockets) -> bool {
        let Relay { child, front, requests, state, author, signer, notice, generation, .. } = self;
        let is_first = *generation == 1;
        if iopub {
            self.gathers_until = Instant::now() + GATHER;
        }
        let mut any = hear(&mut child.iopub, iopub, |frames| {
            if !std::mem::replace(&mut state.ready, true) && !is_first {
                let idle = json!({ "execution_state": "idle" });
                front.iopub.send(author.publish("status", None, &idle));
            }
            if passes(requests, &frames, author.session(), is_first) {
                front.iopub.send(frames);
            }
            if let Some(parent) = requests.take_begun()
                && let Some(death) = notice.take()
            {
                let shown = after_death::shown(&death, None);
                front.iopub.send(author.publish("display_data", Some(&parent), &shown));
            }
        });
        let mut torn = 0;
        any |= hear(&mut child.stdin, stdin, |frames| {
            if let Some(asked) = torn::whole(frames, requests, signer, &mut torn) {
                front.stdin.send(asked);
            }
        });
        let replies = [
            (&mut child.shell, shell, &front.shell),
            (&mut child.control, control, &front.control),
        ];
        for (from, has, to) in replies {
            any |= hear(from, has, |frames| {
                if frames.first().is_some_and(|identity| **identity == *NUDGE) {
                    return;
                }
                let Some(frames) = torn::whole(frames, requests, signer, &mut torn) else { return };
                if let Some(parent) = Envelope::open(&frames).ok().and_then(|e| e.parent()) {
                    for lost in requests.take_lost(&parent.msg_id) {
                        to.send(torn::reply(author, &lost, requests.last_count()));
                    }
                    requests.replied(&parent.msg_id);
                }
                to.send(frames);
            });
        }
        for _ in 0..torn {
            self.drop_message(Fault::Torn);
        }
        any
    }

    /// Takes what the front ends ask on these.
    fn hear_front(&mut self, [iopub, control, stdin, shell]: Sockets) {
        let turn = |has: bool| 0..if has { TURN } else { 0 };
        for _ in turn(iopub) {
            let Some(frames) = self.front.iopub.receive() else { break };
            self.welcome(&frames);
        }
        for _ in turn(control) {
            let Some(frames) = self.front.control.receive() else { break };
            self.request(frames, Channel::Control);
        }
        for _ in turn(stdin) {
            let Some(frames) = self.front.stdin.receive() else { break };
            match self.signer.verify_frames(&frames) {
                Ok(_) => self.child.stdin.send(&frames),
                Err(fault) => self.drop_message(fault),
            }
        }
        for _ in turn(shell) {
            let Some(frames) = self.front.shell.receive() else { break };
            self.request(frames, Channel::Shell);
        }
    }

    /// Answers a subscription, as a stock kernel does: who gets this gets all that comes after it.
    fn welcome(&mut self, frames: &Frames) {
        for frame in frames {
            let Some((1, topic)) = frame.split_first() else { continue };
            let Ok(subscription) = std::str::from_utf8(topic) else { continue };
            let identity = Some(topic).filter(|topic| !topic.is_empty());
            let content = json!({ "subscription": subscription });
            let welcome = self.author.write(identity.as_slice(), "iopub_welcome", None, &content);
            self.front.iopub.send(welcome);
        }
    }

    /// Passes a request on, or answers it.
    fn request(&mut self, frames: Frames, channel: Channel) {
        let signed = self.signer.verify_frames(&frames);
        let opened = signed.and_then(|envelope| Ok((envelope.header()?, envelope)));
        let (header, envelope) = match opened {
            Ok(opened) => opened,
            Err(fault) => return self.drop_message(fault),
        };
        match (channel, &*header.msg_type) {
            (Channel::Control, "interrupt_request") => {
                let asked = envelope.parts[0].to_vec();
                let identities: Vec<Vec<u8>> =
                    envelope.identities.iter().map(|i| i.to_vec()).collect();
                return self.interrupt(&identities, &asked);
            }
            (_, "shutdown_request") => self.shutdown = true,
            _ => {}
        }
        // The child's time goes by while we take note: what it says of it is heard later.
        match channel {
            Channel::Shell => self.child.shell.send(&frames),
            Channel::Control => self.child.control.send(&frames),
        }
        self.requests.forwarded(&envelope, &header, channel);
        self.gathers_until = Instant::now() + GATHER;
    }

    fn drop_message(&mut self, fault: Fault) {
        self.dropped += 1;
        if self.dropped == 1 {
            eprintln!(
                "memprofile kernel: dropped a message that {fault}; others will only be counted"
            );
        }
    }

    /// Interrupts by a signal: the child's own control thread would wait for the interpreter.
    fn interrupt(&mut self, identities: &[Vec<u8>], asked: &[u8]) {
        let content = match self.child.interrupt() {
            Ok(()) => json!({ "status": "ok" }),
            Err(error) => json!({
                "status": "error", "ename": "OSError", "evalue": error.to_string(), "traceback": [],
            }),
        };
        self.publish_state("busy", Some(asked));
        let reply = self.author.write(identities, "interrupt_reply", Some(asked), &content);
        self.front.control.send(reply);
        self.publish_state("idle", Some(asked));
    }

    /// Says in the child's place that a cell runs, when native code does not let it.
    fn say_busy(&mut self) {
        if self.state.ready && self.requests.silent_until().is_some_and(|at| at <= Instant::now()) {
            let Some(request) = self.requests.running() else { return };
            request.busy.take_over();
            let header = request.header.clone();
            self.publish_state("busy", Some(&header));
        }
    }

    /// Asks a child that has not been heard to say something: up to version 6, ipykernel does not
    /// greet who subscribes.
    fn nudge(&mut self) {
        if self.state.ready || self.state.nudge > Instant::now() {
            return;
        }
        self.state.nudge = Instant::now() + NUDGE_EVERY;
        let nudge = self.author.write(&[NUDGE], "kernel_info_request", None, &json!({}));
        self.child.control.send(&nudge);
    }

    /// Publishes `status`: `busy`, `idle` or `starting`.
    pub(super) fn publish_state(&mut self, state: &str, parent: Asked<'_>) {
        self.publish("status", parent, &json!({ "execution_state": state }));
    }

    /// Shows the source of a cell that runs.
    pub(super) fn publish_input(&mut self, code: &str, count: u64, parent: Asked<'_>) {
        self.publish("execute_input", parent, &json!({ "code": code, "execution_count": count }));
    }

    pub(super) fn publish(&mut self, kind: &str, parent: Asked<'_>, content: &Value) {
        self.front.iopub.send(self.author.publish(kind, parent, content));
    }
}

/// Gives `each` what came on a link that `stirs`; whether there was anything.
fn hear(link: &mut Link, stirs: bool, mut each: impl FnMut(link::Frames)) -> bool {
    let mut any = false;
    if stirs {
        link.tend();
        while let Some(frames) = link.receive() {
            any = true;
            each(frames);
        }
    }
    any
}

/// Whether what the child publishes goes on to the front ends.
fn passes(
    requests: &mut Requests,
    frames: &link::Frames,
    own_session: &str,
    is_first: bool,
) -> bool {
    let Ok(envelope) = Envelope::open(frames) else { return true };
    let Ok(header) = envelope.header() else { return true };
    match &*header.msg_type {
        // It greets us; the front ends get a greeting of ours.
        "iopub_welcome" => false,
        "status"
        | "execute_input"
        | "display_data"
        | "update_display_data"
        | "clear_output"
        | "comm_open"
        | "comm_msg" => {
            match envelope.parent() {
                Some(parent) if parent.session == own_session => false,
                Some(parent) => requests.published(&envelope, &header, &parent.msg_id),
                // That it starts is said of all but the first child by us, and when it is there.
                None => is_first || header.msg_type != "status",
            }
        }
        _ => true,
    }
}
