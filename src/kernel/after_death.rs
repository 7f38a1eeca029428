//! What is done when the child is gone: who waits gets an answer, and another child is started.

use super::black_box;
use super::child::Child;
use super::death;
use super::faults;
use super::limit_watch::LimitWatch;
use super::memory::MemoryWatch;
use super::message;
use super::relay::{ALL, Relay, State, failed};
use super::requests::{Cell, Channel, Request, Said};
use crate::error::Result;
use crate::process::OutOfMemory;
use crate::render::{death_html, death_text};
use crate::report::Death;
use serde_json::{Value, json};
use std::process::ExitStatus;

/// Children in a row that die young, until we give up and Jupyter says so.
const MOST_FAILURES: u32 = 3;

/// A report for a `display_data`, or to be put in the place of a display.
pub(super) fn shown(death: &Death, display: Option<&str>) -> Value {
    message::shown(death_html(death), death_text(death), display)
}

impl Relay {
    /// The child has ended: answers what it leaves open and starts another one. Gives the exit code
    /// where we end as well.
    pub(super) fn child_gone(&mut self) -> Result<Option<i32>> {
        self.child.last_words();
        while self.hear_child(ALL) {}
        let status = self.child.wait().map_err(|e| failed("see how Python ended", e))?;
        // An `exit()` that was answered ends a stock kernel too.
        if self.shutdown || (status.success() && self.state.ready && self.requests.is_empty()) {
            self.end_shown();
            return Ok(Some(status.code().unwrap_or(1)));
        }
        let idle = self.requests.last_count() == 0 && !self.requests.is_running();
        let early = !self.state.ready || idle && self.state.is_young();
        self.failures = if early { self.failures + 1 } else { 0 };
        if self.failures == MOST_FAILURES || early && self.generation == 1 && !self.state.ready {
            eprintln!("memprofile kernel: Python {} before it could be used", death::words(status));
            return Ok(Some(status.code().filter(|code| *code != 0).unwrap_or(1)));
        }
        // One that was never ready was asked on the control channel alone.
        if self.state.ready || !self.requests.is_empty() {
            self.answer_all(status);
        }
        self.child.forget();
        self.generation += 1;
        self.child = Child::start(&self.launch, &self.folder, self.generation)
            .map_err(|e| failed("start Python again", e))?;
        self.memory = MemoryWatch::of(self.child.pid());
        self.limit = LimitWatch::new();
        self.out_of_memory = OutOfMemory::watch(self.child.pid());
        self.state = State::new();
        Ok(None)
    }

    /// Answers all that the child has not: the cell that ran with an error, the others as aborted.
    fn answer_all(&mut self, status: ExitStatus) {
        let count = self.requests.last_count();
        let mut first = true;
        let mut told = false;
        for request in self.requests.abandon() {
            let parent = Some(&*request.header);
            if request.busy == Said::No {
                self.publish_state("busy", parent);
            }
            // One that another thread of the child ran has died as well.
            let ran = first || request.busy != Said::No;
            first &= request.cell.is_none();
            match request.cell.as_ref().filter(|_| ran) {
                Some(cell) => {
                    let death = self.explain(status, Some((&request, cell)));
                    told |= self.fail(&request, cell, &death, count);
                }
                None => self.reply(&request, &json!({ "status": "aborted" })),
            }
            self.publish_state("idle", parent);
        }
        if !told {
            self.notice = Some(self.explain(status, None));
        }
        // Not before all are answered. And not `restarting`: to that JupyterLab adds a dialog which says
        // that the kernel died, over the report which says why.
        self.publish_state("starting", None);
    }

    /// All that we know of the end.
    fn explain(&self, status: ExitStatus, ran: Option<(&Request, &Cell)>) -> Death {
        let mut death = death::explained(status, &self.out_of_memory, ran.is_some());
        if let Some(ended) = &self.limit.ended {
            death::at_limit(&mut death, status, ended);
        }
        let Some((request, cell)) = ran else { return death };
        death.curve = self.memory.curve();
        if let Some(told) = self.child.told() {
            black_box::add(&mut death, &told, request.id(), cell.source());
        }
        if death::is_crash(status) {
            let text = std::fs::read(self.child.folder().join(faults::FILE)).unwrap_or_default();
            let places = faults::places(&String::from_utf8_lossy(&text), cell.source());
            // Python's own word is of the very moment.
            if !places.is_empty() {
                death.places = places;
            }
        }
        death
    }

    /// Shows and answers what became of a cell; whether anything was shown.
    fn fail(&mut self, request: &Request, cell: &Cell, death: &Death, last_count: u64) -> bool {
        let parent = Some(&*request.header);
        let was_shown = request.input != Said::No;
        let count = if was_shown { last_count } else { last_count + u64::from(cell.is_counted()) };
        let value = death::error_value(death);
        let mut error = json!({
            "ename": "KernelDied", "evalue": value,
            "traceback": [format!("\x1b[31mKernelDied\x1b[0m: {value}")],
        });
        if !cell.silent {
            if !was_shown {
                self.publish_input(&cell.code, count, parent);
            }
            let display = request.display.as_deref();
            let kind = if display.is_some() { "update_display_data" } else { "display_data" };
            self.publish(kind, parent, &shown(death, display));
            if !request.is_replied() {
                self.publish("error", parent, &error);
            }
        }
        error["status"] = json!("error");
        error["execution_count"] = json!(count);
        error["user_expressions"] = json!({});
        error["payload"] = json!([]);
        self.reply(request, &error);
        !cell.silent
    }

    /// Replies, unless the child has done so or the request gets no reply.
    fn reply(&mut self, request: &Request, content: &Value) {
        let Some(kind) = request.reply_kind().filter(|_| !request.is_replied()) else { return };
        let reply = self.author.write(&request.identities, &kind, Some(&request.header), content);
        match request.channel {
            Channel::Shell => self.front.shell.send(reply),
            Channel::Control => self.front.control.send(reply),
        }
    }
}
