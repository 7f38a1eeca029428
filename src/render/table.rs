//! A table of names and numbers in HTML, as wide as the page.

use super::lettering::escape;
use super::theme;
use std::fmt::Write as _;

/// A row of it, not escaped.
pub struct Row<const N: usize> {
    /// The first column.
    pub name: String,
    /// The second, in a quiet colour.
    pub quiet: String,
    /// The others.
    pub numbers: [String; N],
    /// Whether it is a sum.
    pub strong: bool,
}

/// Appends the table: two columns of words, those of numbers, and a note below it.
pub fn write<const N: usize>(
    out: &mut String,
    words: [&str; 2],
    columns: [&str; N],
    rows: &[Row<N>],
    note: &str,
) {
    let (card, quiet) = (theme::CARD.hex(), theme::QUIET.hex());
    let head = format!("border:none;padding:2px 0 2px 10px;font-weight:normal;color:{quiet}");
    let _ = write!(
        out,
        "<div style=\"overflow-x:auto\"><table style=\"width:100%;border-collapse:collapse;border:none;margin:0;font-size:12px;color:{}\"><thead><tr style=\"background:{card}\">",
        theme::TEXT.hex()
    );
    for (i, column) in words.into_iter().chain(columns).enumerate() {
        let side = if i < words.len() { "left" } else { "right" };
        let _ = write!(out, "<th scope=\"col\" style=\"{head};text-align:{side}\">{column}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        let weight = if row.strong { ";font-weight:bold" } else { "" };
        let cell = format!("border:none;padding:2px 0 2px 10px{weight}");
        let _ = write!(
            out,
            "<tr style=\"background:{card}\"><td style=\"{cell};text-align:left;overflow-wrap:anywhere\">{}</td><td style=\"{cell};text-align:left;color:{quiet}\">{}</td>",
            escape(&row.name),
            escape(&row.quiet)
        );
        for number in &row.numbers {
            let _ = write!(
                out,
                "<td style=\"{cell};text-align:right;white-space:nowrap\">{number}</td>"
            );
        }
        out.push_str("</tr>");
    }
    let _ = write!(
        out,
        "</tbody></table></div><p style=\"margin:4px 0 0 10px;font-size:11px;color:{quiet}\">{}</p>",
        escape(note)
    );
}
