//! The line table: what each line of the user's own code cost.
//!
//! The profiled code is listed whole and in order, other files by their lines that allocated.
//! Lines beyond the asked number are one row "other", and what no line answers for has rows of
//! its own, so the column "at the peak" always adds up to the peak footprint.

use super::hues::Hue;
use super::native_threads;
use super::relative_error;
use super::tally::{Figures, Names, Tally, place};
use crate::profile::{Bytes, FileKind, LineKey, Profile};
use std::collections::{BTreeMap, BTreeSet};

/// One line of the user's own code, for programs.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRow {
    /// The file, as in a traceback.
    pub filename: String,
    /// From 1.
    pub lineno: u32,
    /// The function that the line is in.
    pub function: String,
    /// Its text, without the blanks around it; empty where unknown.
    pub source: String,
    /// Live when the footprint was largest.
    pub peak: Bytes,
    /// Live at the end.
    pub surviving: Bytes,
    /// Everything that it allocated.
    pub allocated: Bytes,
    /// The number of allocations.
    pub count: u64,
    /// Freed before the end.
    pub temporary: Bytes,
    /// See [`line_error`].
    pub relative_error: f64,
    /// What of `allocated` was in use at some time.
    pub touched: Bytes,
}

/// Every line that allocated, unmerged: the profiled code first, by file and number.
pub fn all_lines(profile: &Profile) -> Vec<LineRow> {
    let tally = Tally::new(profile);
    let names = Names::new(profile);
    let step = profile.recording.sample_interval.as_f64();
    let mut keys: Vec<LineKey> = tally.lines.keys().copied().collect();
    keys.sort_by_key(|key| names.reading_order(*key));
    keys.into_iter()
        .map(|key| {
            let (figures, function) = &tally.lines[&key];
            LineRow {
                filename: profile.stacks.files[key.file.0 as usize].name.clone(),
                lineno: key.line,
                function: function.clone(),
                source: names.source(key).to_owned(),
                peak: Bytes::from_f64(figures.peak.value),
                surviving: Bytes::from_f64(figures.surviving.value),
                allocated: Bytes::from_f64(figures.allocated.value),
                count: Bytes::from_f64(figures.count.value).0,
                temporary: Bytes::from_f64(figures.temporary.value),
                relative_error: line_error(figures, step),
                touched: Bytes::from_f64(figures.touched()),
            }
        })
        .collect()
}

/// The larger of the errors of what was held at the peak and of what stays, as
/// [`relative_error`] says them, or that of what was allocated
/// where neither was. 0 when every allocation was recorded (`step` 0).
pub fn line_error(figures: &Figures, step: f64) -> f64 {
    let known = [figures.peak, figures.surviving].map(|figure| relative_error(figure, step));
    let larger = known.into_iter().flatten().reduce(f64::max);
    larger.or_else(|| relative_error(figures.allocated, step)).unwrap_or(0.0)
}

/// The line table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The profiled code first, then other files.
    pub groups: Vec<Group>,
    /// What no listed line answers for.
    pub rest: Vec<Rest>,
    /// The whole recording; its `peak` is that of all sites, without the slack.
    pub total: Figures,
    /// The largest footprint: the sum of the column "at the peak".
    pub peak_footprint: Bytes,
}

/// The lines of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What a reader calls the file.
    pub label: String,
    /// Whether it is the profiled code.
    pub main: bool,
    /// In the order of the source.
    pub rows: Vec<Row>,
}

/// A row of a [`Group`].
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A line with figures.
    Line(Line),
    /// A line that allocated nothing, or whose figures are in the row "other".
    Quiet {
        /// From 1.
        lineno: u32,
        /// Its text as written.
        source: String,
        /// Whether its figures are in the row "other".
        merged: bool,
    },
}

/// A line with figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Which one.
    pub key: LineKey,
    /// `line 7`, `helpers.py:12`.
    pub name: String,
    /// Its text as written, with its indentation.
    pub source: String,
    /// Its colour, unless it is one of the grey ones.
    pub hue: Option<Hue>,
    /// Whether it held more at the peak than any other.
    pub most_at_peak: bool,
    /// How much it matters, from 0: those with a colour first, then by their largest share.
    pub rank: usize,
    /// What it cost.
    pub figures: Figures,
}

/// What no listed line answers for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// What it is, in the user's words.
    pub label: String,
    /// How many lines it stands for; 0 where it is none of the user's own.
    pub lines: usize,
    /// Bytes at the peak; negative when the whole was smaller than its parts.
    pub peak: f64,
    /// The other figures, where there are any.
    pub figures: Option<Figures>,
}

/// Why parts may be larger than the whole, which is what was added to the process.
const REUSED: &str = "fit into memory that was there before, or replaced what the cell freed";

impl Table {
    pub(super) fn new(
        profile: &Profile,
        tally: &Tally,
        names: &Names<'_>,
        hues: &BTreeMap<LineKey, Hue>,
        top: usize,
    ) -> Table {
        let listed = choose(tally, hues, top);
        let rows = Rows { profile, tally, names, hues, listed: &listed };
        let mut groups: Vec<Group> = Vec::new();
        if let Some(main) = names.main() {
            groups.push(rows.main_file(main));
        }
        let mut others: BTreeMap<u32, Vec<Row>> = BTreeMap::new();
        for key in listed.keys().filter(|key| names.main() != Some(key.file.0 as usize)) {
            others.entry(key.file.0).or_default().push(rows.line(*key));
        }
        groups.extend(others.into_iter().map(|(file, rows)| Group {
            label: profile.stacks.files[file as usize].label.clone(),
            main: false,
            rows,
        }));
        Table {
            groups,
            rest: rest(profile, tally, names, &listed),
            total: tally.total,
            peak_footprint: profile.totals.peak_footprint,
        }
    }

    /// The table with at most so many lines by themselves: those with the lowest rank. The others join
    /// the row "other", so the columns still add up.
    pub fn limited(&self, most: usize) -> Table {
        let mut table = self.clone();
        let mut hidden = (0, Figures::default());
        for group in &mut table.groups {
            let main = group.main;
            let rows = std::mem::take(&mut group.rows).into_iter().filter_map(|row| match row {
                Row::Line(line) if line.rank >= most => {
                    hidden.0 += 1;
                    hidden.1 += line.figures;
                    let Line { key, source, .. } = line;
                    main.then_some(Row::Quiet { lineno: key.line, source, merged: true })
                }
                row => Some(row),
            });
            group.rows = rows.collect();
        }
        if hidden.0 == 0 {
            return table;
        }
        table.groups.retain(|group| group.main || !group.rows.is_empty());
        let (mut lines, mut figures) = hidden;
        if let Some(at) = table.rest.iter().position(|rest| rest.lines > 0) {
            let other = table.rest.remove(at);
            figures += other.figures.unwrap_or_default();
            lines += other.lines;
        }
        let (label, peak) = (other_lines(lines), figures.peak.value);
        table.rest.insert(0, Rest { label, lines, peak, figures: Some(figures) });
        table
    }

    /// By how much, and why, the parts are larger than the whole, if they are: a negative row.
    pub fn surplus(&self) -> Option<&Rest> {
        self.rest.iter().find(|rest| rest.peak < 0.0)
    }

    /// Every row with figures, in reading order.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.groups.iter().flat_map(|group| &group.rows).filter_map(|row| match row {
            Row::Line(line) => Some(line),
            Row::Quiet { .. } => None,
        })
    }
}

/// The lines that are shown by themselves, with their ranks: those with the largest share of
/// anything, and all that have a colour.
fn choose(tally: &Tally, hues: &BTreeMap<LineKey, Hue>, top: usize) -> BTreeMap<LineKey, usize> {
    let total = &tally.total;
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let mut ranked: Vec<(LineKey, f64)> = tally
        .lines
        .iter()
        .filter(|(_, (figures, _))| !figures.is_empty())
        .map(|(key, (f, _))| {
            let score = share(f.peak.value, total.peak.value)
                .max(share(f.surviving.value, total.surviving.value))
                .max(share(f.allocated.value, total.allocated.value));
            (*key, score)
        })
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    // One line alone is not worth being called "other".
    let shown = if ranked.len() == top + 1 { ranked.len() } else { top.min(ranked.len()) };
    let mut listed: Vec<LineKey> = ranked[..shown].iter().map(|(key, _)| *key).collect();
    let coloured = |key: &LineKey| hues.contains_key(key) && tally.lines.contains_key(key);
    listed.extend(
        hues.keys()
            .filter(|key| coloured(key) && !listed.contains(key))
            .copied()
            .collect::<Vec<_>>(),
    );
    listed.sort_by_key(|key| !coloured(key));
    listed.into_iter().zip(0..).collect()
}

struct Rows<'a> {
    profile: &'a Profile,
    tally: &'a Tally,
    names: &'a Names<'a>,
    hues: &'a BTreeMap<LineKey, Hue>,
    listed: &'a BTreeMap<LineKey, usize>,
}

impl Rows<'_> {
    fn main_file(&self, main: usize) -> Group {
        let file = &self.profile.stacks.files[main];
        let key = |line: u32| LineKey { file: crate::profile::FileId(main as u32), line };
        let mut numbers: BTreeSet<u32> = file.lines.keys().copied().collect();
        numbers.extend(self.listed.keys().filter(|k| k.file.0 as usize == main).map(|k| k.line));
        let rows = numbers
            .into_iter()
            .map(|lineno| {
                if self.listed.contains_key(&key(lineno)) {
                    return self.line(key(lineno));
                }
                let source = file.lines.get(&lineno).cloned().unwrap_or_default();
                let merged = self.tally.lines.get(&key(lineno)).is_some_and(|l| !l.0.is_empty());
                Row::Quiet { lineno, source, merged }
            })
            .collect();
        Group { label: file.label.clone(), main: true, rows }
    }

    fn line(&self, key: LineKey) -> Row {
        let figures = self.tally.lines[&key].0;
        let file = &self.profile.stacks.files[key.file.0 as usize];
        Row::Line(Line {
            key,
            name: self.names.line(key),
            source: file.lines.get(&key.line).cloned().unwrap_or_default(),
            hue: self.hues.get(&key).copied(),
            most_at_peak: self.tally.peak_line() == Some(key),
            rank: self.listed[&key],
            figures,
        })
    }
}

/// What lines without a row of their own are called.
fn other_lines(count: usize) -> String {
    let plural = if count == 1 { "line" } else { "lines" };
    format!("other: {count} {plural}")
}

fn rest(
    profile: &Profile,
    tally: &Tally,
    names: &Names<'_>,
    listed: &BTreeMap<LineKey, usize>,
) -> Vec<Rest> {
    let mut other = Figures::default();
    let mut merged = 0;
    for (figures, _) in
        tally.lines.iter().filter(|(key, _)| !listed.contains_key(key)).map(|(_, entry)| entry)
    {
        other += *figures;
        merged += usize::from(!figures.is_empty());
    }
    let mut rest = Vec::new();
    let (native, little) = native_threads::rows(profile, tally, names);
    let mut libraries = tally.libraries;
    libraries += little;
    let mut parts = vec![
        (other_lines(merged), merged, other),
        ("libraries without a line of yours".to_owned(), 0, libraries),
    ];
    parts.extend(native.into_iter().map(|(label, figures)| (label, 0, figures)));
    for (label, lines, figures) in parts {
        if !figures.is_empty() {
            rest.push(Rest { label, lines, peak: figures.peak.value, figures: Some(figures) });
        }
    }
    let slack = profile.totals.peak_footprint.as_f64() - tally.total.peak.value;
    if slack.abs() >= 1.0 {
        let recording = &profile.recording;
        let margin = tally.total.peak.margin(recording.sample_interval.as_f64());
        let label = if slack > 0.0 && recording.exact() {
            "allocator slack and not attributed"
        } else if slack > 0.0 {
            "allocator slack, sampling error and not attributed"
        } else if -slack <= margin {
            "the estimates add up to more than the whole, within their error"
        } else {
            REUSED
        };
        rest.push(Rest { label: label.to_owned(), lines: 0, peak: slack, figures: None });
    }
    rest
}
/// A line in words, whatever was profiled: `cell [3] line 2`, `helpers.py:12`.
pub fn place_of(profile: &Profile, key: LineKey) -> String {
    let file = &profile.stacks.files[key.file.0 as usize];
    let label = if file.label.is_empty() { &file.name } else { &file.label };
    place(label, false, file.kind == FileKind::Cell, key.line)
}
