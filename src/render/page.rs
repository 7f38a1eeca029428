//! The page that `--save report.html` writes: one file, no network, and it answers.
//!
//! `page.js` draws from the data that the page carries as JSON (see [`super::data`]). Without scripts
//! the pictures of the fragment, its table and the calls to unfold are there instead. The policy in
//! its head forbids whatever would come from elsewhere.

use super::chart::FINE;
use super::lettering::{clip, escape};
use super::rows::{self, Budget};
use super::{card, children, data, details, forked, fragment, svg, text};
use crate::error::Result;
use crate::report::Report;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

pub(super) fn page(report: &Report) -> Result<String> {
    let title = escape(&clip(&report.recording.title, 120));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} · memprofile</title>\n<style>\n{STYLE}</style></head>\n<body class=\"memprofile\"><main><h1>{title}</h1><section>"
    );
    fragment::verdict(&mut out, report);
    out.push_str("</section>");
    if !report.tiny && !report.timeline.moments.is_empty() {
        let mut picture = String::new();
        card::image(&mut picture, &svg::timeline(report, FINE)?, &escape(&text::alt_text(report)));
        part(&mut out, "timeline", "Memory over time", &picture);
    }
    if report.table.lines().next().is_some() {
        let mut table = String::new();
        rows::write(&mut table, report, Budget { lines: 1000, quiet: 5000, letters: 1000 });
        part(&mut out, "lines", "Line by line", &table);
    }
    if let (Some(root), false) = (&report.icicle, report.tiny) {
        let mut calls = String::new();
        if let Some(picture) = svg::flame(report, FINE)? {
            card::image(&mut calls, &picture, &escape(&fragment::flame_words(report)));
        }
        details::calls(&mut calls, root);
        part(&mut out, "flame", "Who held it at the peak", &calls);
    }
    out.push_str("<div class=\"sections\">");
    for (title, body) in [
        (children::TITLE, filled(|body| children::html(body, report))),
        (forked::TITLE, filled(|body| forked::html(body, report))),
    ] {
        if !body.is_empty() {
            let _ = write!(out, "<section><h2>{title}</h2>{body}</section>");
        }
    }
    let _ = write!(out, "<section>{}</section>", filled(|body| details::write(body, report)));
    let _ = write!(
        out,
        "</div></main>\n<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script></body></html>\n",
        data::json(report)
    );
    Ok(out)
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
