//! Child processes: who they were, how large each was, and what they held together.
//!
//! Resident sets cannot be added up: a forked process shares the memory of its parent until one of
//! them writes to it. So what is added up, and drawn beside the footprint, is *private* memory, which no
//! other process has. At the moment when its sum was largest the rows add up to that sum.

use super::hues::Hue;
use super::tally::{Names, place};
use crate::profile::{Bytes, Child, FileId, FileKind, Forked, LineKey, Nanos, Profile};
use std::collections::BTreeMap;

/// The answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Children {
    /// The largest first.
    pub rows: Vec<ChildRow>,
    /// All other ones together.
    pub rest: Option<OtherChildren>,
    /// The most private memory that all of them held at once.
    pub peak: Bytes,
    /// When that was.
    pub peak_at: Nanos,
    /// Their private memory together over time: it stays as it is from one point to the next. Empty
    /// when there are no children.
    pub curve: Vec<(Nanos, f64)>,
    /// How many of them held what matters of `peak`, and how much that was.
    pub holders: (usize, Bytes),
    /// When the largest of them lived, in the order of their start.
    pub lanes: Vec<Lane>,
}

/// The life of a child process.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Since the start.
    pub from: Nanos,
    /// Since the start.
    pub to: Nanos,
    /// Its process id, as text.
    pub name: String,
    /// The line that held most in it, or what it ran; and how much; and how it was killed, if it was.
    pub words: Vec<String>,
    /// The colour of that line, if it has one.
    pub hue: Option<Hue>,
}

/// A child process.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildRow {
    /// What it ran, in a few words.
    pub command: String,
    /// Its process id.
    pub pid: u32,
    /// `0.12 s to 3.40 s`, `before to the end`.
    pub lifetime: String,
    /// How it ended: `exit 0`, `signal 9`, `ended`, `running`.
    pub ending: String,
    /// Its largest resident set.
    pub peak_rss: Bytes,
    /// Its largest proportional set, where one was read.
    pub peak_pss: Option<Bytes>,
    /// The most private memory that it held.
    pub peak_private: Bytes,
    /// Private memory that it held when all together held most.
    pub at_peak: Bytes,
}

/// Those without a row of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherChildren {
    /// How many.
    pub count: usize,
    /// Private memory that they held when all together held most.
    pub at_peak: Bytes,
}

/// Rows at most.
const ROWS: usize = 8;
/// Lives that are drawn at most.
const LANES: usize = 5;
/// Points of the curve at most: two a pixel of a 700 pixel chart would be seen.
const POINTS: usize = 1400;
/// Children that hold less than this share of the largest are not spoken of.
const HOLDER: f64 = 0.05;
/// What is worth a word.
const WORTH_WORDS: u64 = 1 << 20;

/// Whether children held enough to be drawn.
pub(super) fn matter(profile: &Profile) -> bool {
    profile.children.iter().any(|child| child.peak_private.0 >= WORTH_WORDS)
}

/// Said when they held more than the process itself added.
pub(super) fn sentence(profile: &Profile, children: &Children) -> Option<String> {
    let (count, held) = children.holders;
    if held.0 < WORTH_WORDS || held <= profile.totals.peak_footprint {
        return None;
    }
    let who = match count {
        0 | 1 => return Some(format!("A child process held {held} more.")),
        2..=9 => {
            ["Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"][count - 2].to_owned()
        }
        _ => count.to_string(),
    };
    Some(format!("{who} child processes held {held} more at once."))
}

/// Since when a child held how much, up to its end; whoever runs on goes on holding it.
fn steps(child: &Child) -> impl Iterator<Item = (Nanos, u64)> + '_ {
    let held = child.points.iter().filter(|point| child.ended.is_none_or(|end| point.at < end));
    held.map(|point| (point.at, point.private.0)).chain(child.ended.map(|end| (end, 0)))
}

pub(super) fn children(
    profile: &Profile,
    names: &Names<'_>,
    hues: &BTreeMap<LineKey, Hue>,
) -> Children {
    let all = &profile.children;
    if all.is_empty() {
        return Children::default();
    }
    let duration = profile.recording.duration;
    let mut events: Vec<(Nanos, usize, u64)> = all
        .iter()
        .enumerate()
        .flat_map(|(i, child)| steps(child).map(move |(at, held)| (at, i, held)))
        .collect();
    events.sort_by_key(|event| event.0);
    let mut held = vec![0; all.len()];
    // Figures of a file may be anything: as many of the largest as you like fit into 128 bits.
    let (mut sum, mut peak, mut peak_at) = (0u128, 0, Nanos(0));
    let mut curve = vec![(Nanos(0), 0.0)];
    for moment in events.chunk_by(|a, b| a.0 == b.0) {
        for &(_, i, now) in moment {
            sum = sum - u128::from(held[i]) + u128::from(now);
            held[i] = now;
        }
        if sum > peak {
            (peak, peak_at) = (sum, moment[0].0);
        }
        curve.push((moment[0].0, sum as f64));
    }
    let last = curve.last().map_or(Nanos(0), |point| point.0);
    curve.push((duration.max(last), sum as f64));
    let mut at_peak = vec![0; all.len()];
    for &(_, i, now) in events.iter().take_while(|event| event.0 <= peak_at) {
        at_peak[i] = now;
    }

    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse((at_peak[i], all[i].peak_private, all[i].peak_rss)));
    let least = (at_peak.iter().copied().max().unwrap_or(0) as f64 * HOLDER).max(1.0);
    let holders: Vec<u64> = at_peak.iter().copied().filter(|&held| held as f64 >= least).collect();
    let total = |held: &[u64]| Bytes(held.iter().fold(0, |sum, held| sum.saturating_add(*held)));
    let shown = if all.len() > ROWS { ROWS - 1 } else { ROWS };
    let others = order.get(shown..).filter(|others| !others.is_empty());
    let most = order.first().map_or(0, |&i| all[i].peak_private.0);
    let worth = |i: &&usize| all[**i].peak_private.0 as f64 >= most as f64 * HOLDER;
    let mut lanes: Vec<Lane> = (order.iter().take(LANES).filter(worth))
        .map(|&i| lane(profile, &all[i], names, hues))
        .collect();
    lanes.sort_by_key(|lane| lane.from);
    Children {
        lanes,
        rows: order.iter().take(shown).map(|&i| row(&all[i], Bytes(at_peak[i]))).collect(),
        rest: others.map(|others| OtherChildren {
            count: others.len(),
            at_peak: total(&others.iter().map(|&i| at_peak[i]).collect::<Vec<u64>>()),
        }),
        peak: Bytes(u64::try_from(peak).unwrap_or(u64::MAX)),
        peak_at,
        curve: thin(curve, duration),
        holders: (holders.len(), total(&holders)),
    }
}

/// Of more points than can be told apart the highest of each span of time.
fn thin(curve: Vec<(Nanos, f64)>, duration: Nanos) -> Vec<(Nanos, f64)> {
    if curve.len() <= POINTS {
        return curve;
    }
    let span = |at: Nanos| u128::from(at.0) * POINTS as u128 / (u128::from(duration.0) + 1);
    let spans = curve.chunk_by(|a, b| span(a.0) == span(b.0));
    spans.filter_map(|points| points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))).collect()
}

fn lane(
    profile: &Profile,
    child: &Child,
    names: &Names<'_>,
    hues: &BTreeMap<LineKey, Hue>,
) -> Lane {
    let told = |forked: &&Forked| forked.pid == child.pid;
    let line = profile
        .forked
        .iter()
        .find(told)
        .and_then(|forked| forked.lines.iter().max_by_key(|line| (line.peak, line.allocated)));
    let main = profile.recording.main_file.as_deref();
    let (who, held, hue) = match line {
        Some(line) => {
            let is_main = main == Some(line.file.as_str());
            let label = if line.label.is_empty() { &line.file } else { &line.label };
            let is_cell = line.kind == Some(FileKind::Cell);
            let key = |file: usize| LineKey { file: FileId(file as u32), line: line.line };
            let hue = names.main().filter(|_| is_main).and_then(|file| hues.get(&key(file)));
            (place(label, is_main, is_cell, line.line), line.peak, hue.copied())
        }
        None => (child.command.clone(), child.peak_private, None),
    };
    let mut words = vec![who, held.to_string()];
    if let Some(signal) = child.status.filter(|status| *status < 0) {
        words.push(format!("signal {}", signal.unsigned_abs()));
    }
    Lane {
        from: child.started.unwrap_or(Nanos(0)),
        to: child.ended.unwrap_or(profile.recording.duration),
        name: child.pid.to_string(),
        words,
        hue,
    }
}

fn row(child: &Child, at_peak: Bytes) -> ChildRow {
    let from = child.started.map_or_else(|| "before".to_owned(), |at| at.to_string());
    let to = child.ended.map_or_else(|| "the end".to_owned(), |at| at.to_string());
    let ending = match (child.status, child.ended) {
        (Some(status), _) if status < 0 => format!("signal {}", status.unsigned_abs()),
        (Some(status), _) => format!("exit {status}"),
        (None, Some(_)) => "ended".to_owned(),
        (None, None) => "running".to_owned(),
    };
    ChildRow {
        command: child.command.clone(),
        pid: child.pid,
        lifetime: format!("{from} to {to}"),
        ending,
        peak_rss: child.peak_rss,
        peak_pss: child.peak_pss,
        peak_private: child.peak_private,
        at_peak,
    }
}
