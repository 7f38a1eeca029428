//! Where the growth of the resident set went: introduces what the recorder knows to what the kernel
//! and malloc say.

use super::foreign;
use crate::hooks::{self, own_bytes, residency};
use crate::process::Addresses;
use crate::profile::{Balance, Bytes, Ledger, SignedBytes};
use crate::sampling::{Parts, Recorder};

/// Bytes of our own that are in memory. Large tables are mapped whole and fill up as they are used.
pub(super) fn own_resident(recorder: &Recorder) -> u64 {
    let (table, length) = recorder.largest_table();
    let resident = residency::resident(table, length) + hooks::filter::resident();
    (own_bytes().saturating_sub(length) + resident) as u64
}

/// How much of malloc's main heap is not resident: what it holds free may lie there.
pub(super) fn absent_in_heap() -> u64 {
    let absent = |heap: Addresses| heap.length - residency::resident(heap.start, heap.length);
    Addresses::of_the_heap().into_iter().map(absent).sum::<usize>() as u64
}

/// What is known of a moment beside the footprint, wherever we are and at no cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    /// What malloc had taken from the kernel.
    pub heap: Option<i64>,
    /// What of the resident set was of files when that was last read.
    pub of_files: Bytes,
    /// How many libraries were loaded.
    pub libraries: usize,
}

impl Beside {
    pub(super) fn now() -> Beside {
        Beside {
            heap: hooks::heap::taken_by_malloc(),
            of_files: foreign::of_files_now(),
            libraries: hooks::loaded::count(),
        }
    }
}

/// What is known of a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// What the footprint was made of.
    pub parts: Parts,
    /// What else is known.
    pub beside: Beside,
}

/// What a ledger is made from.
#[derive(Debug)]
pub(super) struct Readings {
    /// The resident set size at the start, at its peak and at the end.
    pub rss: [Bytes; 3],
    pub start: Moment,
    /// Two moments of which one was the peak of the resident set, or near it: the largest footprint, which is
    /// known to the byte and at any time, and the largest resident set that was read.
    pub peak: [Moment; 2],
    pub end: Moment,
    /// [`own_resident`] at the start and at the end.
    pub own: [u64; 2],
    /// What malloc held free at the end, if it could be asked.
    pub free_at_end: Option<u64>,
    /// How much of malloc's heap was not resident then.
    pub absent: u64,
    /// What each library that was loaded since the start has written of itself, in their order.
    pub written: Vec<u64>,
}

impl Readings {
    /// The ledger.
    pub(super) fn ledger(&self) -> Ledger {
        let [_, peak, end] = self.rss;
        // Of the two the one that leaves less unexplained.
        let [first, second] = self.peak.map(|moment| self.balance(peak, moment));
        let is_second = second.rest.0.unsigned_abs() < first.rest.0.unsigned_abs();
        let peak = if is_second { second } else { first };
        Ledger { peak, end: self.balance(end, self.end) }
    }

    fn balance(&self, rss: Bytes, moment: Moment) -> Balance {
        let Moment { parts, beside } = moment;
        let loaded = beside.libraries.saturating_sub(self.start.beside.libraries);
        let grown = |now: Bytes, then: Bytes| SignedBytes(now.0 as i64 - then.0 as i64);
        let balance = Balance {
            resident: grown(rss, self.rss[0]),
            objects: SignedBytes(parts.objects),
            arenas: SignedBytes(parts.arenas),
            blocks: SignedBytes(parts.blocks),
            pools: SignedBytes(parts.foreign),
            pools_free: SignedBytes(parts.foreign_free),
            earlier: SignedBytes(parts.earlier),
            files: grown(beside.of_files, self.start.beside.of_files),
            libraries: SignedBytes(self.written.iter().take(loaded).sum::<u64>() as i64),
            recorder: SignedBytes(self.own[1] as i64 - self.own[0] as i64),
            ..Balance::default()
        };
        balance.settled([self.start, moment].map(|moment| self.free(moment)), Bytes(self.absent))
    }

    /// What malloc held free at a moment: what it had taken less what was allocated of it. Both are known
    /// by what they changed until the end, where malloc was asked for what it holds free.
    fn free(&self, moment: Moment) -> Option<Bytes> {
        let taken = |moment: Moment| Some(moment.beside.heap? - moment.parts.native);
        let more = taken(moment)? - taken(self.end)?;
        Some(Bytes(self.free_at_end?.saturating_add_signed(more)))
    }
}
