//! Memory over time.

use super::{Bytes, FileId, Nanos, SignedBytes};
use serde::{Deserialize, Serialize};

/// A line of the user's own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineKey {
    /// Its file.
    pub file: FileId,
    /// Its number, from 1.
    pub line: u32,
}

/// A moment of the recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelinePoint {
    /// Since the start.
    pub at: Nanos,
    /// Footprint above the start.
    pub footprint: SignedBytes,
    /// Resident set size, absolute; read at a poll, else interpolated between polls.
    pub rss: Bytes,
    /// What each line of [`Timeline::lines`] held, in the same order (missing at the end: 0).
    pub held: Vec<u64>,
    /// The line that allocated last, an index into [`Timeline::lines`].
    pub running: Option<u32>,
}

/// Memory over time, at most about 500 points; every extreme is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The lines that `held` and `running` speak of.
    pub lines: Vec<LineKey>,
    /// In the order of time.
    pub points: Vec<TimelinePoint>,
}

/// A run of the cyclic garbage collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// When it began, since the start.
    pub at: Nanos,
    /// How long it took.
    pub duration: Nanos,
    /// Which generation (2: everything).
    pub generation: u8,
    /// Objects that it freed.
    pub collected: u64,
    /// Garbage that it could not free.
    pub uncollectable: u64,
}
