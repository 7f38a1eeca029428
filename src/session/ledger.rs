//! Where the growth of the resident set went: introduces what the recorder knows to what the kernel
//! and malloc say.

use crate::hooks::{self, own_bytes, residency};
use crate::profile::{Balance, Bytes, Ledger, OfFiles, SignedBytes};
use crate::sampling::{Parts, Recorder};

/// Bytes of our own that are in memory. Large tables are mapped whole and fill up as they are used.
pub(super) fn own_resident(recorder: &Recorder) -> u64 {
    let (table, length) = recorder.largest_table();
    let resident = residency::resident(table, length) + hooks::filter::resident();
    (own_bytes().saturating_sub(length) + resident) as u64
}

/// What a ledger is made from.
#[derive(Debug)]
pub(super) struct Readings {
    /// The resident set size at the start, at its peak and at the end.
    pub rss: [Bytes; 3],
    /// What of it was of files.
    pub of_files: OfFiles,
    /// What the footprint was made of at its peak and at the end.
    pub parts: [Parts; 2],
    /// [`own_resident`] at the start and at the end.
    pub own: [u64; 2],
    /// What malloc had taken from the kernel at the peak and at the end.
    pub heap: [Option<i64>; 2],
}

impl Readings {
    /// The ledger. The caller holds no lock: malloc is asked for what it keeps.
    pub(super) fn ledger(&self) -> Ledger {
        let [start, peak, end] = self.rss;
        let grown = |now: Bytes, then: Bytes| SignedBytes(now.0 as i64 - then.0 as i64);
        let balance = |rss: Bytes, of_files: Bytes, parts: Parts| Balance {
            resident: grown(rss, start),
            objects: SignedBytes(parts.objects),
            arenas: SignedBytes(parts.arenas),
            blocks: SignedBytes(parts.blocks),
            pools: SignedBytes(parts.foreign),
            earlier: SignedBytes(parts.earlier),
            files: grown(of_files, self.of_files.start),
            recorder: SignedBytes(self.own[1] as i64 - self.own[0] as i64),
            ..Balance::default()
        };
        let free = hooks::heap::free_in_malloc();
        Ledger {
            peak: balance(peak, self.of_files.peak, self.parts[0]).settled(self.free_at_peak(free)),
            end: balance(end, self.of_files.end, self.parts[1]).settled(free.map(Bytes)),
        }
    }

    /// What malloc held free at the peak: what it had taken less what was allocated of it. Both are known
    /// by what they changed until the end, where malloc was asked for what it holds free.
    fn free_at_peak(&self, free_at_end: Option<u64>) -> Option<Bytes> {
        let [then, now] = self.heap;
        let [at_peak, at_end] = &self.parts;
        let more = (then? - at_peak.native) - (now? - at_end.native);
        Some(Bytes(free_at_end?.saturating_add_signed(more)))
    }
}
