//! The time that our own code takes: what a report states, and what the sampling interval is kept by.
//!
//! A visit is a call of a hook that has something to tell. Few are timed, since reading the clock twice
//! costs as much as the visit itself.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

/// So many visits one stands for that is timed.
const TIMED: u32 = 16;

/// A change of so many bytes is worth its exact time.
pub(super) const VISIBLE: u64 = 32 << 10;

/// What a visit costs besides what is timed, in nanoseconds: the hook.
const OUTSIDE: u64 = 10;

/// No usual visit takes so many nanoseconds: one that does was interrupted or had to wait, or the recorder
/// looked at pages or thinned its samples, which it times itself.
const LONG: u64 = 20_000;

/// Nanoseconds in our own code so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OwnTime {
    /// All of them.
    pub(super) all: u64,
    /// The part that a coarser sampling interval would spare.
    pub(super) sampling: u64,
}

/// What a visit's time is to be counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// A coarser sampling interval would make it rarer.
    OfSampling,
    /// It would be there at any interval.
    OfCounting,
}

/// A visit that has begun. The walk of the stack is part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    /// When, if it is timed.
    pub(super) entered: Option<Instant>,
    stands_for: u32,
    cost: Cost,
}

impl Visit {
    /// About so many bytes: a visible change is timed for itself.
    pub(super) fn of(bytes: u64, cost: Cost) -> Visit {
        let visible = bytes >= VISIBLE;
        let timed = visible || is_drawn();
        let stands_for = if visible { 1 } else { TIMED };
        Visit { entered: timed.then(Instant::now), stands_for, cost }
    }

    /// It ends here; of its time the recorder has spent so much on what takes long.
    pub(super) fn end(self, own: &mut OwnTime, long: u64) {
        let Some(entered) = self.entered else { return };
        let took = entered.elapsed().as_nanos() as u64 + OUTSIDE;
        if took > LONG {
            // It stands for no other, and a coarser interval would not spare it.
            own.all += LONG + long;
            return;
        }
        let took = took * u64::from(self.stands_for);
        own.all += took;
        if self.cost == Cost::OfSampling {
            own.sampling += took;
        }
    }
}

/// Whether one of the visits that are not visible is timed: one in [`TIMED`], after a number that is drawn.
/// The visits of a loop come in a pattern, and a fixed step may meet the same free in it for ever.
fn is_drawn() -> bool {
    static LEFT: AtomicU32 = AtomicU32::new(1);
    static DRAW: AtomicU32 = AtomicU32::new(1);
    // Threads that meet here time one visit more or less.
    let left = LEFT.load(Relaxed) - 1;
    LEFT.store(left, Relaxed);
    if left > 0 {
        return false;
    }
    // Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003).
    let mut draw = DRAW.load(Relaxed);
    draw ^= draw << 13;
    draw ^= draw >> 17;
    draw ^= draw << 5;
    DRAW.store(draw, Relaxed);
    LEFT.store(1 + draw % (2 * TIMED - 1), Relaxed);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An allocation and its free by turns, as in a loop that only makes temporaries.
    #[test]
    fn a_pattern_of_visits_is_timed_in_all_its_parts() {
        const VISITS: u32 = 80_000;
        let timed = [0, 1].map(|part| {
            let visits = (0..VISITS).map(|number| (number % 2, is_drawn()));
            visits.filter(|&visit| visit == (part, true)).count() as f64
        });
        let expected = f64::from(VISITS / 2 / TIMED);
        for timed in timed {
            assert!((timed / expected - 1.0).abs() < 0.05, "{timed} of {expected}");
        }
    }

    #[test]
    fn a_visit_stands_for_the_others() {
        let mut own = OwnTime::default();
        let visit =
            Visit { entered: Some(Instant::now()), stands_for: TIMED, cost: Cost::OfSampling };
        visit.end(&mut own, 0);
        assert!(own.all >= OUTSIDE * u64::from(TIMED));
        assert_eq!(own.all, own.sampling);
        let sampling = own.sampling;
        Visit { cost: Cost::OfCounting, ..visit }.end(&mut own, 0);
        assert!(own.all > sampling);
        assert_eq!(own.sampling, sampling);
        Visit { entered: None, ..visit }.end(&mut own, 0);
        assert_eq!(own.sampling, sampling);
    }

    #[test]
    fn what_a_thread_waits_for_is_no_time_of_ours() {
        let mut own = OwnTime::default();
        let entered = Instant::now().checked_sub(std::time::Duration::from_secs(1));
        let visit = Visit { entered, stands_for: TIMED, cost: Cost::OfSampling };
        visit.end(&mut own, 5_000_000);
        assert_eq!((own.all, own.sampling), (LONG + 5_000_000, 0));
    }
}
