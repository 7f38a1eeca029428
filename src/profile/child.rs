//! Child processes.

use super::{Bytes, FileKind, Nanos};
use serde::{Deserialize, Serialize};

/// A process that was started while the recording ran, by this process or by one of its
/// descendants; or one that was there before and grew meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Its process id.
    pub pid: u32,
    /// The process that started it.
    pub parent: u32,
    /// What it ran, in a few words: `python worker (spawn)`, `git log`.
    pub command: String,
    /// Since the start of the recording; `None` when it was there before.
    pub started: Option<Nanos>,
    /// Since the start of the recording; `None` when it was still running at the end.
    pub ended: Option<Nanos>,
    /// Its exit status, or the negative number of the signal that killed it, where that was seen.
    pub status: Option<i32>,
    /// Its resident set size when it was first looked at, if it was there before; else 0.
    pub start_rss: Bytes,
    /// Its largest resident set size: the kernel's own mark as of the last look, or the largest
    /// reading where the mark is older than the recording. What it shares with others is in it.
    pub peak_rss: Bytes,
    /// Its largest proportional set size, in which a page that several processes share counts for each
    /// by its part: as read now and then, or `peak_rss` without the others' parts as last read. `None`
    /// when there was no reading in time.
    pub peak_pss: Option<Bytes>,
    /// The largest `private` of its points.
    pub peak_private: Bytes,
    /// In the order of time; its size stays as it is from one to the next.
    pub points: Vec<ChildPoint>,
}

/// A process that was forked without executing another program, as its own hooks saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forked {
    /// Its process id.
    pub pid: u32,
    /// The largest footprint above its fork.
    pub peak: Bytes,
    /// Mean bytes between its samples; 0: everything was recorded.
    pub sample_interval: Bytes,
    /// Lines of the user's own that allocated in it, the largest at its peak first. Their figures are as
    /// of its end, or as last told by a child that was killed.
    pub lines: Vec<ForkedLine>,
}

/// What a line of the user's own did in a forked process. Estimates, as in a
/// [`Site`](super::Site).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForkedLine {
    /// Its file, as in a traceback.
    pub file: String,
    /// What a reader calls that file.
    #[serde(default)]
    pub label: String,
    /// Whose code that file is, where it is known.
    #[serde(default)]
    pub kind: Option<FileKind>,
    /// From 1.
    pub line: u32,
    /// The function that it is in.
    pub function: String,
    /// Its text, where it is known.
    #[serde(default)]
    pub source: String,
    /// Live when the footprint of the process was largest.
    pub peak: Bytes,
    /// Live at the end, or as last told.
    pub surviving: Bytes,
    /// Everything that was allocated.
    pub allocated: Bytes,
    /// The number of allocations.
    pub count: u64,
}

/// A child at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildPoint {
    /// Since the start of the recording.
    pub at: Nanos,
    /// Its resident set size.
    pub rss: Bytes,
    /// What of it no other process has, and the recording is to answer for: of a child that was there
    /// before it is the growth. Read from the kernel now and then, and in between moved with the
    /// resident set.
    pub private: Bytes,
}
