//! By allocator and by size, as two tables of HTML.
//!
//! A bar is a box of a width in pixels, which an untrusted notebook leaves; the number beside it
//! says the same.

use super::details::allocator_words;
use super::lettering::escape;
use super::table::Table;
use super::text::count;
use super::theme;
use crate::profile::{Bytes, Estimate};
use crate::report::{Figures, Report, SizeRow, error_words};
use std::fmt::Write as _;

/// The longest bar, in pixels.
const BAR: f64 = 120.0;

const TABLE: Table = Table { words: 1, wraps: false, fits: true };

/// Both tables.
pub fn tables(report: &Report) -> String {
    let mut out = String::new();
    let step = report.step();
    TABLE.begin(&mut out, ["allocator", "at the peak", "stays", "allocated", "blocks"]);
    let mut total = Figures::default();
    for (allocator, figures) in &report.allocators {
        total += *figures;
        TABLE.row(&mut out, &of_allocator(allocator_words(*allocator), figures, step), false);
    }
    TABLE.row(&mut out, &of_allocator("in all", &total, step), true);
    TABLE.end(&mut out);
    if !report.sizes.is_empty() {
        out.push_str("<p style=\"margin:8px 0 0\"></p>");
        sizes(&mut out, report);
    }
    out
}

fn of_allocator(name: &str, figures: &Figures, step: f64) -> Vec<String> {
    let bytes = [figures.peak, figures.surviving, figures.allocated];
    let mut cells = vec![escape(name)];
    cells.extend(bytes.map(|figure| Figure::bytes(figure, step).html(None)));
    cells.push(Figure::blocks(figures.count, 0.0).html(None));
    cells
}

fn sizes(out: &mut String, report: &Report) {
    let step = report.step();
    TABLE.begin(out, ["size of a block", "blocks", "allocated"]);
    let most = |of: fn(&SizeRow) -> f64| report.sizes.iter().map(of).fold(0.0, f64::max);
    let (most_blocks, most_bytes) = (most(|r| r.count.value), most(|r| r.allocated.value));
    let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
    for row in &report.sizes {
        blocks += row.count;
        bytes += row.allocated;
        let (of_bytes, of_blocks) = row.steps(step);
        let cells = [
            escape(&row.label()),
            Figure::blocks(row.count, of_blocks).html(Some(most_blocks)),
            Figure::bytes(row.allocated, of_bytes).html(Some(most_bytes)),
        ];
        TABLE.row(out, &cells, false);
    }
    // Blocks of all sizes: what a sample weighs is different for each.
    let whole = [Figure::blocks(blocks, 0.0).html(None), Figure::bytes(bytes, step).html(None)];
    TABLE.row(out, std::iter::once(&"in all".to_owned()).chain(&whole), true);
    TABLE.end(out);
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

    fn blocks(known: Estimate, step: f64) -> Figure {
        Figure { text: count(known.value), known, step }
    }

    /// The figure; with `most`, the largest of its column, a bar below it.
    fn html(&self, most: Option<f64>) -> String {
        let Figure { text, known, step } = self;
        let text = if text == "0" { "–".to_owned() } else { text.replace(' ', "\u{A0}") };
        let mut out = match error_words(*known, *step) {
            words if words.is_empty() => text,
            words => {
                let quiet = theme::QUIET.hex();
                format!("{text} <span style=\"font-weight:normal;color:{quiet}\">{words}</span>")
            }
        };
        let wide = most.map_or(0.0, |most| known.value / most.max(1.0) * BAR).clamp(0.0, BAR);
        if wide >= 0.5 {
            let _ = write!(
                out,
                "<div style=\"height:4px;width:{wide:.0}px;margin:0 0 1px auto;background:{}\"></div>",
                theme::RESIDENT.lighter(0.4).hex()
            );
        }
        out
    }
}
