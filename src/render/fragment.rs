//! The report as HTML for a notebook: a fragment.
//!
//! It lives on what an untrusted JupyterLab leaves of it: no script, no `<style>`, no
//! inline SVG, no ARIA; tables, details, images with data URIs, and styles with hex colours.
//! When the styles go too (GitHub), the order of things and the numbers still say it all.

use super::chart::{COARSE, Detail, FINE};
use super::lettering::{escape, whole_sizes};
use super::rows::{self, Budget};
use super::{card, children, details, forked, svg, text};
use crate::error::Result;
use crate::report::Report;
use std::fmt::Write as _;

/// Bytes of the fragment at most, whatever the cell: a notebook carries 100 kB in every output, and the
/// rest is the picture's and the text's.
const LARGEST: usize = 60_000;

/// What is written, from everything down to what always fits.
const BUDGETS: [(Detail, Budget); 4] = [
    (FINE, Budget { lines: 60, quiet: 80, letters: 300 }),
    (COARSE, Budget { lines: 40, quiet: 30, letters: 160 }),
    (COARSE, Budget { lines: 16, quiet: 6, letters: 90 }),
    (Detail { tolerance: 6.0, narrowest: 30.0 }, Budget { lines: 7, quiet: 0, letters: 60 }),
];

pub(super) fn fragment(report: &Report) -> Result<String> {
    let mut html = String::new();
    for (detail, budget) in BUDGETS {
        html = whole(report, detail, budget)?;
        if html.len() <= LARGEST {
            break;
        }
    }
    Ok(html)
}

fn whole(report: &Report, detail: Detail, budget: Budget) -> Result<String> {
    let mut out = String::with_capacity(64 << 10);
    card::open(&mut out);
    verdict(&mut out, report);
    if report.tiny {
        let mut body = String::new();
        rows::write(&mut body, report, budget);
        if report.table.lines().next().is_some() {
            let _ = write!(
                out,
                "<details><summary style=\"padding:3px 0\">Line by line</summary>{body}</details>"
            );
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
        rows::write(&mut out, report, budget);
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
    details::write(&mut out, report);
    out.push_str("</div>");
    Ok(out)
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
    card::headline(out, pieces.map(|(piece, strong)| (whole_sizes(&escape(piece)), *strong)));
    if let Some(advice) = &verdict.advice {
        let _ = write!(out, "<p style=\"margin:4px 0 0;font-size:14px\">{}</p>", escape(advice));
    }
    card::facts(out, &escape(&verdict.facts));
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
