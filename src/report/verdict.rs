//! The answer in a sentence or two.
//!
//! The first sentence says how much, who, and what stays. A second one is said only when the
//! figures were held against it and it is true with a margin; no sentence is better than a
//! guess.

use super::children::{self, Children};
use super::tally::{Names, Tally};
use super::{copies, error_words};
use crate::profile::{Bytes, LineKey, Nanos, Profile};

/// The answer in plain words.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How the code ended, when not by its last line.
    pub ending: Option<String>,
    /// The first sentence, in pieces; `true` marks the ones that matter most.
    pub headline: Vec<(String, bool)>,
    /// What stays, as the first sentence says it: never more than the peak, unless that sentence says
    /// that older memory was freed for it.
    pub stays: Bytes,
    /// What was checked and is worth knowing.
    pub advice: Option<String>,
    /// Whether the footprint at the end says something else than what stays.
    pub end_differs: bool,
    /// Duration, resident peak, and how it was measured.
    pub facts: String,
}

impl Verdict {
    /// The first sentence as one piece.
    pub fn sentence(&self) -> String {
        self.headline.iter().map(|(piece, _)| piece.as_str()).collect()
    }
}

/// Below this peak, remainder and change there is nothing worth a plot.
const WORTH_A_PLOT: u64 = 64 << 10;

/// Whether nothing happened that is worth a plot.
pub(super) fn is_tiny(profile: &Profile) -> bool {
    profile.totals.peak_footprint.0 < WORTH_A_PLOT
        && profile.totals.footprint_delta.0.unsigned_abs() < WORTH_A_PLOT
        && profile.totals.surviving.value < WORTH_A_PLOT as f64
        && !children::matter(profile)
}

/// How the end differs from the start; the footprint is known exactly, what survives may be an
/// estimate, so a difference of the two is spoken of only well beyond its margin.
enum End {
    /// Less is in use than before, by this.
    Less(Bytes),
    /// What stays took the place of this much memory that was in use, or kept, before.
    Replaced(Bytes),
    /// More is in use than what stays explains, by more than that.
    Unexplained,
    /// What stays is what was added.
    Plain,
}

/// A change of this share of the largest figure is worth its words.
const WORTH_WORDS: f64 = 0.1;

impl End {
    fn of(profile: &Profile) -> End {
        let totals = &profile.totals;
        let surviving = totals.surviving;
        let delta = totals.footprint_delta.0 as f64;
        let margin = surviving.margin(profile.recording.sample_interval.as_f64());
        let scale = totals.peak_footprint.as_f64().max(surviving.value);
        let worth = (WORTH_WORDS * scale).max(WORTH_A_PLOT as f64);
        let replaced = surviving.value - delta;
        if -delta >= worth {
            End::Less(Bytes(totals.footprint_delta.0.unsigned_abs()))
        } else if replaced - margin >= worth {
            End::Replaced(Bytes::from_f64(replaced))
        } else if -replaced - margin >= worth.max(surviving.value) {
            End::Unexplained
        } else {
            End::Plain
        }
    }
}

/// What stays. Blocks that stay are a part of the footprint at the end, which is known exactly: an estimate
/// above it is above it by chance, as far as its margin goes. And no more stays than there was at the peak.
fn stays(profile: &Profile, end: &End) -> Bytes {
    let totals = &profile.totals;
    let surviving = totals.surviving.value;
    if matches!(end, End::Less(_) | End::Replaced(_)) {
        return Bytes::from_f64(surviving);
    }
    let margin = totals.surviving.margin(profile.recording.sample_interval.as_f64());
    let likely = surviving.min((totals.footprint_delta.0 as f64).max(surviving - margin));
    Bytes::from_f64(likely.min(totals.peak_footprint.as_f64()))
}

type Pieces = Vec<(String, bool)>;

fn strong(text: impl Into<String>) -> (String, bool) {
    (text.into(), true)
}

fn plain(text: impl Into<String>) -> (String, bool) {
    (text.into(), false)
}

pub(super) fn verdict(
    profile: &Profile,
    tally: &Tally,
    names: &Names<'_>,
    children: &Children,
) -> Verdict {
    let end = End::of(profile);
    let stays = stays(profile, &end);
    let mut headline = headline(profile, &end, stays, tally, names);
    headline.push(plain("."));
    if let Some(sentence) = children::sentence(profile, children) {
        headline.push(plain(" "));
        headline.push(strong(sentence));
    }
    Verdict {
        ending: ending(profile),
        headline,
        stays,
        advice: if is_tiny(profile) { None } else { advice(profile, stays, tally, names) },
        end_differs: !matches!(end, End::Plain),
        facts: facts(profile),
    }
}

fn headline(
    profile: &Profile,
    end: &End,
    stays: Bytes,
    tally: &Tally,
    names: &Names<'_>,
) -> Pieces {
    let peak = profile.totals.peak_footprint;
    let stays_in = |middle: &str| match stays.0 {
        0 => format!("nothing{middle} stays"),
        1 => format!("1 B{middle} stays"),
        _ => format!("{stays}{middle} stay"),
    };
    if let End::Less(less) = end
        && *less > peak
    {
        let rose = if peak.0 == 0 {
            " that was in use before and never needs more".to_owned()
        } else {
            format!(" that was in use before; peak {peak} above the start")
        };
        return vec![
            strong(format!("Gives back {less}")),
            plain(format!("{rose}, {}", stays_in(" of its own"))),
        ];
    }
    let mut headline = Pieces::new();
    if peak.0 == 0 && profile.totals.allocated.value <= 0.0 && is_tiny(profile) {
        headline.push(strong("Nothing worth a plot"));
        headline.push(plain(": nothing was allocated and "));
    } else if is_tiny(profile) {
        headline.push(strong(format!("Nothing worth a plot: {peak}")));
        headline.push(plain(" above the start at the peak; "));
    } else {
        headline.push(strong(format!("Peak {peak}")));
        headline.push(plain(format!(" above the start{}; ", holder(profile, tally, names))));
    }
    match end {
        End::Plain => headline.push(strong(stays_in(""))),
        End::Less(less) => {
            headline.push(strong(format!("gives back {less}")));
            headline.push(plain(format!(" at the end, {}", stays_in(" of its own"))));
        }
        End::Replaced(older) => {
            let change = profile.totals.footprint_delta;
            headline.push(strong(stays_in("")));
            headline.push(plain(format!(", but {older} of older memory was freed or reused: ")));
            headline.push(strong(format!("{change} at the end")));
        }
        End::Unexplained => {
            let own = if stays.0 == 0 { "none".to_owned() } else { format!("only {stays}") };
            headline.push(strong(format!("{} at the end", profile.totals.footprint_delta)));
            headline.push(plain(format!(", {own} of it in blocks that it made")));
        }
    }
    headline
}

/// Who held the peak, as the middle of a sentence.
fn holder(profile: &Profile, tally: &Tally, names: &Names<'_>) -> String {
    let Some(key) = tally.peak_line() else { return String::new() };
    let (held, name) = (tally.lines[&key].0.peak, names.line(key));
    let peak = profile.totals.peak_footprint.as_f64();
    let margin = held.margin(profile.recording.sample_interval.as_f64());
    if held.value - margin > 1.05 * peak {
        // Memory from before the start was used again: no share of the growth can be told.
        format!(" while {name} held {}", Bytes::from_f64(held.value))
    } else {
        format!(", {} held by {name}", share_words(tally, held.value, peak))
    }
}

/// How much of the peak a line held. It is the largest of the lines, and still not of all parts
/// when libraries or the allocators' slack hold more.
fn share_words(tally: &Tally, held: f64, peak: f64) -> String {
    let slack = peak - tally.total.peak.value;
    let elsewhere = [tally.libraries.peak.value, tally.native.peak.value, slack];
    match held / peak.max(1.0) {
        s if s >= 0.95 => "nearly all of it".to_owned(),
        s if s >= 0.5 => "most of it".to_owned(),
        _ if elsewhere.iter().all(|other| *other <= held) => "the largest part".to_owned(),
        _ => format!("{} of it", Bytes::from_f64(held)),
    }
}

fn ending(profile: &Profile) -> Option<String> {
    let name = profile.recording.exception.as_deref()?;
    let after = profile.recording.duration;
    Some(match name {
        "KeyboardInterrupt" => format!("Interrupted after {after}; the figures go up to there."),
        name => format!("Ended with {name} after {after}; the figures go up to there."),
    })
}

/// A line at the beginning of a sentence: `Line 7`, `Cell [3] line 7`; the name of a file stays as it is.
fn capitalised(line: &str) -> String {
    let words = [("line ", "Line "), ("cell [", "Cell [")];
    words
        .into_iter()
        .find_map(|(word, capital)| line.strip_prefix(word).map(|rest| format!("{capital}{rest}")))
        .unwrap_or_else(|| line.to_owned())
}

/// The first of these that holds; each claim is made only well beyond its margin.
fn advice(profile: &Profile, stays: Bytes, tally: &Tally, names: &Names<'_>) -> Option<String> {
    let step = profile.recording.sample_interval.as_f64();
    // What the claims are held against: next to 100 MiB that were freed, 9 KiB are no matter.
    let change = profile.totals.footprint_delta.0.unsigned_abs() as f64;
    let peak = profile.totals.peak_footprint.as_f64().max(change);
    if let Some((key, f)) = tally.peak_line().map(|key| (key, &tally.lines[&key].0)) {
        let held = f.peak.value;
        // What may have survived unseen: 0 in an exact recording.
        let unseen = f.surviving.value + f.surviving.margin(step);
        if held >= 0.25 * peak && unseen <= 0.02 * held {
            let kept = Bytes::from_f64(f.surviving.value);
            let kept = if kept.0 == 0 { "nothing".to_owned() } else { format!("only {kept}") };
            let held = Bytes::from_f64(held);
            let name = capitalised(&names.line(key));
            return Some(format!("{name} held {held} at the peak and kept {kept}."));
        }
        if let Some(words) = copies::words(profile, tally).get(&key)
            && held >= 0.25 * peak
        {
            return Some(format!("{} made {words}.", capitalised(&names.line(key))));
        }
    }
    if let Some((key, surviving)) = most(tally, |f| f.surviving.value) {
        let all = tally.total.surviving.value;
        let margin = tally.lines[&key].0.surviving.margin(step);
        if surviving >= 0.25 * peak && surviving - margin >= 0.5 * all {
            let name = capitalised(&names.line(key));
            // Held against what the first sentence says; an estimate may be above it.
            let part = Bytes::from_f64(surviving);
            return Some(if part.to_string() == stays.to_string() || part > stays {
                format!("{name} keeps all that stays.")
            } else {
                format!("{name} keeps {part} of the {stays} that stay.")
            });
        }
    }
    if let Some((key, temporary)) = most(tally, |f| f.temporary.value) {
        let f = &tally.lines[&key].0;
        let nearly_all = f.temporary.value - f.temporary.margin(step) >= 0.95 * f.allocated.value;
        if temporary >= 10.0 * peak && nearly_all {
            let name = capitalised(&names.line(key));
            let size = Bytes::from_f64(temporary);
            return Some(format!("{name} allocated and freed {size} on the way."));
        }
    }
    None
}

fn most(tally: &Tally, of: impl Fn(&super::Figures) -> f64) -> Option<(LineKey, f64)> {
    tally
        .lines
        .iter()
        .map(|(key, (figures, _))| (*key, of(figures)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        .filter(|(_, value)| *value > 0.0)
}

fn facts(profile: &Profile) -> String {
    let recording = &profile.recording;
    let mut facts = vec![recording.duration.to_string()];
    if profile.totals.peak_rss.0 > 0 {
        let least = if profile.totals.peak_rss_exact { "" } else { "at least " };
        facts.push(format!("resident peak {least}{}", profile.totals.peak_rss));
    }
    facts.push(if recording.exact() {
        "every allocation recorded".to_owned()
    } else {
        let step = recording.sample_interval.as_f64();
        let errors: Vec<String> = [
            ("held at the peak", profile.totals.live_at_peak),
            ("stays", profile.totals.surviving),
        ]
        .into_iter()
        .map(|(name, figure)| (name, error_words(figure, step)))
        .filter(|(_, error)| !error.is_empty())
        .map(|(name, error)| format!("{name} {error}"))
        .collect();
        let errors = if errors.is_empty() { "±0.5% at most".into() } else { errors.join(", ") };
        format!("sampled every {} ({errors})", recording.sample_interval)
    });
    facts.extend(cost(recording.overhead, recording.duration));
    facts.join(" · ")
}

/// Below this a share of the duration frightens, although nobody waited.
const SHORT: Nanos = Nanos(250_000_000);

/// What the measuring cost: as time where the code was quick, as a share otherwise.
fn cost(own: Nanos, duration: Nanos) -> Option<String> {
    if duration < SHORT {
        return (own.0 > 0).then(|| format!("measuring took {own}"));
    }
    overhead(own, duration).and_then(percent).map(|share| format!("overhead {share}"))
}

/// Time spent in our own code as a share of the whole; `None` without any time.
pub(super) fn overhead(own: Nanos, duration: Nanos) -> Option<f64> {
    (duration.0 > 0).then(|| own.0 as f64 / duration.0 as f64)
}

/// `1.4%`, `23%`; nothing for what is no share of one.
pub(super) fn percent(share: f64) -> Option<String> {
    let percent = share * 100.0;
    match percent {
        p if !p.is_finite() || !(0.0..=100.0).contains(&p) => None,
        p if p < 0.05 => Some("<0.1%".to_owned()),
        p if p < 9.95 => Some(format!("{p:.1}%")),
        p => Some(format!("{p:.0}%")),
    }
}
