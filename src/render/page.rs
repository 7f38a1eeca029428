//! The report as HTML: a fragment for the notebook, and a whole page to save.
//!
//! The fragment lives on what an untrusted JupyterLab leaves of it: no script, no `<style>`, no
//! inline SVG, no ARIA; tables, details, images with data URIs, and styles with hex colours.
//! When the styles go too (GitHub), the order of things and the numbers still say it all.

use super::chart::{COARSE, Detail, FINE};
use super::lettering::escape;
use super::rows::{self, Budget};
use super::{children, details, forked, svg, text, theme};
use crate::error::Result;
use crate::report::Report;
use base64::Engine as _;
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

/// The card around a fragment.
pub(super) fn card(body: &str) -> String {
    format!(
        "<div class=\"memprofile\" style=\"max-width:{}px;box-sizing:border-box;margin:4px 0;padding:14px 18px;background:{};color:{};border:1px solid {};border-radius:8px;font-family:system-ui,sans-serif;font-size:13px;line-height:1.45\">{body}</div>",
        svg::WIDTH + 38.0,
        theme::CARD.hex(),
        theme::TEXT.hex(),
        theme::BORDER.hex()
    )
}

fn whole(report: &Report, detail: Detail, budget: Budget) -> Result<String> {
    let mut out = String::with_capacity(64 << 10);
    verdict(&mut out, report);
    if report.tiny {
        let mut body = String::new();
        rows::write(&mut body, report, budget);
        if report.table.lines().next().is_some() {
            let _ = write!(out, "<details><summary>Line by line</summary>{body}</details>");
        }
    } else {
        if !report.timeline.moments.is_empty() {
            image(&mut out, &svg::timeline(report, detail)?, &text::alt_text(report));
        }
        heading(&mut out, "Line by line");
        rows::write(&mut out, report, budget);
        if let Some(flame) = svg::flame(report, detail)? {
            heading(&mut out, "Who held it at the peak");
            image(&mut out, &flame, &flame_words(report));
        }
    }
    if !report.children.rows.is_empty() {
        heading(&mut out, children::TITLE);
        children::html(&mut out, report);
    }
    if !report.forked.rows.is_empty() {
        heading(&mut out, forked::TITLE);
        forked::html(&mut out, report);
    }
    details::write(&mut out, report);
    Ok(card(&out))
}

fn verdict(out: &mut String, report: &Report) {
    let verdict = &report.verdict;
    if let Some(ending) = &verdict.ending {
        let _ = write!(
            out,
            "<p style=\"margin:0 0 4px;font-size:14px\"><strong>{}</strong></p>",
            escape(ending)
        );
    }
    headline(out, &verdict.headline);
    if let Some(advice) = &verdict.advice {
        let _ = write!(out, "<p style=\"margin:4px 0 0;font-size:14px\">{}</p>", escape(advice));
    }
    let _ = write!(
        out,
        "<p style=\"margin:4px 0 10px;font-size:12px;color:{}\">{}</p>",
        theme::QUIET.hex(),
        escape(&verdict.facts)
    );
}

/// The verdict, in pieces that are strong or not.
pub(super) fn headline(out: &mut String, pieces: &[(String, bool)]) {
    out.push_str("<p style=\"margin:0;font-size:17px;line-height:1.35\">");
    for (piece, strong) in pieces {
        let piece = whole_sizes(&escape(piece));
        let _ =
            if *strong { write!(out, "<strong>{piece}</strong>") } else { write!(out, "{piece}") };
    }
    out.push_str("</p>");
}

/// The text with no size parted from its unit.
pub(super) fn whole_sizes(text: &str) -> String {
    [" B", " KiB", " MiB", " GiB", " TiB"]
        .into_iter()
        .fold(text.to_owned(), |text, unit| text.replace(unit, &unit.replace(' ', "\u{A0}")))
}

/// The title of a section.
pub(super) fn heading(out: &mut String, text: &str) {
    let _ =
        write!(out, "<p style=\"margin:14px 0 6px;font-size:14px\"><strong>{text}</strong></p>");
}

/// A picture, with what it shows in words.
pub(super) fn image(out: &mut String, svg: &str, alt: &str) {
    let data = base64::engine::general_purpose::STANDARD.encode(svg);
    let _ = write!(
        out,
        "<img src=\"data:image/svg+xml;base64,{data}\" width=\"{}\" alt=\"{}\" style=\"display:block;max-width:100%;height:auto;margin:0;background:{}\">",
        svg::WIDTH,
        escape(alt),
        theme::CARD.hex()
    );
}

/// The first two levels of the icicle in words.
fn flame_words(report: &Report) -> String {
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

pub(super) fn page(report: &Report) -> Result<String> {
    let (detail, budget) = (FINE, Budget { lines: 1000, quiet: 5000, letters: 1000 });
    let card = whole(report, detail, budget)?;
    let mut calls = String::new();
    if let (Some(root), false) = (&report.icicle, report.tiny) {
        details::calls(&mut calls, root);
        calls = format!(
            "<section style=\"max-width:{}px;box-sizing:border-box;margin:12px 0;padding:14px 18px;background:{};border:1px solid {};border-radius:8px\"><h2 style=\"font-size:14px;margin:0 0 6px\">Calls that held memory at the peak</h2>{calls}</section>",
            svg::WIDTH + 38.0,
            theme::CARD.hex(),
            theme::BORDER.hex()
        );
    }
    let title = escape(&super::lettering::clip(&report.recording.title, 120));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title} · memprofile</title></head><body style=\"margin:24px auto;padding:0 12px;max-width:{}px;background:#f6f8fa;color:{};font:13px/1.45 system-ui,sans-serif\"><h1 style=\"font-size:15px;font-weight:normal;margin:0 0 8px\">{title}</h1>{card}{calls}</body></html>\n",
        svg::WIDTH + 38.0,
        theme::TEXT.hex()
    ))
}
