//! Memory over time, ready to draw: who held what, when, and which line was running.
//!
//! No extreme is lost on the way: a bucket of time keeps its first, lowest, highest and last
//! moment. At the peak itself stands a moment made from the sites, so that the picture and the
//! table agree to the byte.

use super::hues::Hue;
use super::tally::{Names, Tally};
use crate::profile::{LineKey, Nanos, Profile, TimelinePoint};
use std::collections::BTreeMap;

/// Memory over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// From the start to the last moment known.
    pub duration: Nanos,
    /// The lines with a colour, in reading order: the lowest layer first.
    pub layers: Vec<Layer>,
    /// In the order of time.
    pub moments: Vec<Moment>,
    /// When the footprint was largest, and how large, in bytes.
    pub peak: (Nanos, f64),
    /// The line that held most of the peak, if one held half of it or more.
    pub holder: Option<String>,
    /// When the cyclic collector ran.
    pub collections: Vec<Nanos>,
    /// Which line ran when; one after the other, without holes.
    pub running: Vec<Run>,
}

/// A layer of the stack: one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `line 7`.
    pub name: String,
    /// Its colour.
    pub hue: Hue,
}

/// A moment. Bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Since the start.
    pub at: Nanos,
    /// Footprint above the start.
    pub footprint: f64,
    /// Resident set size above the start.
    pub resident: f64,
    /// What each of the layers held.
    pub held: Vec<f64>,
}

/// A span of time in which one line ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Since the start.
    pub from: Nanos,
    /// Since the start.
    pub to: Nanos,
    /// The line, if any of the user's own.
    pub name: Option<String>,
    /// Its colour, if it has one.
    pub hue: Option<Hue>,
}

/// Buckets of time that moments are thinned to: two points a pixel of a 700 pixel chart.
const BUCKETS: usize = 350;
/// Buckets of time of the running band: nobody sees less than four pixels.
const BAND: usize = 170;
/// A line that held this share of the peak gives it its name.
const MOST: f64 = 0.5;

/// What each line that the recording followed over time held at each of its moments, in bytes: of the lines that
/// held most just then. A name is that of the lines' table.
pub fn held_by_line(profile: &Profile) -> Vec<(String, Vec<u64>)> {
    let names = Names::new(profile);
    let crate::profile::Timeline { lines, points } = &profile.timeline;
    let mut columns: Vec<(LineKey, usize)> = lines.iter().copied().zip(0..).collect();
    columns.sort_by_key(|(key, _)| names.reading_order(*key));
    let held = |column: usize| {
        points.iter().map(|point| point.held.get(column).copied().unwrap_or(0)).collect()
    };
    columns.into_iter().map(|(key, column)| (names.line(key), held(column))).collect()
}

pub(super) fn timeline(
    profile: &Profile,
    tally: &Tally,
    names: &Names<'_>,
    hues: &BTreeMap<LineKey, Hue>,
) -> Timeline {
    let mut points: Vec<&TimelinePoint> = profile.timeline.points.iter().collect();
    points.sort_by_key(|point| point.at);
    let last = points.last().map_or(Nanos(0), |point| point.at);
    let duration = profile.recording.duration.max(last).max(profile.totals.peak_at);

    let mut keys: Vec<(LineKey, Hue)> = hues.iter().map(|(key, hue)| (*key, *hue)).collect();
    keys.sort_by_key(|(key, _)| names.reading_order(*key));
    let columns: Vec<Option<usize>> = keys
        .iter()
        .map(|(key, _)| profile.timeline.lines.iter().position(|line| line == key))
        .collect();
    let start = profile.totals.start_rss.as_f64();
    let moment = |point: &TimelinePoint| Moment {
        at: point.at,
        footprint: point.footprint.0 as f64,
        resident: point.rss.as_f64() - start,
        held: columns
            .iter()
            .map(|column| column.and_then(|c| point.held.get(c)).map_or(0.0, |h| *h as f64))
            .collect(),
    };
    let mut moments = thin(points.iter().map(|point| moment(point)).collect(), duration);
    if !moments.is_empty() {
        let held = keys
            .iter()
            .zip(&columns)
            // A line that the timeline does not follow is grey there, at the peak too.
            .map(|((key, _), column)| column.and_then(|_| tally.lines.get(key)))
            .map(|line| line.map_or(0.0, |l| l.0.peak.value.max(0.0)))
            .collect();
        insert_peak(&mut moments, profile, held);
        begin_at_zero(&mut moments);
    }
    Timeline {
        duration,
        layers: keys.iter().map(|(key, hue)| Layer { name: names.line(*key), hue: *hue }).collect(),
        moments,
        peak: (profile.totals.peak_at, profile.totals.peak_footprint.as_f64()),
        holder: tally
            .peak_line()
            .filter(|key| {
                tally.lines[key].0.peak.value >= MOST * profile.totals.peak_footprint.as_f64()
            })
            .map(|key| names.line(key)),
        collections: profile.collections.iter().map(|c| c.at.min(duration)).collect(),
        running: runs(profile, &points, duration)
            .into_iter()
            .map(|(from, to, key)| Run {
                from,
                to,
                name: key.map(|key| names.line(key)),
                hue: key.and_then(|key| hues.get(&key).copied()),
            })
            .collect(),
    }
}

/// All is above the start, so it begins with nothing, even where the first look came later.
fn begin_at_zero(moments: &mut Vec<Moment>) {
    if let Some(first) = moments.first().filter(|first| first.at > Nanos(0)) {
        let held = vec![0.0; first.held.len()];
        moments.insert(0, Moment { at: Nanos(0), footprint: 0.0, resident: 0.0, held });
    }
}

fn insert_peak(moments: &mut Vec<Moment>, profile: &Profile, held: Vec<f64>) {
    let at = profile.totals.peak_at;
    let after = moments.partition_point(|m| m.at < at);
    let resident = match (after.checked_sub(1).map(|i| &moments[i]), moments.get(after)) {
        (Some(a), Some(b)) if b.at > a.at => {
            let share = (at.0 - a.at.0) as f64 / (b.at.0 - a.at.0) as f64;
            a.resident + share * (b.resident - a.resident)
        }
        (Some(near), _) | (None, Some(near)) => near.resident,
        (None, None) => 0.0,
    };
    let same_time = moments[after..].iter().take_while(|m| m.at == at).count();
    let footprint = profile.totals.peak_footprint.as_f64();
    moments.splice(after..after + same_time, [Moment { at, footprint, resident, held }]);
}

/// Keeps of each bucket of time the first, lowest, highest and last moment.
fn thin(moments: Vec<Moment>, duration: Nanos) -> Vec<Moment> {
    if moments.len() <= 2 * BUCKETS {
        return moments;
    }
    let bucket = |m: &Moment| bucket_of(m.at, duration, BUCKETS);
    let mut kept = Vec::with_capacity(4 * BUCKETS);
    for group in moments.chunk_by(|a, b| bucket(a) == bucket(b)) {
        let by =
            |f: fn(&Moment) -> f64, i: &usize, j: &usize| f(&group[*i]).total_cmp(&f(&group[*j]));
        let footprint = |m: &Moment| m.footprint;
        let mut keep = vec![0, group.len() - 1];
        keep.extend((0..group.len()).min_by(|i, j| by(footprint, i, j)));
        keep.extend((0..group.len()).max_by(|i, j| by(footprint, i, j)));
        keep.extend((0..group.len()).max_by(|i, j| by(|m| m.resident, i, j)));
        keep.sort_unstable();
        keep.dedup();
        kept.extend(keep.into_iter().map(|i| group[i].clone()));
    }
    kept
}

fn bucket_of(at: Nanos, duration: Nanos, buckets: usize) -> usize {
    let share = at.0 as f64 / duration.0.max(1) as f64;
    ((share * buckets as f64) as usize).min(buckets - 1)
}

type Span = (Nanos, Nanos, Option<LineKey>);

/// Which line ran when. A point names the line that allocated last, so it speaks of the time
/// that ends with it. Of each bucket of time the line that had most of it is kept.
fn runs(profile: &Profile, points: &[&TimelinePoint], duration: Nanos) -> Vec<Span> {
    if duration.0 == 0 || points.is_empty() {
        return Vec::new();
    }
    let mut share: Vec<BTreeMap<Option<LineKey>, u64>> = vec![BTreeMap::new(); BAND];
    let edge = |bucket: usize| (u128::from(duration.0) * bucket as u128 / BAND as u128) as u64;
    let mut fill = |from: u64, to: u64, key: Option<LineKey>| {
        let mut bucket = bucket_of(Nanos(from), duration, BAND);
        while bucket < BAND && edge(bucket) < to {
            let time = to.min(edge(bucket + 1)).saturating_sub(from.max(edge(bucket)));
            *share[bucket].entry(key).or_default() += time;
            bucket += 1;
        }
    };
    let key_of = |point: &TimelinePoint| {
        point.running.and_then(|line| profile.timeline.lines.get(line as usize)).copied()
    };
    let mut from = 0;
    for point in points {
        fill(from, point.at.0, key_of(point));
        from = point.at.0;
    }
    fill(from, duration.0, points.last().and_then(|point| key_of(point)));

    let mut runs: Vec<Span> = Vec::new();
    for (bucket, times) in share.into_iter().enumerate() {
        let most = times.into_iter().max_by_key(|(_, time)| *time);
        let key = most.filter(|(_, time)| *time > 0).and_then(|(key, _)| key);
        let to = Nanos(edge(bucket + 1));
        match runs.last_mut() {
            Some(run) if run.2 == key => run.1 = to,
            _ => runs.push((Nanos(edge(bucket)), to, key)),
        }
    }
    runs
}
