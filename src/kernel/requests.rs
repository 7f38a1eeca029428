//! What the front ends have asked and the child has not answered.
//!
//! If the child dies, each of these is owed an answer. And a child whose interpreter is locked by
//! native code does not even say that it is busy: its IOPub thread needs the lock. So what it has
//! said of each request is kept, and what we say in its place it does not say again.

use super::wire::{Envelope, Header};
use serde::Deserialize;
use std::collections::VecDeque;
use std::ops::Deref;
use std::time::{Duration, Instant};

/// After this long without a word of the child on the first request we say that it is busy.
const SILENCE: Duration = Duration::from_millis(300);

/// Which socket a request came by, and its reply goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Requests that change the notebook's state.
    Shell,
    /// Requests that must not wait behind a cell.
    Control,
}

/// Who has said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nobody yet.
    No,
    /// The child.
    ByChild,
    /// The supervisor, for the child.
    ByUs,
}

/// A cell, as its `execute_request` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cell {
    /// Its source.
    pub code: String,
    /// Whether it shows nothing and counts for nothing.
    #[serde(default)]
    pub silent: bool,
    /// Whether it gets a number.
    #[serde(default = "yes")]
    pub store_history: bool,
}

impl Cell {
    /// Whether it gets a number of its own.
    pub fn is_counted(&self) -> bool {
        self.store_history && !self.silent
    }
}

fn yes() -> bool {
    true
}

/// One request on its way.
#[derive(Debug)]
pub struct Request {
    /// Whom the reply is for.
    pub identities: Vec<Vec<u8>>,
    /// Its header as it came: the parent header of what answers it.
    pub header: Vec<u8>,
    /// As `execute_request`.
    pub kind: String,
    /// Where it came from.
    pub channel: Channel,
    /// What shall run, if it is an `execute_request`.
    pub cell: Option<Cell>,
    /// When it came, or became the first of its subshell.
    pub since: Instant,
    /// Who said that the kernel is busy with it.
    pub busy: Said,
    /// Who showed its source.
    pub input: Said,
    id: String,
    subshell: Option<String>,
    replied: bool,
    idle: bool,
}

impl Request {
    /// Its `msg_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether its reply has gone.
    pub fn is_replied(&self) -> bool {
        self.replied
    }

    /// The type of the message that replies to it; `None` for what gets no reply.
    pub fn reply_kind(&self) -> Option<String> {
        self.kind.strip_suffix("_request").map(|name| format!("{name}_reply"))
    }

    fn is_done(&self) -> bool {
        self.idle && (self.replied || self.reply_kind().is_none())
    }
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub struct Requests {
    open: VecDeque<Request>,
    count: u64,
    begun: Option<Vec<u8>>,
}

impl Requests {
    /// Notes a request that goes to the child.
    pub fn forwarded<F: Deref<Target = [u8]>>(
        &mut self,
        envelope: &Envelope<'_, F>,
        header: &Header<'_>,
        channel: Channel,
    ) {
        let cell = (header.msg_type == "execute_request").then(|| envelope.content::<Cell>());
        self.open.push_back(Request {
            identities: envelope.identities.iter().map(|frame| frame.to_vec()).collect(),
            header: envelope.parts[0].to_vec(),
            kind: header.msg_type.to_string(),
            channel,
            cell: cell.flatten(),
            since: Instant::now(),
            busy: Said::No,
            input: Said::No,
            id: header.msg_id.to_string(),
            subshell: header.subshell_id.as_ref().map(ToString::to_string),
            replied: false,
            idle: false,
        });
    }

    /// Notes a reply of the child.
    pub fn replied(&mut self, id: &str) {
        self.note(id, |request| request.replied = true);
    }

    /// Notes what the child publishes; says whether it passes, or has been said by us already.
    pub fn published<F: Deref<Target = [u8]>>(
        &mut self,
        envelope: &Envelope<'_, F>,
        header: &Header<'_>,
        id: &str,
    ) -> bool {
        #[derive(Deserialize)]
        struct Status<'a> {
            execution_state: &'a str,
        }
        #[derive(Deserialize)]
        struct Input {
            execution_count: u64,
        }
        let mut passes = true;
        let said = |field: &mut Said, passes: &mut bool| match field {
            Said::ByUs => *passes = false,
            field => *field = Said::ByChild,
        };
        match &*header.msg_type {
            "status" => match envelope.content().map(|s: Status<'_>| s.execution_state) {
                Some("busy") => self.note(id, |request| said(&mut request.busy, &mut passes)),
                Some("idle") => self.note(id, |request| request.idle = true),
                _ => {}
            },
            "execute_input" => {
                if let Some(input) = envelope.content::<Input>() {
                    self.count = self.count.max(input.execution_count);
                }
                let mut begun = None;
                self.note(id, |request| {
                    said(&mut request.input, &mut passes);
                    let counts = request.cell.as_ref().is_some_and(Cell::is_counted);
                    begun = counts.then(|| request.header.clone());
                });
                self.begun = begun;
            }
            _ => {}
        }
        passes
    }

    fn note(&mut self, id: &str, note: impl FnOnce(&mut Request)) {
        let Some(at) = self.open.iter().position(|request| request.id == id) else { return };
        note(&mut self.open[at]);
        if self.open[at].is_done() {
            let gone = self.open.remove(at);
            let next = |r: &&mut Request| gone.as_ref().is_some_and(|g| g.subshell == r.subshell);
            if let Some(next) = self.open.iter_mut().find(next) {
                next.since = Instant::now();
            }
        }
    }

    /// The cell that runs, or will next: the first request of the main shell, if it is a cell.
    pub fn running(&mut self) -> Option<&mut Request> {
        self.first_of_shell().and_then(|at| self.open.get_mut(at))
    }

    fn first_of_shell(&self) -> Option<usize> {
        let main = |r: &Request| r.channel == Channel::Shell && r.subshell.is_none() && !r.idle;
        self.open.iter().position(main).filter(|at| self.open[*at].cell.is_some())
    }

    /// When we shall say in the child's place that it is busy; `None` when it has said so itself.
    pub fn silent_until(&self) -> Option<Instant> {
        let first = &self.open[self.first_of_shell()?];
        (first.busy == Said::No).then(|| first.since + SILENCE)
    }

    /// The number of the last cell that the child showed.
    pub fn last_count(&self) -> u64 {
        self.count
    }

    /// All that is owed an answer by a child that is gone. The next child counts from 1.
    pub fn abandon(&mut self) -> VecDeque<Request> {
        std::mem::take(self).open
    }

    /// The header of a cell of the notebook's that the child has begun since this was asked last.
    pub fn take_begun(&mut self) -> Option<Vec<u8>> {
        self.begun.take()
    }

    /// Whether a cell runs, or will next.
    pub fn is_running(&self) -> bool {
        self.first_of_shell().is_some()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
