//! Who answers for what: every site's figures, added up by the user's line that caused them.
//!
//! A site goes to exactly one place (a line, "libraries", "native threads"), so the parts of a
//! tally add up to the whole recording.

use crate::profile::{Estimate, FileKind, LineKey, Profile, Site, StackTable, ThreadKind};
use std::collections::BTreeMap;

/// What one place in the code cost. Bytes, except `count`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Live when the footprint was largest.
    pub peak: Estimate,
    /// Live at the end.
    pub surviving: Estimate,
    /// Everything that was allocated.
    pub allocated: Estimate,
    /// Freed before the end.
    pub temporary: Estimate,
    /// The number of allocations.
    pub count: Estimate,
    /// What of `allocated` was asked for and never in use.
    pub untouched: f64,
}

impl Figures {
    /// Adds one site.
    pub fn add_site(&mut self, site: &Site) {
        self.peak += site.peak;
        self.surviving += site.surviving;
        self.allocated += site.allocated;
        self.temporary += site.temporary;
        self.count += site.count;
        self.untouched += site.untouched.as_f64();
    }

    /// What of `allocated` was in use at some time.
    pub fn touched(&self) -> f64 {
        self.allocated.value - self.untouched
    }

    /// Whether nothing at all was allocated.
    pub fn is_empty(&self) -> bool {
        self.count.value <= 0.0 && self.allocated.value <= 0.0 && self.peak.value <= 0.0
    }
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        self.peak += other.peak;
        self.surviving += other.surviving;
        self.allocated += other.allocated;
        self.temporary += other.temporary;
        self.count += other.count;
        self.untouched += other.untouched;
    }
}

/// All sites by the place that answers for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// By line, with the function that the line belongs to.
    pub lines: BTreeMap<LineKey, (Figures, String)>,
    /// Stacks on which only libraries are.
    pub libraries: Figures,
    /// Threads without a Python frame.
    pub native: Figures,
    /// All of them.
    pub total: Figures,
}

impl Tally {
    pub fn new(profile: &Profile) -> Tally {
        let mut tally = Tally::default();
        for site in &profile.sites {
            tally.total.add_site(site);
            match site.stack.and_then(|stack| profile.stacks.user_line(stack)) {
                Some(frame) => {
                    let key = LineKey { file: frame.file, line: frame.line };
                    let entry = tally.lines.entry(key).or_default();
                    entry.0.add_site(site);
                    if entry.1.is_empty() {
                        entry.1.clone_from(&frame.function);
                    }
                }
                None if site.thread == ThreadKind::Native => tally.native.add_site(site),
                None => tally.libraries.add_site(site),
            }
        }
        tally
    }

    /// The line that held most at the peak.
    pub fn peak_line(&self) -> Option<LineKey> {
        let held = |entry: &(&LineKey, &(Figures, String))| entry.1.0.peak.value;
        self.lines
            .iter()
            .max_by(|a, b| held(a).total_cmp(&held(b)).then(b.0.cmp(a.0)))
            .filter(|entry| held(entry) > 0.0)
            .map(|(key, _)| *key)
    }
}

/// How the files of a profile are spoken of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    stacks: &'a StackTable,
    main: Option<usize>,
}

impl<'a> Names<'a> {
    pub fn new(profile: &'a Profile) -> Names<'a> {
        let files = &profile.stacks.files;
        let wanted = profile.recording.main_file.as_deref();
        let main = wanted.and_then(|name| {
            files
                .iter()
                .position(|f| f.name == name && matches!(f.kind, FileKind::Cell | FileKind::User))
        });
        Names { stacks: &profile.stacks, main }
    }

    /// The file that was profiled, an index into the files.
    pub fn main(&self) -> Option<usize> {
        self.main
    }

    /// `line 7` in the profiled code, `cell [3] line 7` or `helpers.py:12` elsewhere.
    pub fn line(&self, key: LineKey) -> String {
        let file = &self.stacks.files[key.file.0 as usize];
        let is_main = self.main == Some(key.file.0 as usize);
        place(&file.label, is_main, file.kind == FileKind::Cell, key.line)
    }

    /// The text of a line, without the blanks around it; empty where unknown.
    pub fn source(&self, key: LineKey) -> &'a str {
        self.stacks.files[key.file.0 as usize].lines.get(&key.line).map_or("", |text| text.trim())
    }

    /// The order in which lines are read: the profiled code first.
    pub fn reading_order(&self, key: LineKey) -> (bool, LineKey) {
        (self.main != Some(key.file.0 as usize), key)
    }
}

/// A line in words: see [`Names::line`].
pub(super) fn place(label: &str, is_main: bool, is_cell: bool, line: u32) -> String {
    if is_main {
        format!("line {line}")
    } else if is_cell {
        format!("{label} line {line}")
    } else {
        let label = label.trim_end_matches(['/', '\\']);
        let short = label.rsplit(['/', '\\']).next().unwrap_or(label);
        format!("{short}:{line}")
    }
}
