//! What lines did in processes that were forked.
//!
//! Their peaks were at different moments, so they are not added up: a row has the most that its line held
//! in one process, when that process held most, and what it allocated in all of them.

use super::tally::place;
use crate::profile::{Bytes, FileKind, ForkedLine, Profile};
use std::collections::BTreeMap;

/// The answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forked {
    /// The largest first.
    pub rows: Vec<ForkedRow>,
    /// Lines without a row of their own.
    pub others: usize,
    /// Processes that told of their lines.
    pub processes: usize,
    /// The coarsest mean number of bytes between samples in one of them; 0: all are exact.
    pub sample_interval: Bytes,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkedRow {
    /// `line 7`, `cell [3] line 7` or `helpers.py:12`.
    pub place: String,
    /// Its text; empty where unknown.
    pub source: String,
    /// How many processes it allocated in.
    pub processes: usize,
    /// The most that it held in one of them when that one held most.
    pub peak: Bytes,
    /// What it allocated in all of them.
    pub allocated: Bytes,
}

/// Rows at most.
const ROWS: usize = 8;
/// A line that neither held nor allocated this share of the largest has no row.
const WORTH_A_ROW: f64 = 0.01;

pub(super) fn forked(profile: &Profile) -> Forked {
    let mut lines: BTreeMap<(&str, u32), (&ForkedLine, ForkedRow)> = BTreeMap::new();
    for line in profile.forked.iter().flat_map(|process| &process.lines) {
        let (_, row) = lines.entry((&line.file, line.line)).or_insert_with(|| {
            let row = ForkedRow {
                place: String::new(),
                source: line.source.clone(),
                processes: 0,
                peak: Bytes(0),
                allocated: Bytes(0),
            };
            (line, row)
        });
        row.processes += 1;
        row.peak = row.peak.max(line.peak);
        row.allocated = Bytes(row.allocated.0.saturating_add(line.allocated.0));
    }
    let main = profile.recording.main_file.as_deref();
    let mut rows: Vec<ForkedRow> = lines
        .into_values()
        .map(|(line, row)| {
            let is_cell = line.kind == Some(FileKind::Cell);
            let label = if line.label.is_empty() { &line.file } else { &line.label };
            let is_main = main == Some(line.file.as_str());
            ForkedRow { place: place(label, is_main, is_cell, line.line), ..row }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.peak, row.allocated)));
    let found = rows.len();
    let largest = |figure: fn(&ForkedRow) -> Bytes| rows.iter().map(figure).max();
    let least = [largest(|row| row.peak), largest(|row| row.allocated)]
        .map(|most| most.unwrap_or_default().as_f64() * WORTH_A_ROW);
    rows.retain(|row| row.peak.as_f64() >= least[0] || row.allocated.as_f64() >= least[1]);
    rows.truncate(ROWS);
    Forked {
        others: found - rows.len(),
        rows,
        processes: profile.forked.len(),
        sample_interval: profile.forked.iter().map(|f| f.sample_interval).max().unwrap_or_default(),
    }
}
