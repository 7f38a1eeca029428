//! A line of source has one colour everywhere: in the timeline, the table and the flame graph.
//!
//! There are six colours and no more, because nobody tells seven apart. They go to the lines
//! that held the most at some moment; the line that held most at the peak always has the first
//! colour, the others take theirs in reading order. All else is grey.

use super::tally::{Names, Tally};
use crate::profile::{LineKey, Profile};
use std::collections::BTreeMap;

/// One of the [`HUES`] colours; which ink it is, is the renderer's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hue(pub u8);

/// How many colours there are.
pub const HUES: usize = 6;

/// A line that never held this share of the most that any line held stays grey.
const WORTH_A_COLOUR: f64 = 0.01;

pub(super) fn assign(
    profile: &Profile,
    tally: &Tally,
    names: &Names<'_>,
) -> BTreeMap<LineKey, Hue> {
    let mut most: BTreeMap<LineKey, f64> =
        tally.lines.iter().map(|(key, (figures, _))| (*key, figures.peak.value)).collect();
    for point in &profile.timeline.points {
        for (key, held) in profile.timeline.lines.iter().zip(&point.held) {
            let entry = most.entry(*key).or_default();
            *entry = entry.max(*held as f64);
        }
    }
    let largest = most.values().copied().fold(0.0, f64::max);
    let peak_line = tally.peak_line();
    let mut ranked: Vec<(LineKey, f64)> = most
        .into_iter()
        .filter(|(key, held)| {
            *held > 0.0 && *held >= WORTH_A_COLOUR * largest || Some(*key) == peak_line
        })
        .collect();
    ranked.sort_by(|a, b| {
        let first = |key| Some(key) != peak_line;
        first(a.0).cmp(&first(b.0)).then(b.1.total_cmp(&a.1)).then(a.0.cmp(&b.0))
    });
    ranked.truncate(HUES);
    let mut keys: Vec<LineKey> = ranked.into_iter().map(|(key, _)| key).collect();
    keys.sort_by_key(|key| (Some(*key) != peak_line, names.reading_order(*key)));
    let first = usize::from(peak_line.is_none());
    keys.into_iter().zip((first..HUES).map(|hue| Hue(hue as u8))).collect()
}
