//! When large blocks are looked at: how much of them is in use.
//!
//! Before native bytes go, if the footprint could be larger than its peak so far; when the resident set
//! has grown; and at the end. Looks before a free have a budget.

use super::recorder::{Memory, Recorder};

/// Nanoseconds that it takes to look whether a page is resident, about.
pub(super) const PAGE_COST: u64 = 20;

/// Looks before a free may take one part in so many of the time, after an allowance in nanoseconds.
const LOOK_SHARE: u64 = 100;
const LOOK_ALLOWANCE: u64 = 4_000_000;

impl Recorder {
    /// Before native bytes go: is this the peak, by what of the large blocks is in use now?
    pub(super) fn look_before_a_decrease(&mut self, now: u64, memory: &mut impl Memory) {
        let untouched = self.large.untouched();
        let could_be_a_peak = self.bytes() + untouched as i64 > self.peak;
        let affordable = self.pages_looked_at * PAGE_COST <= now / LOOK_SHARE + LOOK_ALLOWANCE;
        if untouched > 0 && could_be_a_peak && affordable {
            self.measure(now, memory);
        }
    }

    /// Blocks that may be partly in use, for a look without the lock: (address, size).
    pub fn partly_touched(&self) -> Vec<(usize, u64)> {
        self.large.partial()
    }

    /// What such a look has found: (address, size, resident bytes).
    pub fn touched(&mut self, found: &[(usize, u64, u64)], now: u64) {
        for &(address, size, resident) in found {
            if let Some((site, growth)) = self.large.measured(address, size, resident) {
                self.leave_peak_if_below();
                self.sites.change(site, growth as f64, 0.0);
                self.copies.grown(address, growth);
                self.hold(site, growth as f64, 0.0);
            }
        }
        self.look(now);
    }

    pub(super) fn measure(&mut self, now: u64, memory: &mut impl Memory) {
        let found: Vec<(usize, u64, u64)> = self
            .large
            .partial()
            .into_iter()
            .map(|(address, size)| (address, size, memory.resident(address, size)))
            .collect();
        self.pages_looked_at += found.iter().map(|(_, size, _)| size / 4096).sum::<u64>();
        self.touched(&found, now);
    }
}
