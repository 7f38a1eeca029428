//! The page that `--save report.html` writes: one file, no network, and it answers.
//!
//! `page.js` draws from the data that the page carries as JSON (see [`super::data`]). Without scripts
//! the pictures of the fragment, its table and the calls to unfold are there instead. The policy in
//! its head forbids whatever would come from elsewhere.

use super::chart::FINE;
use super::lettering::{clip, escape};
use super::rows::{self, Budget};
use super::{card, children, data, details, forked, fragment, names, svg, text};
use crate::error::Result;
use crate::report::Report;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/// Bytes of a page at most, whatever the profile.
pub(super) const LARGEST: usize = 1_000_000;

/// How much of a profile is on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Lines with figures.
    lines: usize,
    /// Lines of source without figures.
    pub quiet: usize,
    /// Letters of a line of source and of a name.
    pub letters: usize,
    /// The share of the peak below which calls are merged.
    smallest: f64,
}

/// From all that the report has down to what always fits.
const EXTENTS: [Extent; 4] = [
    Extent { lines: 1000, quiet: 5000, letters: 500, smallest: 0.0 },
    Extent { lines: 300, quiet: 500, letters: 200, smallest: 0.001 },
    Extent { lines: 80, quiet: 100, letters: 120, smallest: 0.004 },
    Extent { lines: 20, quiet: 0, letters: 60, smallest: 0.02 },
];
/// Without a script nothing can be zoomed: what this share of the peak has is listed.
const LISTED: f64 = 0.004;

pub(super) fn page(report: &Report) -> Result<String> {
    let pictures = [svg::timeline(report, FINE)?, svg::flame(report, FINE)?.unwrap_or_default()];
    let mut html = String::new();
    for extent in EXTENTS {
        html = whole(report, &pictures, extent);
        if html.len() <= LARGEST {
            break;
        }
    }
    Ok(html)
}

fn whole(report: &Report, pictures: &[String; 2], extent: Extent) -> String {
    let table = report.table.limited(extent.lines);
    let flame = report.icicle.as_ref().filter(|_| !report.tiny);
    let flame = flame.map(|root| root.pruned(extent.smallest * root.bytes));
    let title = escape(&clip(&report.recording.title, 120));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} · memprofile</title>\n<style>\n{STYLE}</style></head>\n<body class=\"memprofile\"><main><h1>{title}</h1><section>"
    );
    fragment::verdict(&mut out, report);
    out.push_str("</section>");
    let image = |picture: &str, alt: &str| filled(|out| card::image(out, picture, &escape(alt)));
    if !report.tiny && !report.timeline.moments.is_empty() {
        let picture = image(&pictures[0], &text::alt_text(report));
        part(&mut out, "timeline", "Memory over time", &picture);
    }
    if table.lines().next().is_some() {
        let budget = Budget { quiet: extent.quiet, letters: extent.letters };
        let rows = filled(|out| rows::write(out, report, &table, budget));
        part(&mut out, "lines", "Line by line", &rows);
    }
    if let Some(root) = &flame {
        let mut calls = image(&pictures[1], &fragment::flame_words(report));
        details::calls(&mut calls, &root.pruned(LISTED * root.bytes), extent.letters);
        let _ = write!(calls, "<p class=\"quiet\">{}</p>", merged_words(LISTED));
        part(&mut out, "flame", "Who held it at the peak", &calls);
    }
    out.push_str("<div class=\"sections\">");
    for (title, body) in [
        (children::TITLE, filled(|body| children::html(body, report))),
        (forked::TITLE, filled(|body| forked::html(body, report))),
        (names::TITLE, filled(|body| names::html(body, report))),
    ] {
        if !body.is_empty() {
            let _ = write!(out, "<section><h2>{title}</h2>{body}</section>");
        }
    }
    let _ = write!(out, "<section>{}</section>", filled(|body| details::write(body, report)));
    let _ = write!(
        out,
        "</div></main>\n<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script></body></html>\n",
        data::json(report, &table, flame.as_ref(), extent)
    );
    out
}

impl Extent {
    /// What the page says of its graph.
    pub fn note(&self) -> String {
        if self.smallest > 0.0 { merged_words(self.smallest) } else { String::new() }
    }
}

fn merged_words(share: f64) -> String {
    format!("Calls that held less than {}% of the peak are merged.", share * 100.0)
}

fn filled(write: impl FnOnce(&mut String)) -> String {
    let mut body = String::new();
    write(&mut body);
    body
}

/// A part that the script fills, and what stands there without one.
fn part(out: &mut String, id: &str, heading: &str, without_script: &str) {
    let _ = write!(
        out,
        "<section id=\"{id}\"><h2>{heading}</h2><noscript>{without_script}</noscript></section>"
    );
}
