//! What the front ends have asked and the child has not answered.
//!
//! If the child dies, each of these is owed an answer. And a child whose interpreter is locked by
//! native code does not even say that it is busy: its IOPub thread needs the lock. So what it has
//! said of each request is kept, and what we say in its place it does not say again.

use super::wire::{Envelope, Header};
use serde::Deserialize;
use std::borrow::Cow;
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

impl Said {
    /// We say it unless it was said; whether we do.
    pub fn take_over(&mut self) -> bool {
        let ours = *self == Said::No;
        if ours {
            *self = Said::ByUs;
        }
        ours
    }
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
    /// Its source as IPython numbers its lines: without empty ones before the first.
    pub fn source(&self) -> &str {
        let empty = self.code.split_inclusive('\n').take_while(|line| line.trim().is_empty());
        &self.code[empty.map(str::len).sum()..]
    }

    /// Whether it gets a number of its own.
    pub fn is_counted(&self) -> bool {
        self.store_history && !self.silent
    }
}

fn yes() -> bool {
    true
}

/// A widget's state. While an `Output` widget takes a cell's outputs it has the id of the cell's request.
#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    comm_id: Cow<'a, str>,
    #[serde(borrow)]
    data: OutputData<'a>,
}

#[derive(Deserialize)]
struct OutputData<'a> {
    #[serde(borrow)]
    state: OutputState<'a>,
}

#[derive(Deserialize)]
struct OutputState<'a> {
    #[serde(borrow)]
    msg_id: Cow<'a, str>,
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
    /// The display that shows how it goes, as long as the front ends have it.
    pub display: Option<String>,
    cleared: bool,
    widgets: Vec<String>,
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

    /// Whether a display would stay among its outputs: it has cleared none, and no widget takes them.
    pub fn has_place(&self) -> bool {
        !self.cleared && self.widgets.is_empty()
    }

    /// Whether the child's main thread is to answer it.
    fn is_of_main(&self) -> bool {
        self.channel == Channel::Shell && self.subshell.is_none()
    }

    /// Whether it was a cell that has ended without a reply.
    fn is_lost(&self) -> bool {
        self.cell.is_some() && self.idle && !self.replied
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
            display: None,
            cleared: false,
            widgets: Vec::new(),
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

    /// Whom the reply to a request is for.
    pub fn identities(&self, id: &str) -> Option<&[Vec<u8>]> {
        let request = self.open.iter().find(|request| request.id == id)?;
        Some(&request.identities)
    }

    /// The cells whose reply will not come: the main shell has ended them without one, and now replies to `id`,
    /// which came later.
    pub fn take_lost(&mut self, id: &str) -> Vec<Request> {
        let mut lost = Vec::new();
        while let Some(first) = self.first_of_main().filter(|at| self.open[*at].is_lost())
            && self.open[first].id != id
        {
            lost.extend(self.open.remove(first));
        }
        lost
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
        #[derive(Deserialize)]
        struct Live<'a> {
            #[serde(borrow)]
            memprofile_display: Cow<'a, str>,
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
                let mut begun = None;
                self.note(id, |request| {
                    said(&mut request.input, &mut passes);
                    let counts = request.cell.as_ref().is_some_and(Cell::is_counted);
                    begun = counts.then(|| request.header.clone());
                });
                if begun.is_some()
                    && let Some(input) = envelope.content::<Input>()
                {
                    self.count = self.count.max(input.execution_count);
                }
                self.begun = begun;
            }
            // Of all displays only those that show how a cell goes say so there.
            "display_data" | "update_display_data" if envelope.parts[2] != b"{}" => {
                if let Some(Live { memprofile_display }) = envelope.metadata() {
                    self.note(id, |request| {
                        let is_there = request.display.as_deref() == Some(&*memprofile_display);
                        passes = is_there == (header.msg_type == "update_display_data");
                        if passes && !is_there {
                            request.display = Some(memprofile_display.into_owned());
                        }
                    });
                }
            }
            "clear_output" => self.note(id, |request| {
                request.cleared = true;
                request.display = None;
            }),
            "comm_open" | "comm_msg" => {
                if let Some(Output { comm_id, data }) = envelope.content() {
                    self.note(id, |request| {
                        request.widgets.retain(|widget| *widget != comm_id);
                        if data.state.msg_id == request.id {
                            request.widgets.push(comm_id.into_owned());
                        }
                    });
                }
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
        let main = |r: &Request| r.is_of_main() && !r.idle;
        self.open.iter().position(main).filter(|at| self.open[*at].cell.is_some())
    }

    fn first_of_main(&self) -> Option<usize> {
        self.open.iter().position(Request::is_of_main)
    }

    /// When we shall say in the child's place that it is busy; `None` when it has said so itself.
    pub fn silent_until(&self) -> Option<Instant> {
        let first = &self.open[self.first_of_shell()?];
        (first.busy == Said::No).then(|| first.since + SILENCE)
    }

    /// That of this id, if it has not ended yet.
    pub fn unfinished(&mut self, id: &str) -> Option<&mut Request> {
        self.open.iter_mut().find(|request| request.id == id && !request.idle)
    }

    /// Since when the first of the cells that run has been waiting or running.
    pub fn cell_since(&self) -> Option<Instant> {
        let main = self.first_of_shell().map(|at| self.open[at].since);
        let beside = |request: &&Request| request.subshell.is_some() && request.cell.is_some();
        let beside = self.open.iter().filter(beside).map(|request| request.since);
        main.into_iter().chain(beside).min()
    }

    /// The number under which a cell is shown before the child has shown it; from now on it is the last
    /// one, if the cell is counted.
    pub fn next_count(&mut self, counted: bool) -> u64 {
        let next = self.count + 1;
        if counted {
            self.count = next;
        }
        next
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

    /// Since when it does.
    pub fn running_since(&self) -> Option<Instant> {
        Some(self.open[self.first_of_shell()?].since)
    }

    /// Whether a cell runs that has not been replied to.
    pub fn owe_reply(&self) -> bool {
        self.open.iter().any(|request| request.cell.is_some() && !request.replied)
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::DELIMITER;
    use super::*;

    fn frames(kind: &str, id: &str, metadata: &str, content: &str) -> Vec<Vec<u8>> {
        let header = format!(r#"{{"msg_id": "{id}", "msg_type": "{kind}"}}"#);
        let parts = [&*header, "{}", metadata, content].map(|part| part.as_bytes().to_vec());
        [DELIMITER.to_vec(), Vec::new()].into_iter().chain(parts).collect()
    }

    /// With the cell `a` that runs.
    fn requests() -> Requests {
        let mut requests = Requests::default();
        let frames = frames("execute_request", "a", "{}", r#"{"code": "1"}"#);
        let envelope = Envelope::open(&frames).expect("a message");
        let header = envelope.header().expect("a header");
        requests.forwarded(&envelope, &header, Channel::Shell);
        requests
    }

    /// Whether what the child publishes of `a` passes.
    fn passes(requests: &mut Requests, kind: &str, metadata: &str, content: &str) -> bool {
        let frames = frames(kind, "b", metadata, content);
        let envelope = Envelope::open(&frames).expect("a message");
        requests.published(&envelope, &envelope.header().expect("a header"), "a")
    }

    const BUSY: &str = r#"{"execution_state": "busy"}"#;
    const INPUT: &str = r#"{"code": "1", "execution_count": 4}"#;
    const OPENS: &str = r#"{"memprofile_display": "d"}"#;

    #[test]
    fn lines_are_counted_from_the_first_that_is_not_empty() {
        let source = |code: &str| {
            Cell { code: code.to_owned(), silent: false, store_history: true }.source().to_owned()
        };
        assert_eq!(source("\n \t\n  a\n\nb"), "  a\n\nb");
        assert_eq!((source("a\n"), source("\n")), ("a\n".to_owned(), String::new()));
    }

    #[test]
    fn what_we_have_said_the_child_does_not_say_again() {
        let mut requests = requests();
        let request = requests.unfinished("a").expect("it runs");
        assert!(request.busy.take_over() && request.input.take_over());
        assert!(!request.busy.take_over());
        request.display = Some("d".to_owned());
        assert!(!passes(&mut requests, "status", "{}", BUSY));
        assert!(!passes(&mut requests, "execute_input", "{}", INPUT));
        assert!(!passes(&mut requests, "display_data", OPENS, "{}"));
        assert!(passes(&mut requests, "display_data", "{}", "{}"), "the user's own");
        assert!(passes(&mut requests, "update_display_data", OPENS, "{}"));
    }

    #[test]
    fn what_the_child_has_said_we_do_not() {
        let mut requests = requests();
        assert!(passes(&mut requests, "status", "{}", BUSY));
        assert!(passes(&mut requests, "execute_input", "{}", INPUT));
        assert!(passes(&mut requests, "display_data", OPENS, "{}"));
        assert_eq!(requests.last_count(), 4);
        let request = requests.unfinished("a").expect("it runs");
        assert!(!request.busy.take_over() && !request.input.take_over());
        assert_eq!(request.display.as_deref(), Some("d"));
    }

    #[test]
    fn a_reply_is_owed_until_it_has_come() {
        let mut requests = requests();
        assert!(requests.owe_reply());
        requests.replied("a");
        assert!(!requests.owe_reply() && !requests.is_empty());
    }

    #[test]
    fn a_cell_that_clears_its_outputs_has_no_display_any_more() {
        let mut requests = requests();
        passes(&mut requests, "display_data", OPENS, "{}");
        assert!(passes(&mut requests, "clear_output", "{}", r#"{"wait": false}"#));
        let request = requests.unfinished("a").expect("it runs");
        assert!(request.display.is_none() && !request.has_place());
        assert!(!passes(&mut requests, "update_display_data", OPENS, "{}"));
    }

    #[test]
    fn there_is_no_place_while_a_widget_takes_the_outputs() {
        let mut requests = requests();
        let mut has_place = |comm: &str, taken_by: &str| {
            let content = format!(
                r#"{{"comm_id": "{comm}", "data": {{"method": "update", "state": {{"msg_id": "{taken_by}"}}}}}}"#
            );
            assert!(passes(&mut requests, "comm_msg", "{}", &content));
            requests.unfinished("a").expect("it runs").has_place()
        };
        assert!(!has_place("one", "a"));
        assert!(!has_place("two", "a"));
        assert!(!has_place("one", ""));
        assert!(has_place("two", ""));
        assert!(passes(&mut requests, "comm_msg", "{}", r#"{"comm_id": "x", "data": {}}"#));
    }

    #[test]
    fn a_cell_that_has_ended_is_not_shown() {
        let mut requests = requests();
        assert!(requests.cell_since().is_some());
        assert!(passes(&mut requests, "status", "{}", r#"{"execution_state": "idle"}"#));
        assert!(requests.unfinished("a").is_none());
        assert!(requests.cell_since().is_none());
        assert_eq!((requests.next_count(false), requests.next_count(true)), (1, 1));
        assert_eq!(requests.last_count(), 1);
    }
}
