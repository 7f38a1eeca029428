//! When a recording goes over to samples, and to coarser ones: by what they cost.

use super::live_set::Sample;
use super::recorder::{Memory, Recorder};
use super::sites::Worth;

/// Everything is recorded up to this many events, so that an ordinary cell is exact; but only while their stacks
/// have had no more than so many frames beyond what all of them have, as a deep recursion's and a library's soon have:
/// between calls of a large library each frame costs some 30 ns. And not for more than so many nanoseconds, which what
/// all of them have may take by itself.
const ALWAYS_EXACT: (u64, u64, u64) = (50_000, 150_000, 40_000_000);

/// Beyond that, everything is recorded as long as it has cost less than so many nanoseconds.
const EXACT_ALLOWANCE: u64 = 6_000_000;

/// The share of the time that samples are to take; what is nearer to it than to its double is left.
const BUDGET: f64 = 0.005;

/// Between two looks at the time that they took: events, and nanoseconds.
const PACE: (u64, u64) = (256, 2_000_000);

/// Where the recorder stood when the time was last looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    events: u64,
    now: u64,
    spent: u64,
}

/// How deep the stacks of the recording thread were that have a line of the user's own: others may be those of
/// whoever runs the cell, which end higher.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Depths {
    stacks: u64,
    frames: u64,
    least: Option<u64>,
}

impl Depths {
    /// One had so many frames.
    pub(super) fn add(&mut self, frames: u64) {
        self.stacks += 1;
        self.frames += frames;
        self.least = Some(self.least.map_or(frames, |least| least.min(frames)));
    }

    fn beyond_the_least(&self) -> u64 {
        self.frames - self.stacks * self.least.unwrap_or(0)
    }
}

impl Recorder {
    /// Looks at what the samples cost, now and then: `spent` of `now` nanoseconds so far.
    /// Raises the interval where it is too much.
    pub fn pace(&mut self, now: u64, spent: u64, memory: &mut impl Memory) {
        if self.interval() == 0.0 && spent < EXACT_ALLOWANCE {
            return;
        }
        let due = self.events >= self.paced.events + PACE.0 && now >= self.paced.now + PACE.1;
        let is_ordinary = self.events < ALWAYS_EXACT.0
            && self.depths.beyond_the_least() < ALWAYS_EXACT.1
            && spent < ALWAYS_EXACT.2;
        if self.settings.exact || is_ordinary || !due {
            return;
        }
        let last = std::mem::replace(&mut self.paced, Pace { events: self.events, now, spent });
        let share = (spent - last.spent) as f64 / (now - last.now) as f64;
        // The share falls as the interval grows: this many doublings bring it nearest to the budget.
        let doublings = (share / BUDGET).log2().round();
        if doublings >= 1.0 {
            self.coarsen(doublings.min(4.0) as u32, memory);
        }
    }

    /// Processor time so far, in nanoseconds, of what takes long: looks at pages, and thinning.
    pub fn spent_long(&self) -> u64 {
        self.looks.spent() + self.copies.looks.spent() + self.thinning
    }

    /// The blocks that are live by what is known of them, thinned to a coarser interval.
    pub(super) fn coarsen(&mut self, doublings: u32, memory: &mut impl Memory) {
        let began = memory.clock();
        let before: Vec<Sample> = self.live.iter().collect();
        let old: Vec<f64> = before.iter().map(|s| self.sampler.probability(s.size)).collect();
        self.sampler.coarsen(doublings);
        self.leave_peak_if_below();
        for (sample, old) in before.into_iter().zip(old) {
            let was = Worth::new(sample.size, old);
            let is = if self.sampler.survives(sample.size) {
                Worth::new(sample.size, self.sampler.probability(sample.size))
            } else {
                self.live.remove(sample.address);
                memory.unwatch(sample.address);
                Worth { bytes: 0.0, variance: 0.0 }
            };
            let (bytes, variance) = (is.bytes - was.bytes, is.variance - was.variance);
            if (bytes, variance) != (0.0, 0.0) {
                self.sites.change(sample.site, bytes, variance);
                self.sizes.change(sample.size, bytes, variance);
                self.hold(sample.site, bytes, variance);
            }
        }
        self.thinning += memory.clock().saturating_sub(began);
    }
}
