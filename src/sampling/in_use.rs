//! When large blocks are looked at: how much of them is in use.
//!
//! Before something goes, when the resident set has grown or there are new blocks, and at the end. Between
//! two looks the footprint lacks what was written to meanwhile; so a peak that no look has seen is too
//! low by no more than what went since the last one. Once that can be seen, or when the first goes after
//! a visible growth, there is a look before. Looks before a decrease have a budget. Where it is spent, as by a
//! parser that frees a block for each piece that it reads, one more is due now and then, if what it might find
//! is a large part of all: the whole result may be new.

use super::large::{Filled, LARGE, Partial};
use super::recorder::{Memory, Recorder};

/// Looks may take one part in so many of the time, after an allowance in nanoseconds.
const SHARE: u64 = 200;
const ALLOWANCE: u64 = 2_000_000;

/// Beyond the budget there is a look when so many times its cost have passed since the last one, and it might
/// find one part in [`MUCH`] of what is known: one hundredth of the time at most.
const PATIENCE: u64 = 100;
const MUCH: u64 = 8;

/// A light recording takes one part in so many of both.
const LIGHT: u64 = 4;

/// The footprint lies behind when the resident set has grown by 2 MiB and one part in so many of it more than is
/// known.
const BEHIND: i64 = 16;

/// What looks have cost, in nanoseconds.
#[derive(Debug)]
pub(super) struct Looks {
    /// [`SHARE`] of this recording.
    share: u64,
    /// [`PATIENCE`] of this recording.
    patience: u64,
    /// So far.
    spent: u64,
    /// The last one at all blocks, and when that was.
    last: u64,
    at: u64,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks::new(false)
    }
}

impl Looks {
    /// None so far.
    pub(super) fn new(light: bool) -> Looks {
        let rarer = if light { LIGHT } else { 1 };
        Looks { share: SHARE * rarer, patience: PATIENCE * rarer, spent: 0, last: 0, at: 0 }
    }

    /// What they have cost so far.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether one more may be made before a decrease: they took no more than their share of the time.
    pub(super) fn are_affordable(&self, now: u64) -> bool {
        self.spent <= now / self.share + ALLOWANCE
    }

    /// Whether one more may be made that is of less use: before a decrease is the last chance.
    pub(super) fn took_less_than_half(&self, now: u64) -> bool {
        2 * self.spent <= now / self.share + ALLOWANCE
    }

    /// Whether the last one is long past, for what it has cost.
    fn are_due(&self, now: u64) -> bool {
        now.saturating_sub(self.at) >= self.patience * self.last
    }

    /// Looks up how many bytes of a block are resident.
    pub(super) fn resident(
        &mut self,
        (address, size): (usize, u64),
        memory: &mut impl Memory,
    ) -> u64 {
        let began = memory.clock();
        let resident = memory.resident(address, size);
        self.spent += memory.clock().saturating_sub(began);
        resident
    }

    /// Looks up how much of blocks is in use.
    pub(super) fn look(
        &mut self,
        partial: Vec<Partial>,
        memory: &mut impl Memory,
    ) -> Vec<(Partial, Filled)> {
        let began = memory.clock();
        let ranges: Vec<(usize, u64)> = partial.iter().map(Partial::range).collect();
        let found = memory.filled(&ranges);
        self.spent += memory.clock().saturating_sub(began);
        partial.into_iter().zip(found).collect()
    }
}

impl Recorder {
    /// Before so many bytes go (`net` is negative): could this be the peak, or will what is left
    /// seem to be visibly less than it is?
    pub(super) fn look_before_a_decrease(&mut self, net: i64, now: u64, memory: &mut impl Memory) {
        self.gone += net.min(0).unsigned_abs();
        let untouched = self.large.untouched();
        let could_be_a_peak = self.bytes() + untouched as i64 > self.peak;
        let came = self.bytes().saturating_sub(self.looked_at).max(0) as u64;
        let went = self.curve.shows(self.gone);
        let matters = (could_be_a_peak && (went || self.at_peak && self.curve.shows(came)))
            || (went && self.curve.shows(untouched));
        let is_large = untouched > self.bytes().max(0) as u64 / MUCH;
        if untouched > 0
            && matters
            && (self.looks.are_affordable(now) || is_large && self.looks.are_due(now))
        {
            self.measure(now, memory);
        }
    }

    /// How many large blocks were allocated so far.
    pub fn large_blocks(&self) -> u64 {
        self.large.count()
    }

    /// Blocks that may be partly in use, for a look without the lock.
    pub fn partly_touched(&self) -> Vec<Partial> {
        self.large.partial()
    }

    /// Whether the resident set proves that the footprint lies visibly behind: the process has so many anonymous
    /// resident bytes, and a look can find what of them is not known.
    pub fn is_behind(&self, anonymous: u64) -> bool {
        let in_blocks = self.large.untouched() as i64;
        let to_be_found = if self.foreign.regions.is_empty() { in_blocks } else { i64::MAX };
        let unknown = self.unexplained(anonymous).min(to_be_found);
        unknown > 2 * LARGE as i64 && unknown > self.bytes() / BEHIND
    }

    /// What such a look has found.
    pub fn touched(&mut self, found: &[(Partial, Filled)], now: u64) {
        for &(looked_at, filled) in found {
            self.found_in_use(looked_at, filled);
        }
        self.look(now);
    }

    pub(super) fn found_in_use(&mut self, looked_at: Partial, filled: Filled) {
        if let Some((site, growth)) = self.large.measured(looked_at, filled) {
            self.leave_peak_if_below();
            self.sites.change(site, growth as f64, 0.0);
            self.copies.grown(looked_at.address(), growth);
            self.hold(site, growth as f64, 0.0);
        }
    }

    /// Looks how much of each large block is in use.
    pub fn measure(&mut self, now: u64, memory: &mut impl Memory) {
        let before = self.looks.spent;
        let found = self.looks.look(self.large.partial(), memory);
        (self.looks.at, self.looks.last) = (now, self.looks.spent - before);
        self.touched(&found, now);
        self.gone = 0;
        self.looked_at = self.bytes();
    }
}
