//! The report as HTML for a notebook: a fragment.
//!
//! It lives on what an untrusted JupyterLab leaves of it: no script, no `<style>`, no
//! inline SVG, no ARIA; tables, details, images with data URIs, and styles with hex colours.
//! When the styles go too (GitHub), the order of things and the numbers still say it all.

use super::chart::{COARSE, Detail, FINE};
use super::lettering::{escape, unparted};
use super::rows::{self, Budget};
use super::{card, children, details, forked, names, svg, text};
use crate::error::Result;
use crate::report::Report;
use std::fmt::Write as _;

/// Bytes of the fragment at most, whatever the cell: a notebook carries 100 kB in every output, and the
/// rest is the picture's and the text's.
pub(super) const LARGEST: usize = 60_000;

/// One way of writing a report, and for how many lines with figures it has to have room to be taken.
struct Level {
    detail: Detail,
    budget: Budget,
    least: usize,
}

/// Nobody reads more lines than these.
const LINES: usize = 60;
const COARSEST: Detail = Detail { tolerance: 6.0, narrowest: 30.0 };

/// From everything down to what always fits.
const LEVELS: [Level; 4] = [
    Level { detail: FINE, budget: Budget { quiet: 80, letters: 300 }, least: 40 },
    Level { detail: COARSE, budget: Budget { quiet: 40, letters: 200 }, least: 24 },
    Level { detail: COARSE, budget: Budget { quiet: 8, letters: 100 }, least: 12 },
    Level { detail: COARSEST, budget: Budget { quiet: 0, letters: 60 }, least: 0 },
];

pub(super) fn fragment(report: &Report) -> Result<String> {
    let mut drawn: Option<(Detail, [String; 2])> = None;
    for level in LEVELS {
        let parts = match drawn.take() {
            Some((detail, parts)) if detail == level.detail => parts,
            _ => around(report, level.detail)?,
        };
        let has_table = !report.tiny || report.table.lines().next().is_some();
        if !has_table {
            return Ok(parts.concat());
        }
        let room = LARGEST.saturating_sub(parts[0].len() + parts[1].len());
        if let Some(table) = fitting(report, &level, room) {
            return Ok(parts[0].clone() + &table + &parts[1]);
        }
        drawn = Some((level.detail, parts));
    }
    Ok(drawn.map_or_else(String::new, |(_, parts)| parts.concat()))
}

/// The line table with as many rows of figures as there is room for: so whoever asks for more lines
/// never gets fewer. `None` where these are less than the level is worth.
fn fitting(report: &Report, level: &Level, room: usize) -> Option<String> {
    let with = |lines: usize| {
        let mut table = String::new();
        rows::write(&mut table, report, &report.table.limited(lines), level.budget);
        (table.len() <= room).then_some(table)
    };
    let most = report.table.lines().count().min(LINES);
    let mut best = with(most);
    if best.is_none() {
        // The table grows with every line, so the most that fits is found by halving.
        let (mut fits, mut too_many) = (level.least.min(most), most);
        best = Some(with(fits)?);
        while too_many - fits > 1 {
            let lines = usize::midpoint(fits, too_many);
            match with(lines) {
                Some(table) => (fits, best) = (lines, Some(table)),
                None => too_many = lines,
            }
        }
    }
    best
}

/// What stands before and behind the line table.
fn around(report: &Report, detail: Detail) -> Result<[String; 2]> {
    let mut out = String::with_capacity(64 << 10);
    let mut before = String::new();
    card::open(&mut out);
    verdict(&mut out, report);
    if report.tiny {
        if report.table.lines().next().is_some() {
            out.push_str("<details><summary style=\"padding:3px 0\">Line by line</summary>");
            before = std::mem::take(&mut out);
            out.push_str("</details>");
        }
    } else {
        if !report.timeline.moments.is_empty() {
            card::image(
                &mut out,
                &svg::timeline(report, detail)?,
                &escape(&text::alt_text(report)),
            );
        }
        card::heading(&mut out, "Line by line");
        before = std::mem::take(&mut out);
        if let Some(flame) = svg::flame(report, detail)? {
            card::heading(&mut out, "Who held it at the peak");
            card::image(&mut out, &flame, &escape(&flame_words(report)));
        }
    }
    if !report.children.rows.is_empty() {
        card::heading(&mut out, children::TITLE);
        children::html(&mut out, report);
    }
    if !report.forked.rows.is_empty() {
        card::heading(&mut out, forked::TITLE);
        forked::html(&mut out, report);
    }
    names::section(&mut out, report, detail == FINE);
    details::write(&mut out, report);
    out.push_str("</div>");
    Ok([before, out])
}

pub(super) fn verdict(out: &mut String, report: &Report) {
    let verdict = &report.verdict;
    if let Some(ending) = &verdict.ending {
        let _ = write!(
            out,
            "<p style=\"margin:0 0 4px;font-size:14px\"><strong>{}</strong></p>",
            escape(ending)
        );
    }
    let pieces = verdict.headline.iter();
    card::headline(out, pieces.map(|(piece, strong)| (unparted(&escape(piece)), *strong)));
    if let Some(advice) = &verdict.advice {
        let _ = write!(out, "<p style=\"margin:4px 0 0;font-size:14px\">{}</p>", escape(advice));
    }
    card::facts(out, &unparted(&escape(&verdict.facts)));
}

/// The first two levels of the icicle in words.
pub(super) fn flame_words(report: &Report) -> String {
    let Some(root) = &report.icicle else { return String::new() };
    let size = |node: &crate::report::Node| crate::profile::Bytes::from_f64(node.bytes);
    let parts: Vec<String> = root
        .children
        .iter()
        .take(6)
        .map(|node| match node.children.first() {
            Some(first) => {
                format!("{} {} (most in {} {})", node.label, size(node), first.label, size(first))
            }
            None => format!("{} {}", node.label, size(node)),
        })
        .collect();
    let words = format!("What was live at the peak, {} in all: {}.", size(root), parts.join("; "));
    super::lettering::clip(&super::lettering::printable(&words), 600)
}
