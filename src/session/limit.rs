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

use super::armed::{ASKABLE, Armed, Bounds, Refusal, WORTH_KNOWING};
use super::foreign;
use super::own_stack::{self, innermost};
use crate::hooks::lock::ForkLock;
use crate::hooks::{asking, heap, reentrancy, refusal, wake};
use crate::process::{Resident, memory_left};
use crate::profile::Bytes;
use crate::profile::telemetry::{Limit, LimitState, Whose};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Those in force, the innermost last: that one alone is kept.
pub(super) static LIMITS: ForkLock<Vec<Armed>> = ForkLock::new(Vec::new());

/// Whether there is one: read by the poll.
static ON: AtomicBool = AtomicBool::new(false);

fn held_now() -> Option<u64> {
    foreign::read().map(|resident| resident.anonymous().0)
}

/// The number that the next limit will have: an interrupt between its setting and the word of it must not
/// leave it in force.
pub fn next_limit() -> u64 {
    next(&LIMITS.lock())
}

fn next(limits: &[Armed]) -> u64 {
    limits.last().map_or(1, |outer| outer.id + 1)
}

/// Sets a limit for what the calling thread does from now on in the frame of `bounds.code`; none where the
/// platform does not tell what is held.
pub fn arm(bounds: Bounds) {
    // A limit near what there is lies far above, and is computed later.
    let known = foreign::last().filter(|_| bounds.bytes.is_none());
    let Some(mut held) = known.map_or_else(held, |last| Some(last.anonymous())) else { return };
    if bounds.bytes.is_some_and(|bytes| held.0 > bytes.0 / 2) {
        // What earlier cells have freed is not to be counted against this one.
        held = held_at_least().unwrap_or(held);
    }
    let held = held.0;
    let thread = (reentrancy::thread(), wake::this_thread());
    let mut armed = Armed::new(0, bounds, held, thread);
    if held > armed.threshold {
        // What makes room again has to run, too.
        armed.threshold = held + armed.step();
    }
    armed.look(held);
    if armed.is_unknown() {
        refusal::ask_from(WORTH_KNOWING);
    }
    let mut limits = LIMITS.lock();
    armed.id = next(&limits);
    limits.push(armed);
    ON.store(true, Relaxed);
}

/// Lifts a limit, with those inside of it; the one around it is in force again. The last request that it
/// has refused.
pub fn disarm(id: u64) -> Option<Refusal> {
    let mut limits = LIMITS.lock();
    let refused = limits.iter_mut().find(|armed| armed.id == id).and_then(|a| a.refusal.take());
    limits.retain(|armed| armed.id < id);
    ON.store(!limits.is_empty(), Relaxed);
    refusal::ask_from(if limits.is_empty() { u64::MAX } else { ASKABLE });
    refused
}

/// Whether a limit is in force.
pub fn is_limited() -> bool {
    ON.load(Relaxed)
}

/// So near is a limit that has to be watched closely: no thread writes to as much new memory in a tenth of a second.
const NEAR: u64 = 1 << 30;

/// Called by the poll. Whether a limit is near.
pub(super) fn look(resident: Resident) -> bool {
    if !ON.load(Relaxed) {
        return false;
    }
    let held = resident.anonymous().0;
    let renews = LIMITS.lock().last().is_some_and(|armed| armed.needs_renewal(held));
    // Not under the lock: it reads files.
    let left = if renews { memory_left() } else { None };
    let mut limits = LIMITS.lock();
    let Some(armed) = limits.last_mut() else { return false };
    if renews {
        armed.renew(left, held);
    }
    if armed.look(held)
        && let Some(thread) = armed.kernel_thread
    {
        wake::wake(thread);
    }
    armed.threshold.saturating_sub(held) < NEAR
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
    let bounds = {
        let mut limits = LIMITS.lock();
        let Some(armed) = limits.last_mut().filter(|armed| armed.woken.is_some()) else {
            return Due::NotOurs;
        };
        if !armed.passed || armed.thread != reentrancy::thread() {
            armed.woken = None;
            return Due::Nothing;
        }
        armed.bounds
    };
    let here = match bounds.caller {
        None => own_stack::runs(bounds.code),
        Some(caller) => own_stack::runs_what_is_called(bounds.code, caller),
    };
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
