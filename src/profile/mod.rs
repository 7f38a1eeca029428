//! The nouns: a finished recording as plain data.
//!
//! A [`Profile`] is what a recording leaves behind: columns and tables joined by
//! small integer ids, no pointers, no Python object. It is complete in itself: it
//! can be saved, loaded on another machine and drawn there.
//!
//! # The file format
//!
//! JSON with `"format": "memprofile"` and a `"version"`. A version is raised only
//! when an older reader would misread the file. Fields may be added within a
//! version and have a default, so every version reads all files before it; a file
//! from a later version is refused by [`Profile::from_json`] with a sentence that
//! says so.

mod check;
mod child;
mod copies;
mod keeper;
mod ledger;
mod names;
mod object_graph;
mod site;
mod size_class;
mod stack;
pub mod telemetry;
mod timeline;
mod units;

pub use child::{Child, ChildPoint, Forked, ForkedLine};
pub use copies::Copies;
pub use keeper::Keeper;
pub use ledger::{Balance, Ledger};
pub use names::{NameChange, Names};
pub use object_graph::{Kind, ObjectGraph, Role};
pub use site::{Allocator, Estimate, Site, ThreadKind};
pub use size_class::SizeClass;
pub use stack::{FileId, FileKind, Frame, FrameId, SourceFile, StackId, StackTable};
pub use timeline::{Collection, LineKey, Timeline, TimelinePoint};
pub use units::{Bytes, Nanos, SignedBytes};

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// The newest file version that this crate reads, and the one that it writes.
pub const VERSION: u32 = 1;

/// A finished recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Always `"memprofile"`.
    pub format: String,
    /// The version of the file format, see [`VERSION`].
    pub version: u32,
    /// What was recorded, where and how.
    pub recording: Recording,
    /// The whole-process figures.
    pub totals: Totals,
    /// Every distinct stack seen, as a prefix tree from the root frame down.
    pub stacks: StackTable,
    /// One row for each stack and allocator that allocated.
    pub sites: Vec<Site>,
    /// Memory over time.
    pub timeline: Timeline,
    /// Runs of the cyclic garbage collector: of a very busy one the first that were timed, and of many the
    /// longest.
    pub collections: Vec<Collection>,
    /// How many collector runs there were in all (`collections` may hold fewer).
    pub collection_count: u64,
    /// What could not be measured, each as one sentence with its reason.
    pub gaps: Vec<String>,
    /// Where the growth of the resident set went; `None` where that was not read.
    #[serde(default)]
    pub ledger: Option<Ledger>,
    /// Allocations by the size of their blocks, smallest first; only classes that have any.
    #[serde(default)]
    pub sizes: Vec<SizeClass>,
    /// Lines that made large temporaries on the way to their result.
    #[serde(default)]
    pub copies: Vec<Copies>,
    /// Processes that the code started, in the order in which they were found.
    #[serde(default)]
    pub children: Vec<Child>,
    /// What was recorded in processes that were forked.
    #[serde(default)]
    pub forked: Vec<Forked>,
    /// What the notebook's names held before and after; empty where nobody looked.
    #[serde(default)]
    pub names: Names,
    /// Who keeps memory when the code has ended, beside its own names.
    #[serde(default)]
    pub keepers: Vec<Keeper>,
}

/// What was recorded, where and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// What a reader calls it: `cell [12]`, or a function's name.
    pub title: String,
    /// The file name of the code that was profiled (a cell's own, as in a traceback), if known.
    pub main_file: Option<String>,
    /// Seconds since 1970-01-01 UTC at the start.
    pub started_at: f64,
    /// Wall time from start to stop.
    pub duration: Nanos,
    /// Time spent in our own code at samples and polls while recording.
    pub overhead: Nanos,
    /// Mean bytes between samples at the end of the recording; 0 when every allocation was recorded.
    pub sample_interval: Bytes,
    /// Mean time between two readings of the resident set size.
    pub poll_period: Nanos,
    /// Memory that the recorder itself held, at most.
    pub own_memory: Bytes,
    /// The interpreter, such as `CPython 3.13.0`.
    pub interpreter: String,
    /// The platform, such as `linux x86_64`.
    pub platform: String,
    /// Whether the cell ended by an exception; its type's name.
    pub exception: Option<String>,
    /// Whether it was asked to record every allocation, however many there are.
    #[serde(default)]
    pub exact_asked: bool,
    /// How many allocations were recorded one by one.
    #[serde(default)]
    pub events: u64,
}

impl Recording {
    /// Whether every allocation was recorded, so that no figure is an estimate.
    pub fn exact(&self) -> bool {
        self.sample_interval == Bytes(0)
    }
}

/// The whole-process figures. "Relative" means: above what there was at the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// The largest footprint, relative.
    pub peak_footprint: Bytes,
    /// When the largest footprint was reached, from the start.
    pub peak_at: Nanos,
    /// Footprint at the end, relative; negative where the cell freed older memory.
    pub footprint_delta: SignedBytes,
    /// Resident set size at the start, absolute.
    pub start_rss: Bytes,
    /// The kernel's own high-water mark of the resident set size, absolute.
    pub peak_rss: Bytes,
    /// Whether `peak_rss` is the kernel's mark, reset at the start (`false`: the largest reading of the poll).
    pub peak_rss_exact: bool,
    /// Resident set size at the end, absolute.
    pub end_rss: Bytes,
    /// Bytes of all allocations, the temporary ones too.
    pub allocated: Estimate,
    /// The number of allocations.
    pub allocation_count: Estimate,
    /// Bytes of the allocations that were still live at the end.
    pub surviving: Estimate,
    /// Bytes of the allocations live at the peak; with the slack it makes `peak_footprint`.
    pub live_at_peak: Estimate,
    /// What of the resident set is pages of files; no part of the footprint.
    #[serde(default)]
    pub of_files: OfFiles,
}

/// Resident pages of files (mapped data, libraries) and of shared memory, absolute. The kernel can drop
/// a file's pages whenever it needs room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfFiles {
    /// At the start.
    pub start: Bytes,
    /// The largest reading.
    pub peak: Bytes,
    /// At the end.
    pub end: Bytes,
}

impl OfFiles {
    /// The largest reading, above the start.
    pub fn grown(&self) -> Bytes {
        Bytes(self.peak.0.saturating_sub(self.start.0))
    }
}

impl Profile {
    /// Writes the profile as JSON of the current [`VERSION`].
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a profile has string keys and finite numbers only")
    }

    /// Reads a profile that this or an older version wrote.
    ///
    /// # Errors
    /// [`Error::NotAProfile`] for anything that is not a memprofile file or whose ids
    /// point nowhere, [`Error::NewerProfile`] for one of a later version.
    pub fn from_json(text: &str) -> Result<Profile> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let not_a_profile = |e: serde_json::Error| Error::NotAProfile { reason: e.to_string() };
        let head: Head = serde_json::from_str(text).map_err(not_a_profile)?;
        if head.format != "memprofile" {
            return Err(Error::NotAProfile { reason: format!("its format is {:?}", head.format) });
        }
        if head.version > VERSION {
            return Err(Error::NewerProfile { found: head.version, newest: VERSION });
        }
        let profile: Profile = serde_json::from_str(text).map_err(not_a_profile)?;
        profile.check()?;
        Ok(profile)
    }
}
