//! By allocator and by size, as two tables of HTML.
//!
//! A bar is a box of a width in pixels, which an untrusted notebook leaves; the number beside it
//! says the same.

use super::details::allocator_words;
use super::lettering::escape;
use super::rows::border;
use super::text::count;
use super::theme;
use crate::profile::{Bytes, Estimate};
use crate::report::{Figures, Report, error_words};
use std::fmt::Write as _;

/// The longest bar, in pixels.
const BAR: f64 = 120.0;

/// Both tables.
pub fn tables(report: &Report) -> String {
    let mut out = String::new();
    let step = report.step();
    open(&mut out, &["allocator", "at the peak", "stays", "allocated", "blocks"]);
    let mut total = Figures::default();
    for (allocator, figures) in &report.allocators {
        total += *figures;
        allocator_row(&mut out, allocator_words(*allocator), figures, step, false);
    }
    allocator_row(&mut out, "in all", &total, step, true);
    out.push_str("</tbody></table>");
    if report.sizes.is_empty() {
        return out;
    }
    open(&mut out, &["size of a block", "blocks", "allocated"]);
    let most =
        |of: fn(&crate::report::SizeRow) -> f64| report.sizes.iter().map(of).fold(0.0, f64::max);
    let (most_blocks, most_bytes) = (most(|r| r.count.value), most(|r| r.allocated.value));
    let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
    for row in &report.sizes {
        blocks += row.count;
        bytes += row.allocated;
        head(&mut out, &row.label(), false);
        let (of_bytes, of_blocks) = row.steps(step);
        let number = Figure { text: count(row.count.value), known: row.count, step: of_blocks };
        cell(&mut out, &number, Some(most_blocks), false);
        cell(&mut out, &Figure::bytes(row.allocated, of_bytes), Some(most_bytes), false);
        out.push_str("</tr>");
    }
    head(&mut out, "in all", true);
    cell(&mut out, &Figure::blocks(blocks), None, true);
    cell(&mut out, &Figure::bytes(bytes, step), None, true);
    out.push_str("</tr></tbody></table>");
    out
}

/// A number and how well it is known.
struct Figure {
    text: String,
    known: Estimate,
    /// The weight of one sample, in its unit.
    step: f64,
}

impl Figure {
    fn bytes(known: Estimate, step: f64) -> Figure {
        Figure { text: Bytes::from_f64(known.value).to_string(), known, step }
    }

    /// Blocks of all sizes: what a sample weighs is different for each.
    fn blocks(known: Estimate) -> Figure {
        Figure { text: count(known.value), known, step: 0.0 }
    }
}

fn open(out: &mut String, columns: &[&str]) {
    let _ = write!(
        out,
        "<table style=\"border-collapse:collapse;border:none;margin:6px 0 8px;font-size:12px;color:{}\"><thead><tr style=\"background:{}\">",
        theme::TEXT.hex(),
        theme::CARD.hex()
    );
    for (index, column) in columns.iter().enumerate() {
        let side = if index == 0 { "left" } else { "right" };
        let _ = write!(
            out,
            "<th scope=\"col\" style=\"border:none;padding:1px 12px 1px 0;text-align:{side};font-weight:normal;color:{}\">{column}</th>",
            theme::QUIET.hex()
        );
    }
    out.push_str("</tr></thead><tbody>");
}

fn allocator_row(out: &mut String, name: &str, figures: &Figures, step: f64, last: bool) {
    head(out, name, last);
    for figure in [figures.peak, figures.surviving, figures.allocated] {
        cell(out, &Figure::bytes(figure, step), None, last);
    }
    cell(out, &Figure::blocks(figures.count), None, last);
    out.push_str("</tr>");
}

fn head(out: &mut String, label: &str, last: bool) {
    let _ = write!(
        out,
        "<tr style=\"background:{}\"><th scope=\"row\" style=\"{};padding:1px 12px 1px 0;text-align:left;font-weight:normal\">{}</th>",
        theme::CARD.hex(),
        border(last),
        escape(label)
    );
}

/// A figure; with `most`, the largest of its column, a bar below it.
fn cell(out: &mut String, figure: &Figure, most: Option<f64>, last: bool) {
    let Figure { text, known, step } = figure;
    let text = if text == "0" { "–".to_owned() } else { text.replace(' ', "\u{A0}") };
    let error = match error_words(*known, *step) {
        words if words.is_empty() => words,
        words => format!(" <span style=\"color:{}\">{words}</span>", theme::QUIET.hex()),
    };
    let _ = write!(
        out,
        "<td style=\"{};padding:1px 12px 1px 0;text-align:right;white-space:nowrap\">{text}{error}",
        border(last)
    );
    let wide = most.map_or(0.0, |most| known.value / most.max(1.0) * BAR).clamp(0.0, BAR);
    if wide >= 0.5 {
        let _ = write!(
            out,
            "<div style=\"height:4px;width:{wide:.0}px;margin:0 0 1px auto;background:{}\"></div>",
            theme::RESIDENT.lighter(0.4).hex()
        );
    }
    out.push_str("</td>");
}
