//! The last step of a limit: a process that native code keeps from stopping is ended from outside.
//!
//! What is too much, the process says itself (`telemetry::Limit::last`) while a cell runs, in a letter that
//! it writes every few milliseconds without the GIL. How much it holds is read here, since a process
//! that takes memory at full speed may not come to write.

use super::child::Child;
use crate::process::resident;
use crate::profile::Bytes;
use crate::profile::telemetry::{Limit, Telemetry, Whose};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(25);

/// Growth that is worth reading what the process has told.
const GROWTH: u64 = 16 << 20;

/// A child that was ended at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The limit.
    pub limit: Limit,
    /// What it held.
    pub held: Bytes,
}

/// Looks at one child while a cell runs.
#[derive(Debug)]
pub struct LimitWatch {
    due: Instant,
    /// What it held when its letter was last read, or less since.
    seen: Bytes,
    /// That which was reached.
    pub ended: Option<Ended>,
}

impl LimitWatch {
    /// Of a new child.
    pub fn new() -> LimitWatch {
        LimitWatch { due: Instant::now(), seen: Bytes(0), ended: None }
    }

    /// Looks, if it is due, and ends the child where its cell, of this request, has gone too far.
    pub fn look(&mut self, child: &Child, request: &str) {
        if Instant::now() < self.due || self.ended.is_some() {
            return;
        }
        self.due = Instant::now() + PERIOD;
        let Some(held) = resident(child.pid()).map(|resident| resident.anonymous()) else { return };
        if held.0 < self.seen.0 + GROWTH {
            self.seen = self.seen.min(held);
            return;
        }
        self.seen = held;
        let reached = child.told().and_then(|told| reached(&told, request, held));
        let Some(ended) = reached else { return };
        // One that ends by itself just now has needed no help.
        match child.signal(Signal::KILL) {
            Ok(()) => self.ended = Some(ended),
            Err(error) => {
                eprintln!("memprofile kernel: Python could not be ended at its limit: {error}");
            }
        }
    }
}

fn reached(told: &Telemetry, request: &str, held: Bytes) -> Option<Ended> {
    let runs = told.cell.as_ref().is_some_and(|cell| cell.message == request && !cell.ended);
    told.limit.filter(|limit| runs && held > limit.last).map(|limit| Ended { limit, held })
}

impl Ended {
    /// Why, in words.
    pub fn cause(&self) -> String {
        let Limit { bytes, whose, .. } = self.limit;
        let whose = match whose {
            Whose::User => format!("its limit of {bytes}, set by %memlimit or --limit"),
            Whose::Machine => {
                format!("{bytes}, the limit that leaves some of the machine's memory free")
            }
            Whose::ControlGroup => format!(
                "{bytes}, the limit that leaves free some of what its control group (a container, a batch job) may take"
            ),
        };
        format!(
            "It held {}, beyond {whose}. An exception was to stop the cell, but native code did not come back to Python in time to raise it.",
            self.held
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::telemetry::{CellNow, LimitState};

    #[test]
    fn only_the_cell_that_runs_is_ended_and_only_beyond_the_last_reserve() {
        let limit = Limit {
            bytes: Bytes(1 << 30),
            whose: Whose::User,
            state: LimitState::Below,
            last: Bytes(3 << 29),
        };
        let cell = CellNow { message: "m".to_owned(), ..CellNow::default() };
        let mut told = Telemetry { cell: Some(cell), limit: Some(limit), ..Telemetry::default() };
        let beyond = Bytes((3 << 29) + 1);
        assert_eq!(reached(&told, "m", beyond), Some(Ended { limit, held: beyond }));
        assert_eq!(reached(&told, "m", limit.last), None);
        assert_eq!(reached(&told, "n", beyond), None);
        told.cell.iter_mut().for_each(|cell| cell.ended = true);
        assert_eq!(reached(&told, "m", beyond), None);
        told.cell.iter_mut().for_each(|cell| cell.ended = false);
        told.limit = None;
        assert_eq!(reached(&told, "m", beyond), None);
    }
}
