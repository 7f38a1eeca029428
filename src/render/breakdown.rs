//! By allocator and by size, as two tables of HTML.
//!
//! A bar is a box of a width in pixels, which an untrusted notebook leaves; the number beside it
//! says the same.

use super::details::allocator_words;
use super::lettering::escape;
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
    let table = Table { step: report.step() };
    table.open(&mut out, &["allocator", "at the peak", "stays", "allocated", "blocks"]);
    let mut total = Figures::default();
    for (allocator, figures) in &report.allocators {
        total += *figures;
        table.allocator(&mut out, allocator_words(*allocator), figures, false);
    }
    table.allocator(&mut out, "in all", &total, true);
    out.push_str("</tbody></table>");
    if report.sizes.is_empty() {
        return out;
    }
    table.open(&mut out, &["size of a block", "blocks", "allocated"]);
    let most =
        |of: fn(&crate::report::SizeRow) -> f64| report.sizes.iter().map(of).fold(0.0, f64::max);
    let (most_blocks, most_bytes) = (most(|r| r.count.value), most(|r| r.allocated.value));
    let (mut blocks, mut bytes) = (Estimate::default(), Estimate::default());
    for row in &report.sizes {
        blocks += row.count;
        bytes += row.allocated;
        table.head(&mut out, &row.label(), false);
        table.cell(&mut out, &count(row.count.value), row.count, Some(most_blocks), false);
        let size = Bytes::from_f64(row.allocated.value).to_string();
        table.cell(&mut out, &size, row.allocated, Some(most_bytes), false);
        out.push_str("</tr>");
    }
    table.head(&mut out, "in all", true);
    table.cell(&mut out, &count(blocks.value), blocks, None, true);
    table.cell(&mut out, &Bytes::from_f64(bytes.value).to_string(), bytes, None, true);
    out.push_str("</tr></tbody></table>");
    out
}

struct Table {
    /// The weight of one sample.
    step: f64,
}

impl Table {
    fn open(&self, out: &mut String, columns: &[&str]) {
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

    fn allocator(&self, out: &mut String, name: &str, figures: &Figures, last: bool) {
        self.head(out, name, last);
        for figure in [figures.peak, figures.surviving, figures.allocated] {
            self.cell(out, &Bytes::from_f64(figure.value).to_string(), figure, None, last);
        }
        self.cell(out, &count(figures.count.value), figures.count, None, last);
        out.push_str("</tr>");
    }

    fn border(last: bool) -> String {
        if last {
            format!("border:none;border-top:1px solid {}", theme::BORDER.hex())
        } else {
            "border:none".to_owned()
        }
    }

    fn head(&self, out: &mut String, label: &str, last: bool) {
        let _ = write!(
            out,
            "<tr style=\"background:{}\"><th scope=\"row\" style=\"{};padding:1px 12px 1px 0;text-align:left;font-weight:normal\">{}</th>",
            theme::CARD.hex(),
            Table::border(last),
            escape(label)
        );
    }

    /// A figure; with `most`, the largest of its column, a bar below it.
    fn cell(&self, out: &mut String, text: &str, figure: Estimate, most: Option<f64>, last: bool) {
        let text = if text == "0" { "–".to_owned() } else { text.replace(' ', "\u{A0}") };
        let error = match error_words(figure, self.step) {
            words if words.is_empty() => words,
            words => format!(" <span style=\"color:{}\">{words}</span>", theme::QUIET.hex()),
        };
        let _ = write!(
            out,
            "<td style=\"{};padding:1px 12px 1px 0;text-align:right;white-space:nowrap\">{text}{error}",
            Table::border(last)
        );
        let wide = most.map_or(0.0, |most| figure.value / most.max(1.0) * BAR).clamp(0.0, BAR);
        if wide >= 0.5 {
            let _ = write!(
                out,
                "<div style=\"height:4px;width:{wide:.0}px;margin:0 0 1px auto;background:{}\"></div>",
                theme::RESIDENT.lighter(0.4).hex()
            );
        }
        out.push_str("</td>");
    }
}
