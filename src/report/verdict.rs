//! The answer in a sentence or two.
//!
//! The first sentence says how much, who, and what stays. A second one is said only when the
//! figures were held against it and it is true with a margin; no sentence is better than a
//! guess.

use super::tally::{Names, Tally};
use crate::profile::{Bytes, LineKey, Nanos, Profile};

/// The answer in plain words.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How the code ended, when not by its last line.
    pub ending: Option<String>,
    /// The first sentence, in pieces; `true` marks the ones that matter most.
    pub headline: Vec<(String, bool)>,
    /// What was checked and is worth knowing.
    pub advice: Option<String>,
    /// Duration, resident peak, and how it was measured.
    pub facts: String,
}

impl Verdict {
    /// The first sentence as one piece.
    pub fn sentence(&self) -> String {
        self.headline.iter().map(|(piece, _)| piece.as_str()).collect()
    }
}

/// Below this peak and remainder there is nothing worth a plot.
const WORTH_A_PLOT: u64 = 64 << 10;

/// Whether nothing happened that is worth a plot.
pub(super) fn is_tiny(profile: &Profile) -> bool {
    profile.totals.peak_footprint.0 < WORTH_A_PLOT
        && profile.totals.surviving.value < WORTH_A_PLOT as f64
}

pub(super) fn verdict(profile: &Profile, tally: &Tally, names: &Names<'_>) -> Verdict {
    let strong = |text: String| (text, true);
    let plain = |text: String| (text, false);
    let peak = profile.totals.peak_footprint;
    let stays = Bytes::from_f64(profile.totals.surviving.value);
    let stays = if stays.0 == 0 {
        strong("nothing stays".to_owned())
    } else if stays.0 == 1 {
        strong("1 B stays".to_owned())
    } else {
        strong(format!("{stays} stay"))
    };
    let mut headline = Vec::new();
    if peak.0 == 0 && profile.totals.allocated.value <= 0.0 {
        headline.push(strong("Nothing worth a plot".to_owned()));
        headline.push(plain(": nothing was allocated and ".to_owned()));
    } else if is_tiny(profile) {
        headline.push(strong(format!("Nothing worth a plot: {peak}")));
        headline.push(plain(" above the start at the peak; ".to_owned()));
    } else {
        headline.push(strong(format!("Peak {peak}")));
        headline.push(plain(match tally.peak_line() {
            Some(key) => format!(
                " above the start, {} held by {}; ",
                share_words(tally, tally.lines[&key].0.peak.value, peak),
                names.line(key)
            ),
            None => " above the start; ".to_owned(),
        }));
    }
    headline.push(stays);
    headline.push(plain(".".to_owned()));
    Verdict {
        ending: ending(profile),
        headline,
        advice: if is_tiny(profile) { freed(profile) } else { advice(profile, tally, names) },
        facts: facts(profile),
    }
}

/// How much of the peak a line held. It is the largest of the lines, and still not of all parts
/// when libraries or the allocators' slack hold more.
fn share_words(tally: &Tally, held: f64, peak: Bytes) -> String {
    let slack = peak.as_f64() - tally.total.peak.value;
    let elsewhere = [tally.libraries.peak.value, tally.native.peak.value, slack];
    match held / peak.as_f64().max(1.0) {
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

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// The first of these that holds; each claim is made only well beyond its margin.
fn advice(profile: &Profile, tally: &Tally, names: &Names<'_>) -> Option<String> {
    let step = profile.recording.sample_interval.as_f64();
    let peak = profile.totals.peak_footprint.as_f64();
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
    }
    if let Some((key, surviving)) = most(tally, |f| f.surviving.value) {
        let all = tally.total.surviving.value;
        let margin = tally.lines[&key].0.surviving.margin(step);
        if surviving >= 0.25 * peak && surviving - margin >= 0.5 * all {
            let name = capitalised(&names.line(key));
            let (part, all) = (Bytes::from_f64(surviving), Bytes::from_f64(all));
            return Some(if part.to_string() == all.to_string() {
                format!("{name} keeps all that stays.")
            } else {
                format!("{name} keeps {part} of the {all} that stay.")
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
    freed(profile)
}

/// Older memory that is gone, when it is worth a word.
fn freed(profile: &Profile) -> Option<String> {
    let delta = profile.totals.footprint_delta;
    let least = (0.1 * profile.totals.peak_footprint.as_f64()).max(WORTH_A_PLOT as f64);
    (delta.0 < 0 && delta.0.unsigned_abs() as f64 >= least).then(|| {
        format!(
            "At the end the process used {} less than before: older memory was freed.",
            Bytes(delta.0.unsigned_abs())
        )
    })
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
        let held = profile.totals.live_at_peak;
        let share = held.margin(recording.sample_interval.as_f64()) / held.value;
        let error = percent(share).map_or_else(String::new, |p| format!(" (±{p})"));
        format!("sampled every {}{error}", recording.sample_interval)
    });
    if let Some(share) = overhead(recording.overhead, recording.duration).and_then(percent) {
        facts.push(format!("overhead {share}"));
    }
    facts.join(" · ")
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
