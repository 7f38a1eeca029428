//! Other platforms: the resident set size alone, where `memory-stats` knows how to ask for it.

use super::Resident;
use crate::profile::Bytes;
use memory_stats::memory_stats;

#[derive(Debug)]
pub(super) struct RssReader;

impl RssReader {
    pub(super) fn open() -> Option<RssReader> {
        memory_stats().map(|_| RssReader)
    }

    /// What of it is of files is not told.
    pub(super) fn read(&self) -> Option<Resident> {
        let now = memory_stats()?;
        Some(Resident { all: Bytes(now.physical_mem as u64), of_files: Bytes(0) })
    }
}

pub(super) fn reset_peak() -> bool {
    false
}

pub(super) fn peak() -> Option<Bytes> {
    None
}
