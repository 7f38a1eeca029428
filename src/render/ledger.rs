//! Where the resident set went, as a small table.

use super::details::section;
use super::lettering::escape;
use super::table::{self, Table};
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
    rows(&mut body, ledger);
    section(out, &summary, &body);
}

fn rows(out: &mut String, ledger: &Ledger) {
    let table = Table { words: 1, wraps: false, fits: true };
    table.begin(out, ["growth, by what it went into", "at the peak", "at the end"]);
    let row = |label: &str, bytes: [String; 2]| {
        let [peak, end] = bytes.map(|bytes| bytes.replace(' ', "\u{A0}"));
        [escape(label), peak, end]
    };
    for part in &ledger.rows {
        table.row(out, &row(part.label, part.bytes.map(|bytes| bytes.to_string())), false);
    }
    table.row(out, &row("resident set", ledger.resident.map(|bytes| bytes.to_string())), true);
    table.end(out);
    for note in &ledger.notes {
        table::note_below(out, &escape(note));
    }
}
