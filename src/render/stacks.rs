//! Whole stacks for other tools: speedscope's file format and collapsed stacks.
//!
//! The stacks are those of the profile, the machinery that runs a cell left out. What no stack
//! answers for at the peak is a frame of its own, so that the weights add up to the peak.

use super::lettering::printable;
use crate::profile::{Bytes, Estimate, FileKind, Profile, Site, ThreadKind};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// A frame: function, file, line; the last two are missing where there are none.
type Frame = (String, Option<(String, u32)>);

const SLACK: &str = "allocator slack and not attributed";

/// The frames of a site, outermost first.
fn frames(profile: &Profile, site: &Site) -> Vec<Frame> {
    let stacks = &profile.stacks;
    let mut frames: Vec<Frame> = site
        .stack
        .into_iter()
        .flat_map(|stack| stacks.walk(stack))
        .filter(|frame| stacks.file(frame).kind != FileKind::Machinery)
        .map(|frame| {
            let place =
                (frame.line > 0).then(|| (printable(&stacks.file(frame).label), frame.line));
            (printable(&frame.function), place)
        })
        .collect();
    if site.thread == ThreadKind::Native {
        frames.push(("native threads".to_owned(), None));
    }
    frames.reverse();
    if frames.is_empty() {
        frames.push(("libraries".to_owned(), None));
    }
    frames
}

/// Each stack with its bytes, those that are alike added up, in a fixed order.
fn weighed(profile: &Profile, of: fn(&Site) -> Estimate) -> BTreeMap<Vec<Frame>, u64> {
    let mut stacks: BTreeMap<Vec<Frame>, u64> = BTreeMap::new();
    for site in &profile.sites {
        let bytes = Bytes::from_f64(of(site).value).0;
        if bytes > 0 {
            let sum = stacks.entry(frames(profile, site)).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }
    stacks
}

fn at_the_peak(profile: &Profile) -> BTreeMap<Vec<Frame>, u64> {
    let mut stacks = weighed(profile, |site| site.peak);
    let known = stacks.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    let slack = profile.totals.peak_footprint.0.saturating_sub(known);
    if slack > 0 {
        stacks.insert(vec![(SLACK.to_owned(), None)], slack);
    }
    stacks
}

/// A file for speedscope: what was held at the peak, what stays, and what was allocated in all, each
/// a sampled profile in bytes. Source of the format: `src/lib/file-format-spec.ts` in jlfwong/speedscope.
pub fn speedscope(profile: &Profile) -> String {
    let mut ids: HashMap<Frame, usize> = HashMap::new();
    let mut shared = Vec::new();
    let mut profiles = Vec::new();
    for (name, stacks) in [
        ("held at the peak", at_the_peak(profile)),
        ("stays", weighed(profile, |site| site.surviving)),
        ("allocated", weighed(profile, |site| site.allocated)),
    ] {
        let mut samples: Vec<Vec<usize>> = Vec::with_capacity(stacks.len());
        let mut weights: Vec<u64> = Vec::with_capacity(stacks.len());
        for (stack, bytes) in stacks {
            let sample = stack.into_iter().map(|frame| {
                *ids.entry(frame).or_insert_with_key(|(function, place)| {
                    shared.push(match place {
                        Some((file, line)) => {
                            json!({ "name": function, "file": file, "line": line })
                        }
                        None => json!({ "name": function }),
                    });
                    shared.len() - 1
                })
            });
            samples.push(sample.collect());
            weights.push(bytes);
        }
        let whole = weights.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        profiles.push(json!({
            "type": "sampled",
            "name": name,
            "unit": "bytes",
            "startValue": 0,
            "endValue": whole,
            "samples": samples,
            "weights": weights,
        }));
    }
    json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": concat!("memprofile ", env!("CARGO_PKG_VERSION")),
        "name": printable(&profile.recording.title),
        "activeProfileIndex": 0,
        "shared": { "frames": shared },
        "profiles": profiles,
    })
    .to_string()
}

/// Collapsed stacks, as flame graph tools read them: a line for each stack, its frames from the
/// outermost one on with semicolons between them, a blank, and the bytes held at the peak.
pub fn collapsed(profile: &Profile) -> String {
    let word = |(function, place): &Frame| {
        let word = match place {
            Some((file, line)) => format!("{function} ({file}:{line})"),
            None => function.clone(),
        };
        // A semicolon would part the frame in two.
        word.replace(';', ",")
    };
    let line = |(stack, bytes): (Vec<Frame>, u64)| {
        let words: Vec<String> = stack.iter().map(word).collect();
        format!("{} {bytes}\n", words.join(";"))
    };
    at_the_peak(profile).into_iter().map(line).collect()
}
