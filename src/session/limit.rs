//! A limit on the memory of this process while a cell, or a block of code, runs.
//!
//! What it bounds is the anonymous resident memory of the whole process: what the kernel cannot drop. Below
//! the limit nothing is done. Beyond it there are three steps, each for what the one before cannot do:
//! - a single request that would go beyond is *refused*, where the code that asks is known to raise
//!   MemoryError then (`hooks::refusal`, `hooks::asking`);
//! - growth by small steps, or in threads, is seen by the poll. It sends the thread of the cell a signal, so
//!   that also a call that waits comes back; Python runs the handler between two instructions, and
//!   that *raises* ([`due`]). A signal that is handled on the main thread cannot lose an interrupt,
//!   which a pending call of another thread's could (`interpreter::pending`);
//! - native code that does not come back is left to whoever started this process, which reads by
//!   `telemetry` from where on (`last`) it has to end it.
//!
//! After an exception the limit lies a step higher than what is held then, so that handlers have room;
//! it comes back when memory falls below it.

use super::foreign;
use super::own_stack::{self, innermost};
use crate::hooks::lock::ForkLock;
use crate::hooks::{asking, heap, reentrancy, refusal, wake};
use crate::process::{Left, Resident, memory_left};
use crate::profile::Bytes;
use crate::profile::telemetry::{Limit, LimitState, Whose};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a limit is set with.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes; `None` is near what the machine or the control group has left.
    pub bytes: Option<Bytes>,
    /// The code object in whose frame all that is limited runs: what the same thread does without it (an
    /// event loop, while the cell waits) is never stopped. It must outlive the limit.
    pub code: usize,
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
    id: u64,
    bounds: Bounds,
    /// Of [`Bounds::bytes`], or as last computed.
    limit: u64,
    /// The limit, or what lies above it since an exception was raised.
    threshold: u64,
    whose: Whose,
    /// What was held when it began.
    start: u64,
    /// The thread of the cell, and what names it to the kernel.
    thread: usize,
    kernel_thread: Option<i32>,
    state: LimitState,
    /// The threshold was passed, and nothing was raised yet.
    passed: bool,
    woken: Option<Instant>,
    /// When a limit near the machine's was last computed. Not at once: most cells are over by then.
    renewed: Option<Instant>,
    /// What the machine had left then, if that was looked at.
    left: Option<Left>,
    refusal: Option<Refusal>,
}

/// Those in force, the innermost last: that one alone is kept.
pub(super) static LIMITS: ForkLock<Vec<Armed>> = ForkLock::new(Vec::new());

/// Whether there is one: read by the poll.
static ON: AtomicBool = AtomicBool::new(false);

const MIB: u64 = 1 << 20;

/// The smallest request that is asked for.
const ASKABLE: u64 = MIB;

/// The addresses that a process has, of both architectures at the usual size of a page's tables.
const ADDRESSES: u64 = 1 << 47;

/// A limit that nobody has computed yet, or could.
const UNKNOWN: u64 = u64::MAX / 2;

/// A request of this size has a limit near the machine's computed.
const WORTH_KNOWING: u64 = 64 * MIB;

/// A signal that was not handled is sent again: the thread may just have been about to wait.
const AGAIN: Duration = Duration::from_millis(250);

/// So often a limit near the machine's is computed anew.
const RENEWED: Duration = Duration::from_secs(1);

/// What a limit near the machine's leaves free: a twentieth of all that there is.
fn reserve(left: &Left) -> u64 {
    (left.all.0 / 20).max(64 * MIB)
}

impl Armed {
    /// How far above what is held the limit lies after an exception.
    fn step(&self) -> u64 {
        (self.limit / 16).max(64 * MIB)
    }

    /// From where on the process is to be ended. Up to there Python has the time to raise; of the machine's
    /// memory a quarter of the reserve is free still.
    fn last(&self) -> u64 {
        match (self.bounds.bytes, &self.left) {
            (Some(Bytes(bytes)), _) => bytes.max(self.start) + (bytes / 4).max(512 * MIB),
            (None, Some(left)) => self.limit + reserve(left) * 3 / 4,
            (None, None) => u64::MAX,
        }
    }

    /// A limit near the machine's, from what is left now and `held`. A cell that has not grown is not to
    /// blame when others have taken the memory.
    fn renew(&mut self, left: Option<Left>, held: u64) {
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

    fn needs_renewal(&self, held: u64) -> bool {
        let old = self.renewed.is_none_or(|at| at.elapsed() >= RENEWED);
        self.bounds.bytes.is_none() && (old || held > self.threshold)
    }

    /// A limit near the machine's that nobody has computed yet.
    fn is_unknown(&self) -> bool {
        self.bounds.bytes.is_none() && self.renewed.is_none()
    }

    /// What is held now. Whether the thread of the cell is to be woken.
    fn look(&mut self, held: u64) -> bool {
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
    fn is_beyond(&self, bytes: u64, zeroed: bool, held: u64) -> bool {
        match (zeroed, &self.left) {
            _ if bytes >= ADDRESSES => false,
            (false, _) => held.saturating_add(bytes) > self.threshold,
            (true, None) => bytes > self.limit,
            (true, Some(left)) => bytes > left.all.0 + left.swap.0,
        }
    }
}

fn held_now() -> Option<u64> {
    foreign::read().map(|resident| resident.anonymous().0)
}

/// Sets a limit for what the calling thread does from now on in the frame of `bounds.code`; the number by
/// which it is lifted. `None` where the platform does not tell what is held.
pub fn arm(bounds: Bounds) -> Option<u64> {
    let mut held = held()?.0;
    if bounds.bytes.is_some_and(|bytes| held > bytes.0 / 2) {
        // What earlier cells have freed is not to be counted against this one.
        held = held_at_least()?.0;
    }
    let limit = bounds.bytes.map_or(UNKNOWN, |bytes| bytes.0);
    let mut armed = Armed {
        id: 0,
        bounds,
        limit,
        threshold: limit,
        whose: Whose::User,
        start: held,
        thread: reentrancy::thread(),
        kernel_thread: wake::this_thread(),
        state: LimitState::Below,
        passed: false,
        woken: None,
        renewed: None,
        left: None,
        refusal: None,
    };
    if held > armed.threshold {
        // What makes room again has to run, too.
        armed.threshold = held + armed.step();
    }
    armed.look(held);
    if armed.is_unknown() {
        refusal::ask_from(WORTH_KNOWING);
    }
    let mut limits = LIMITS.lock();
    armed.id = limits.last().map_or(1, |outer| outer.id + 1);
    let id = armed.id;
    limits.push(armed);
    ON.store(true, Relaxed);
    Some(id)
}

/// Lifts a limit, with those inside of it; the one around it is in force again.
pub fn disarm(id: u64) {
    let mut limits = LIMITS.lock();
    limits.retain(|armed| armed.id < id);
    ON.store(!limits.is_empty(), Relaxed);
    refusal::ask_from(if limits.is_empty() { u64::MAX } else { ASKABLE });
}

/// Whether a limit is in force.
pub fn is_limited() -> bool {
    ON.load(Relaxed)
}

/// The last request that a limit has refused.
pub fn refusal(id: u64) -> Option<Refusal> {
    LIMITS.lock().iter().find(|armed| armed.id == id)?.refusal.clone()
}

/// Called by the poll.
pub(super) fn look(resident: Resident) {
    if !ON.load(Relaxed) {
        return;
    }
    let held = resident.anonymous().0;
    let renews = LIMITS.lock().last().is_some_and(|armed| armed.needs_renewal(held));
    // Not under the lock: it reads files.
    let left = if renews { memory_left() } else { None };
    let mut limits = LIMITS.lock();
    let Some(armed) = limits.last_mut() else { return };
    if renews {
        armed.renew(left, held);
    }
    if armed.look(held)
        && let Some(thread) = armed.kernel_thread
    {
        wake::wake(thread);
    }
}

/// Called inside of a hook: whether a request is refused.
pub(super) fn refuses(bytes: usize, zeroed: bool) -> bool {
    let (thread, bytes) = (reentrancy::thread(), bytes as u64);
    let Some(held) = held_now() else { return false };
    let (code, renews) = {
        let limits = LIMITS.lock();
        let Some(armed) = limits.last().filter(|armed| armed.thread == thread) else {
            return false;
        };
        if !armed.is_unknown() && !armed.is_beyond(bytes, zeroed, held) {
            return false;
        }
        (armed.bounds.code, armed.bounds.bytes.is_none())
    };
    // Whoever has given up the GIL does something of which Python's rules say nothing; but numpy gives it
    // up just to have memory zeroed, and looks at what it gets.
    if !own_stack::runs(code)
        || !(zeroed || own_stack::holds_gil())
        || !own_stack::evaluation_loop().is_some_and(asking::may_be_refused)
    {
        return false;
    }
    let left = if renews { memory_left() } else { None };
    let (file, line) = innermost().unwrap_or_default();
    let mut limits = LIMITS.lock();
    let Some(armed) = limits.last_mut() else { return false };
    if renews {
        armed.renew(left, held);
        if !armed.is_beyond(bytes, zeroed, held) {
            return false;
        }
    }
    let limit = Bytes(armed.limit);
    let requested = Bytes(bytes);
    armed.refusal = Some(Refusal { limit, held: Bytes(held), requested, file, line });
    armed.state = LimitState::Refused;
    true
}

/// What the handler of the signal has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Raise: the limit was passed, and so much is held.
    Raise {
        /// The limit.
        limit: Bytes,
        /// What the process holds.
        held: Bytes,
    },
    /// Nothing, or not here: there will be another signal.
    Nothing,
    /// The signal was none of ours.
    NotOurs,
}

/// Called by the handler of the signal.
pub fn due() -> Due {
    let code = {
        let mut limits = LIMITS.lock();
        let Some(armed) = limits.last_mut().filter(|armed| armed.woken.is_some()) else {
            return Due::NotOurs;
        };
        if !armed.passed || armed.thread != reentrancy::thread() {
            armed.woken = None;
            return Due::Nothing;
        }
        armed.bounds.code
    };
    let here = own_stack::runs(code);
    let held = held_now();
    let mut limits = LIMITS.lock();
    let Some(armed) = limits.last_mut() else { return Due::Nothing };
    armed.woken = None;
    let Some(held) = held.filter(|held| here && *held > armed.threshold) else {
        return Due::Nothing;
    };
    armed.passed = false;
    armed.threshold = held + armed.step();
    armed.state = LimitState::Raised;
    Due::Raise { limit: Bytes(armed.limit), held: Bytes(held) }
}

/// What the process holds of what a limit bounds; `None` where the platform does not tell.
pub fn held() -> Option<Bytes> {
    Some(foreign::read_or_open().anonymous()).filter(|held| held.0 > 0)
}

/// The same, after malloc has given back what nobody uses, which takes time.
pub fn held_at_least() -> Option<Bytes> {
    heap::give_back();
    held()
}

/// The limit in force, and whose it is.
pub fn in_force() -> Option<(Bytes, Whose)> {
    let held = held()?.0;
    let renews = LIMITS.lock().last().is_some_and(|armed| armed.needs_renewal(held));
    let left = if renews { memory_left() } else { None };
    let mut limits = LIMITS.lock();
    let armed = limits.last_mut()?;
    if renews {
        armed.renew(left, held);
    }
    Some((Bytes(armed.limit), armed.whose))
}

/// The limit in force, for whoever started this process.
pub(super) fn told() -> Option<Limit> {
    let limits = LIMITS.lock();
    let armed = limits.last().filter(|armed| !armed.is_unknown())?;
    let (bytes, last) = (Bytes(armed.limit), Bytes(armed.last()));
    Some(Limit { bytes, whose: armed.whose, state: armed.state, last })
}

/// In a forked child, which has a limit of its own to set.
pub(super) fn in_child() {
    LIMITS.lock().clear();
    ON.store(false, Relaxed);
    refusal::ask_from(u64::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(bytes: Option<u64>, start: u64) -> Armed {
        let limit = bytes.unwrap_or(UNKNOWN);
        Armed {
            id: 1,
            bounds: Bounds { bytes: bytes.map(Bytes), code: 0, raises: true },
            limit,
            threshold: limit,
            whose: Whose::User,
            start,
            thread: 0,
            kernel_thread: None,
            state: LimitState::Below,
            passed: false,
            woken: None,
            renewed: None,
            left: None,
            refusal: None,
        }
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
