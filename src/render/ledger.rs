//! Where the resident set went, as a small table.

use super::details::section;
use super::lettering::escape;
use super::theme;
use crate::report::{Ledger, Report};
use std::fmt::Write as _;

/// Appends the section.
pub fn write(out: &mut String, report: &Report) {
    let Some(ledger) = &report.ledger else { return };
    let [_, end] = ledger.resident;
    let summary = format!("Resident set of the process: {end} at the end");
    let mut body = String::new();
    if let Some(kept) = &ledger.kept {
        let _ = write!(body, "<p style=\"margin:4px 0\">{}</p>", escape(kept));
    }
    table(&mut body, ledger);
    section(out, &summary, &body);
}

fn table(out: &mut String, ledger: &Ledger) {
    let _ = write!(
        out,
        "<table style=\"border-collapse:collapse;border:none;margin:4px 0 6px;font-size:12px;color:{}\"><thead><tr style=\"background:{}\">",
        theme::TEXT.hex(),
        theme::CARD.hex()
    );
    for (column, side) in [
        ("growth, by what it went into", "left"),
        ("at the peak", "right"),
        ("at the end", "right"),
    ] {
        let _ = write!(
            out,
            "<th scope=\"col\" style=\"border:none;padding:2px 0 2px 14px;font-weight:normal;color:{};text-align:{side}\">{column}</th>",
            theme::QUIET.hex()
        );
    }
    out.push_str("</tr></thead><tbody>");
    for row in &ledger.rows {
        line(out, row.label, row.bytes.map(|bytes| bytes.to_string()), false);
    }
    line(out, "resident set", ledger.resident.map(|bytes| bytes.to_string()), true);
    out.push_str("</tbody></table>");
}

fn line(out: &mut String, label: &str, bytes: [String; 2], sum: bool) {
    let (open, close) = if sum { ("<strong>", "</strong>") } else { ("", "") };
    let rule =
        if sum { format!(";border-top:1px solid {}", theme::BORDER.hex()) } else { String::new() };
    let cell = format!("border:none{rule};padding:2px 0 2px 14px;white-space:nowrap");
    let _ = write!(
        out,
        "<tr style=\"background:{}\"><th scope=\"row\" style=\"{cell};font-weight:normal;text-align:left\">{open}{}{close}</th>",
        theme::CARD.hex(),
        escape(label)
    );
    for bytes in bytes {
        let _ = write!(
            out,
            "<td style=\"{cell};text-align:right;font-variant-numeric:tabular-nums\">{open}{bytes}{close}</td>"
        );
    }
    out.push_str("</tr>");
}
