//! Two profiles side by side: what grew, and which lines are responsible.
//!
//! A line is the same line in both when its text is (the first of several alike with the first, and
//! so on), wherever it moved: a cell has another number and file name each time it is run. Each column
//! of changes adds up to the change of the whole.

use super::tally::{Figures, Names, Tally};
use super::verdict::is_tiny;
use crate::profile::{Bytes, Estimate, LineKey, Profile, SignedBytes};
use std::collections::BTreeMap;

/// A figure before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Change {
    /// Bytes.
    pub before: f64,
    /// Bytes.
    pub after: f64,
    /// Half the width of the 95% interval of the difference, in bytes; 0 where both are exact.
    pub margin: f64,
}

impl Change {
    /// By how much it grew; negative when it shrank.
    pub fn grown(&self) -> f64 {
        self.after - self.before
    }

    /// Whether it may be chance alone.
    pub fn within_error(&self) -> bool {
        self.margin > 0.0 && self.grown().abs() <= self.margin
    }
}

impl std::ops::AddAssign for Change {
    fn add_assign(&mut self, other: Change) {
        self.before += other.before;
        self.after += other.after;
        self.margin = self.margin.hypot(other.margin);
    }
}

/// A row: a line, or what is left.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffRow {
    /// `line 7`; `line 7 → 9` when it moved.
    pub name: String,
    /// Its text, without the blanks around it.
    pub source: String,
    /// What it held at the peak.
    pub peak: Change,
    /// What stays of it.
    pub surviving: Change,
    /// What it allocated.
    pub allocated: Change,
}

/// The comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// What both are called.
    pub titles: [String; 2],
    /// Every line that allocated in one of them, the one that changed most first.
    pub lines: Vec<DiffRow>,
    /// Libraries, native threads and the allocators' slack.
    pub rest: DiffRow,
    /// The whole.
    pub total: DiffRow,
    /// Resident peaks.
    pub resident: [Bytes; 2],
    /// The answer in a sentence; `true` marks what matters most.
    pub headline: Vec<(String, bool)>,
}

type Key = (bool, String, String, usize);

struct Side<'a> {
    lines: BTreeMap<Key, (String, &'a Figures)>,
    tally: &'a Tally,
    step: f64,
    peak: f64,
}

impl<'a> Side<'a> {
    fn new(profile: &'a Profile, tally: &'a Tally) -> Side<'a> {
        let names = Names::new(profile);
        let mut keys: Vec<LineKey> = tally.lines.keys().copied().collect();
        keys.sort_by_key(|key| names.reading_order(*key));
        let mut seen: BTreeMap<(bool, String, String), usize> = BTreeMap::new();
        let mut lines = BTreeMap::new();
        for key in keys {
            let main = names.main() == Some(key.file.0 as usize);
            let file = &profile.stacks.files[key.file.0 as usize];
            let label = if main { String::new() } else { file.label.clone() };
            let source = names.source(key).to_owned();
            let (name, text) =
                (names.line(key), if source.is_empty() { key.line.to_string() } else { source });
            let nth = seen.entry((main, label.clone(), text.clone())).or_default();
            lines.insert((main, label, text, *nth), (name, &tally.lines[&key].0));
            *nth += 1;
        }
        let step = profile.recording.sample_interval.as_f64();
        Side { lines, tally, step, peak: profile.totals.peak_footprint.as_f64() }
    }

    /// A figure and its margin.
    fn figure(&self, key: &Key, of: fn(&Figures) -> Estimate) -> (f64, f64) {
        self.lines.get(key).map_or((0.0, 0.0), |(_, figures)| {
            let figure = of(figures);
            (figure.value, figure.margin(self.step))
        })
    }
}

impl Diff {
    /// What changed from one profile to the other.
    pub fn new(before: &Profile, after: &Profile) -> Diff {
        let tallies = [Tally::new(before), Tally::new(after)];
        let sides = [Side::new(before, &tallies[0]), Side::new(after, &tallies[1])];
        let mut keys: Vec<&Key> = sides.iter().flat_map(|side| side.lines.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let change = |key: &Key, of: fn(&Figures) -> Estimate| {
            let [(a, from), (b, to)] = [sides[0].figure(key, of), sides[1].figure(key, of)];
            Change { before: a, after: b, margin: from.hypot(to) }
        };
        let mut lines: Vec<DiffRow> = keys
            .into_iter()
            .map(|key| DiffRow {
                name: name(
                    sides.each_ref().map(|side| side.lines.get(key).map(|(name, _)| name.as_str())),
                ),
                source: key.2.clone(),
                peak: change(key, |f| f.peak),
                surviving: change(key, |f| f.surviving),
                allocated: change(key, |f| f.allocated),
            })
            .collect();
        let weight = |row: &DiffRow| row.peak.grown().abs().max(row.surviving.grown().abs());
        lines.sort_by(|a, b| {
            let by_allocated = b.allocated.grown().abs().total_cmp(&a.allocated.grown().abs());
            weight(b).total_cmp(&weight(a)).then(by_allocated).then_with(|| a.name.cmp(&b.name))
        });
        let whole = |of: fn(&Side<'_>) -> f64| Change {
            before: of(&sides[0]),
            after: of(&sides[1]),
            margin: 0.0,
        };
        let total = DiffRow {
            name: "in all".to_owned(),
            source: String::new(),
            peak: whole(|side| side.peak),
            surviving: whole(|side| side.tally.total.surviving.value),
            allocated: whole(|side| side.tally.total.allocated.value),
        };
        let left = |of: fn(&DiffRow) -> Change| {
            let mut rest = of(&total);
            for row in &lines {
                rest.before -= of(row).before;
                rest.after -= of(row).after;
            }
            rest
        };
        let rest = DiffRow {
            name: "libraries, threads, slack".to_owned(),
            source: String::new(),
            peak: left(|row| row.peak),
            surviving: left(|row| row.surviving),
            allocated: left(|row| row.allocated),
        };
        let tiny = is_tiny(before) && is_tiny(after);
        Diff {
            titles: [before, after].map(|profile| profile.recording.title.clone()),
            headline: headline(&total, &lines, tiny),
            lines,
            rest,
            total,
            resident: [before, after].map(|profile| profile.totals.peak_rss),
        }
    }

    /// The first sentence as one piece.
    pub fn sentence(&self) -> String {
        self.headline.iter().map(|(piece, _)| piece.as_str()).collect()
    }

    /// The `top` lines that changed most, all others as one row, and what no line answers for: the
    /// rows add up to `total`.
    pub fn rows(&self, top: usize) -> Vec<DiffRow> {
        let changed = |row: &&DiffRow| {
            [row.peak, row.surviving, row.allocated]
                .iter()
                .any(|change| change.before + change.after >= 1.0)
        };
        let all: Vec<&DiffRow> = self.lines.iter().filter(changed).collect();
        // One line alone is not worth being called "other".
        let shown = if all.len() == top + 1 { all.len() } else { top.min(all.len()) };
        let (listed, others) = all.split_at(shown);
        let mut rows: Vec<DiffRow> = listed.iter().map(|row| (*row).clone()).collect();
        if let Some((first, more)) = others.split_first() {
            let mut other = (*first).clone();
            for row in more {
                other.peak += row.peak;
                other.surviving += row.surviving;
                other.allocated += row.allocated;
            }
            other.name = format!("other: {} lines", others.len());
            other.source = String::new();
            rows.push(other);
        }
        let rest = [self.rest.peak, self.rest.surviving, self.rest.allocated];
        if rest.iter().any(|change| change.before.abs() >= 1.0 || change.after.abs() >= 1.0) {
            rows.push(self.rest.clone());
        }
        rows
    }
}

fn name(names: [Option<&str>; 2]) -> String {
    match names {
        [Some(before), Some(after)] if before == after => before.to_owned(),
        [Some(before), Some(after)] => {
            let short = after.strip_prefix("line ").filter(|_| before.starts_with("line "));
            format!("{before} → {}", short.unwrap_or(after))
        }
        [Some(before), None] => format!("{before} (before only)"),
        [None, Some(after)] => format!("{after} (new)"),
        [None, None] => String::new(),
    }
}

/// Changes below this share of the larger one are none.
const SAME: f64 = 0.01;

fn headline(total: &DiffRow, lines: &[DiffRow], tiny: bool) -> Vec<(String, bool)> {
    let peak = total.peak;
    let size = |bytes: f64| Bytes::from_f64(bytes.abs());
    let from_to = format!("{} → {}", size(peak.before), size(peak.after));
    let same = |change: Change| change.grown().abs() <= SAME * change.before.max(change.after);
    let mut said = if tiny || same(peak) {
        vec![("Peak as before".to_owned(), true), (format!(" ({from_to})"), false)]
    } else {
        let word = if peak.grown() > 0.0 { "Peak grew" } else { "Peak shrank" };
        let mut said = vec![
            (format!("{word} by {}", size(peak.grown())), true),
            (format!(" ({from_to})"), false),
        ];
        let with_it =
            |row: &&DiffRow| row.peak.grown() * peak.grown().signum() >= 0.5 * peak.grown().abs();
        if let Some(row) = lines.iter().filter(|row| !row.peak.within_error()).find(with_it) {
            said.push((format!(", most of it at {}", row.name), false));
        }
        said
    };
    let stays = total.surviving;
    said.push(("; ".to_owned(), false));
    said.push(if tiny || same(stays) {
        ("as much stays".to_owned(), false)
    } else {
        let word = if stays.grown() > 0.0 { "more" } else { "less" };
        (format!("{} {word} stays", size(stays.grown())), true)
    });
    said.push((".".to_owned(), false));
    said
}

/// A change in words: `+4.00 KiB`, `−1.50 GiB`, `0`.
pub fn signed(bytes: f64) -> String {
    let whole = SignedBytes(bytes.round() as i64);
    if whole.0 == 0 { "0".to_owned() } else { whole.to_string() }
}
