//! What each site holds, and held when the footprint was largest.
//!
//! No log and no snapshot: the recorder numbers the peaks. Each site keeps what it held at the
//! last peak that it knows of. When a site changes after a newer peak, what it held until now is
//! what it held at that peak, since it did not change in between; so it is brought up to date then,
//! and at the end. One comparison an event, whatever the number of sites.

use crate::profile::{Allocator, Bytes, Estimate, FileId, LineKey, Site, StackId, ThreadKind};

#[derive(Debug)]
struct Entry {
    stack: Option<StackId>,
    allocator: Allocator,
    thread: ThreadKind,
    /// Its line: an index into the recorder's lines.
    line: Option<u32>,
    live: Estimate,
    at_peak: Estimate,
    /// The peak that `at_peak` belongs to.
    peak: u32,
    temporary: Estimate,
    /// Bytes of large blocks that went without ever being in use.
    untouched: f64,
    count: Estimate,
    /// Of a native thread: the line that ran meanwhile.
    waiting: Option<u32>,
}

impl Entry {
    /// To be called before every change of `live`.
    fn settle(&mut self, peak: u32) {
        if self.peak != peak {
            self.at_peak = self.live;
            self.peak = peak;
        }
    }
}

/// A sample's worth, in bytes and their variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Bytes that it stands for: s/p.
    pub bytes: f64,
    /// Its part of the variance: s²(1-p)/p².
    pub variance: f64,
}

impl Worth {
    /// The worth of a block of this size that is recorded with this probability.
    pub fn new(size: u64, probability: f64) -> Worth {
        let bytes = size as f64 / probability;
        Worth { bytes, variance: bytes * bytes * (1.0 - probability) }
    }
}

/// All sites, by a small number.
#[derive(Debug, Default)]
pub struct Sites {
    entries: Vec<Entry>,
    /// The number of the last peak.
    peak: u32,
}

impl Sites {
    /// An empty table.
    pub fn new() -> Sites {
        Sites { entries: Vec::with_capacity(4096), peak: 0 }
    }

    /// Adds a site.
    pub fn add(
        &mut self,
        stack: Option<StackId>,
        allocator: Allocator,
        thread: ThreadKind,
        line: Option<u32>,
    ) -> u32 {
        let zero = Estimate::default();
        self.entries.push(Entry {
            stack,
            allocator,
            thread,
            line,
            live: zero,
            at_peak: zero,
            peak: self.peak,
            temporary: zero,
            untouched: 0.0,
            count: zero,
            waiting: None,
        });
        self.entries.len() as u32 - 1
    }

    /// A line runs while a native thread works; its bytes are not the line's.
    pub fn waits(&mut self, site: u32, line: Option<u32>) {
        self.entries[site as usize].waiting = line;
    }

    /// The line of a site.
    pub fn line(&self, site: u32) -> Option<u32> {
        self.entries[site as usize].line
    }

    /// The allocator of a site.
    pub fn allocator(&self, site: u32) -> Allocator {
        self.entries[site as usize].allocator
    }

    /// A sample was recorded.
    pub fn allocated(&mut self, site: u32, worth: Worth, probability: f64) {
        self.change(site, worth.bytes, worth.variance);
        let count = &mut self.entries[site as usize].count;
        count.value += 1.0 / probability;
        count.variance += (1.0 - probability) / (probability * probability);
    }

    /// A large block was allocated, of which nothing is in use yet.
    pub fn reserved(&mut self, site: u32) {
        self.entries[site as usize].count.value += 1.0;
    }

    /// Of a large block that goes, so many bytes were never in use.
    pub fn untouched(&mut self, site: u32, bytes: u64) {
        self.entries[site as usize].untouched += bytes as f64;
    }

    /// That block did not go.
    pub fn untouched_again(&mut self, site: u32, bytes: u64) {
        self.entries[site as usize].untouched -= bytes as f64;
    }

    /// A sample was freed.
    pub fn freed(&mut self, site: u32, worth: Worth) {
        self.change(site, -worth.bytes, -worth.variance);
        let temporary = &mut self.entries[site as usize].temporary;
        temporary.value += worth.bytes;
        temporary.variance += worth.variance;
    }

    /// A free that was told did not happen.
    pub fn undo_free(&mut self, site: u32, worth: Worth) {
        self.change(site, worth.bytes, worth.variance);
        let temporary = &mut self.entries[site as usize].temporary;
        temporary.value -= worth.bytes;
        temporary.variance -= worth.variance;
    }

    /// What is live at a site changed, without an allocation or a free.
    pub fn change(&mut self, site: u32, bytes: f64, variance: f64) {
        let peak = self.peak;
        let entry = &mut self.entries[site as usize];
        entry.settle(peak);
        entry.live.value += bytes;
        entry.live.variance += variance;
    }

    /// The footprint was largest until now: what every site holds is what it held at the peak.
    pub fn mark_peak(&mut self) {
        self.peak += 1;
    }

    /// What each line held at the peak, as (line, bytes).
    pub fn lines_at_peak(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.entries.iter().filter_map(|e| {
            let held = if e.peak == self.peak { e.at_peak } else { e.live };
            e.line.map(|line| (line, held.value))
        })
    }

    /// The sites as they are, by the recorder's `lines`. Rounding errors of the sums are taken off at zero.
    pub fn so_far(&self, lines: &[(FileId, u32)]) -> Vec<Site> {
        let tidy = |e: Estimate| Estimate {
            value: if e.value.abs() < 0.5 { 0.0 } else { e.value },
            variance: if e.variance < 0.5 { 0.0 } else { e.variance },
        };
        let key = |&(file, line): &(FileId, u32)| LineKey { file, line };
        self.entries
            .iter()
            .map(|e| {
                let mut allocated = tidy(e.live);
                allocated += tidy(e.temporary);
                allocated.value += e.untouched;
                Site {
                    stack: e.stack,
                    allocator: e.allocator,
                    thread: e.thread,
                    peak: tidy(if e.peak == self.peak { e.at_peak } else { e.live }),
                    surviving: tidy(e.live),
                    allocated,
                    temporary: tidy(e.temporary),
                    untouched: Bytes::from_f64(e.untouched),
                    count: e.count,
                    waiting: e.waiting.and_then(|line| lines.get(line as usize)).map(key),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(size: u64) -> Worth {
        Worth::new(size, 1.0)
    }

    #[test]
    fn a_site_that_did_not_change_held_at_the_peak_what_it_holds() {
        let mut sites = Sites::new();
        let still = sites.add(None, Allocator::Malloc, ThreadKind::Python, Some(0));
        let busy = sites.add(None, Allocator::Malloc, ThreadKind::Python, Some(1));
        sites.allocated(still, exact(100), 1.0);
        sites.allocated(busy, exact(50), 1.0);
        sites.mark_peak();
        sites.freed(busy, exact(50));
        sites.allocated(busy, exact(20), 1.0);
        let done = sites.so_far(&[]);
        assert_eq!(done[0].peak.value, 100.0);
        assert_eq!(done[1].peak.value, 50.0);
        assert_eq!(done[1].surviving.value, 20.0);
        assert_eq!(done[1].temporary.value, 50.0);
        assert_eq!(done[1].allocated.value, 70.0);
        assert_eq!(done[1].count.value, 2.0);
    }

    proptest! {
        /// Against the plain way: a snapshot of everything at each peak.
        #[test]
        fn the_composition_equals_a_snapshot(
            steps in proptest::collection::vec((0u32..4, 0u8..4, 1u64..1000), 1..200)
        ) {
            let mut sites = Sites::new();
            for line in 0..4 {
                sites.add(None, Allocator::Pymalloc, ThreadKind::Python, Some(line));
            }
            let mut live = vec![Vec::new(); 4];
            let mut snapshot = vec![0.0; 4];
            for (site, what, size) in steps {
                let blocks = &mut live[site as usize];
                match what {
                    0 | 1 => { sites.allocated(site, exact(size), 1.0); blocks.push(size); }
                    2 => if let Some(size) = blocks.pop() { sites.freed(site, exact(size)) },
                    _ => {
                        sites.mark_peak();
                        snapshot = live.iter().map(|b| b.iter().sum::<u64>() as f64).collect();
                    }
                }
            }
            if sites.peak > 0 {
                let done: Vec<f64> = sites.so_far(&[]).iter().map(|s| s.peak.value).collect();
                prop_assert_eq!(done, snapshot);
            }
        }
    }
}
