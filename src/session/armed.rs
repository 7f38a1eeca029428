//! A limit in force: where it lies, and what is to be done when so much is held.

use crate::hooks::refusal;
use crate::process::Left;
use crate::profile::Bytes;
use crate::profile::telemetry::{LimitState, Whose};
use std::time::{Duration, Instant};

/// What a limit is set with.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes; `None` is near what the machine or the control group has left.
    pub bytes: Option<Bytes>,
    /// The code object in whose frame all that is limited runs: what the same thread does without it (an
    /// event loop, while the cell waits) is never stopped. It must outlive the limit.
    pub code: usize,
    /// The code object that calls what is limited, if that is another one. Nothing is raised before it has
    /// called it, nor after, when it may be dealing with an error. It must outlive the limit.
    pub caller: Option<usize>,
    /// Whether a handler for [`wake::SIGNAL`] is there that asks [`due`].
    pub raises: bool,
}

/// A request that was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The limit.
    pub limit: Bytes,
    /// What the process held.
    pub held: Bytes,
    /// What was asked for.
    pub requested: Bytes,
    /// The file of the Python line that asked, as in a traceback.
    pub file: String,
    /// Its number.
    pub line: u32,
}

/// A limit in force.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) id: u64,
    pub(super) bounds: Bounds,
    /// Of [`Bounds::bytes`], or as last computed.
    pub(super) limit: u64,
    /// The limit, or what lies above it since an exception was raised.
    pub(super) threshold: u64,
    pub(super) whose: Whose,
    /// What was held when it began.
    pub(super) start: u64,
    /// The thread of the cell, and what names it to the kernel.
    pub(super) thread: usize,
    pub(super) kernel_thread: Option<i32>,
    pub(super) state: LimitState,
    /// The threshold was passed, and nothing was raised yet.
    pub(super) passed: bool,
    pub(super) woken: Option<Instant>,
    /// When a limit near the machine's was last computed. Not at once: most cells are over by then.
    pub(super) renewed: Option<Instant>,
    /// What the machine had left then, if that was looked at.
    pub(super) left: Option<Left>,
    pub(super) refusal: Option<Refusal>,
}

const MIB: u64 = 1 << 20;

/// The smallest request that is asked for.
pub(super) const ASKABLE: u64 = MIB;

/// The addresses that a process has, of both architectures at the usual size of a page's tables.
const ADDRESSES: u64 = 1 << 47;

/// A limit that nobody has computed yet, or could.
const UNKNOWN: u64 = u64::MAX / 2;

/// A request of this size has a limit near the machine's computed.
pub(super) const WORTH_KNOWING: u64 = 64 * MIB;

/// A signal that was not handled is sent again: the thread may just have been about to wait.
const AGAIN: Duration = Duration::from_millis(250);

/// So often a limit near the machine's is computed anew.
const RENEWED: Duration = Duration::from_secs(1);

/// What a limit near the machine's leaves free: a twentieth of all that there is.
fn reserve(left: &Left) -> u64 {
    (left.all.0 / 20).max(64 * MIB)
}

impl Armed {
    /// A limit that nothing has passed yet, for a thread by its number here and the kernel's, where so much is held.
    pub(super) fn new(
        id: u64,
        bounds: Bounds,
        held: u64,
        (thread, kernel_thread): (usize, Option<i32>),
    ) -> Armed {
        let limit = bounds.bytes.map_or(UNKNOWN, |bytes| bytes.0);
        Armed {
            id,
            bounds,
            limit,
            threshold: limit,
            whose: Whose::User,
            start: held,
            thread,
            kernel_thread,
            state: LimitState::Below,
            passed: false,
            woken: None,
            renewed: None,
            left: None,
            refusal: None,
        }
    }

    /// How far above what is held the limit lies after an exception.
    pub(super) fn step(&self) -> u64 {
        (self.limit / 16).max(64 * MIB)
    }

    /// From where on the process is to be ended. Up to there Python has the time to raise; of the machine's
    /// memory a quarter of the reserve is free still.
    pub(super) fn last(&self) -> u64 {
        match (self.bounds.bytes, &self.left) {
            (Some(Bytes(bytes)), _) => bytes.max(self.start) + (bytes / 4).max(512 * MIB),
            (None, Some(left)) => self.limit + reserve(left) * 3 / 4,
            (None, None) => u64::MAX,
        }
    }

    /// A limit near the machine's, from what is left now and `held`. A cell that has not grown is not to
    /// blame when others have taken the memory.
    pub(super) fn renew(&mut self, left: Option<Left>, held: u64) {
        self.renewed = Some(Instant::now());
        let raised = self.threshold - self.limit;
        self.limit = left.as_ref().map_or(UNKNOWN, |left| {
            let free = (left.bytes.0 + left.swap.0).saturating_sub(reserve(left));
            (held + free).max(self.start + reserve(left))
        });
        self.threshold = self.limit + raised;
        self.left = left;
        if let Some(left) = left {
            self.whose = if left.of_group { Whose::ControlGroup } else { Whose::Machine };
        }
    }

    pub(super) fn needs_renewal(&self, held: u64) -> bool {
        let old = self.renewed.is_none_or(|at| at.elapsed() >= RENEWED);
        self.bounds.bytes.is_none() && (old || held > self.threshold)
    }

    /// A limit near the machine's that nobody has computed yet.
    pub(super) fn is_unknown(&self) -> bool {
        self.bounds.bytes.is_none() && self.renewed.is_none()
    }

    /// What is held now. Whether the thread of the cell is to be woken.
    pub(super) fn look(&mut self, held: u64) -> bool {
        if held <= self.threshold {
            self.passed = false;
            if held < self.limit {
                self.threshold = self.limit;
            }
        } else if self.bounds.raises {
            self.passed = true;
        }
        refusal::ask_from(((self.threshold.saturating_sub(held)) / 4).max(ASKABLE));
        let wakes = self.passed && self.woken.is_none_or(|at| at.elapsed() >= AGAIN);
        if wakes {
            self.woken = Some(Instant::now());
        }
        wakes
    }

    /// Whether so much more goes beyond it. Zeroed memory costs nothing until it is written to, so of that
    /// only what there can never be room for. What no process can have fails by itself.
    pub(super) fn is_beyond(&self, bytes: u64, zeroed: bool, held: u64) -> bool {
        match (zeroed, &self.left) {
            _ if bytes >= ADDRESSES => false,
            (false, _) => held.saturating_add(bytes) > self.threshold,
            (true, None) => bytes > self.limit,
            (true, Some(left)) => bytes > left.all.0 + left.swap.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(bytes: Option<u64>, start: u64) -> Armed {
        let bounds = Bounds { bytes: bytes.map(Bytes), code: 0, caller: None, raises: true };
        Armed::new(1, bounds, start, (0, None))
    }

    fn left(bytes: u64, all: u64) -> Left {
        Left { bytes: Bytes(bytes), swap: Bytes(0), all: Bytes(all), of_group: false }
    }

    const GIB: u64 = 1 << 30;

    #[test]
    fn it_wakes_once_and_comes_back_when_memory_falls_below() {
        let mut armed = armed(Some(GIB), 0);
        assert!(!armed.look(GIB), "as much as the limit is not beyond it");
        assert!(armed.look(GIB + 1));
        assert!(!armed.look(GIB + 2), "the signal is on its way");
        armed.threshold = GIB + 2 + armed.step();
        assert!(!armed.look(GIB + 3) && !armed.passed);
        assert_eq!(armed.threshold, GIB + 2 + 64 * MIB);
        armed.look(GIB - 1);
        assert_eq!(armed.threshold, GIB);
    }

    #[test]
    fn zeroed_memory_counts_only_where_the_limit_could_never_hold_it() {
        let armed = armed(Some(GIB), 0);
        assert!(armed.is_beyond(GIB / 2 + 1, false, GIB / 2));
        assert!(!armed.is_beyond(GIB / 2, false, GIB / 2));
        assert!(!armed.is_beyond(GIB, true, GIB));
        assert!(armed.is_beyond(GIB + 1, true, 0));
        assert!(armed.is_beyond(ADDRESSES - 1, false, 1));
        assert!(!armed.is_beyond(1 << 62, false, 1), "it fails by itself");
    }

    #[test]
    fn a_limit_near_the_machines_follows_what_is_left() {
        let mut armed = armed(None, GIB);
        armed.renew(Some(left(3 * GIB, 20 * GIB)), GIB);
        assert_eq!(armed.limit, 3 * GIB, "a GiB is held, and of what is left one is the reserve");
        assert_eq!(armed.last(), 3 * GIB + GIB * 3 / 4);
        assert!(armed.is_beyond(2 * GIB + 1, false, GIB) && !armed.is_beyond(20 * GIB, true, GIB));
        assert!(armed.is_beyond(20 * GIB + 1, true, GIB));
        armed.renew(Some(left(5 * GIB, 20 * GIB)), 3 * GIB);
        assert_eq!((armed.limit, armed.threshold), (7 * GIB, 7 * GIB));
        // Others have taken all.
        armed.renew(Some(left(0, 20 * GIB)), GIB + 1);
        assert_eq!(armed.limit, 2 * GIB);
        armed.renew(None, GIB);
        assert!(!armed.look(1 << 50) && armed.last() == u64::MAX);
    }

    #[test]
    fn native_code_has_a_reserve_to_come_back_in() {
        assert_eq!(armed(Some(GIB), 0).last(), GIB + 512 * MIB);
        assert_eq!(armed(Some(8 * GIB), 0).last(), 10 * GIB);
        assert_eq!(armed(Some(GIB), 4 * GIB).last(), 4 * GIB + 512 * MIB, "a cell may make room");
    }
}
