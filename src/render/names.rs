//! The names that grew: a table in HTML, a sentence in the text.

use super::card;
use super::lettering::{clip, escape, printable};
use super::table::{self, Row};
use crate::profile::Bytes;
use crate::report::{NameRow, Report};
use std::cmp::Reverse;
use std::fmt::Write as _;

/// What stands above the table.
pub const TITLE: &str = "Names that grew";

/// The names of the columns of numbers.
const COLUMNS: [&str; 3] = ["before", "after", "grown*"];

/// Names in the sentence at most.
pub const LISTED: usize = 4;
/// Letters of a name.
const NAME: usize = 40;
/// Letters of what is said of names that were not compared.
const LETTERS: usize = 100;

fn note(report: &Report) -> String {
    let names = &report.names;
    let mut said =
        "* with all that the name reaches; what several names share is the first one’s".to_owned();
    match names.others {
        0 => {}
        1 => said.push_str("; 1 name with a smaller change"),
        more => said.push_str(&format!("; {more} names with smaller changes")),
    }
    if !names.not_compared.is_empty() {
        said.push_str(&format!("; {}", clip(&names.not_compared, LETTERS)));
    }
    printable(&said)
}

fn row(row: &NameRow) -> Row<3> {
    Row {
        name: clip(&printable(&row.name), NAME),
        quiet: clip(&printable(&row.kind), NAME),
        numbers: [row.before.clone(), row.after.clone(), row.grown.clone()],
        strong: false,
    }
}

/// Whether there is something to show.
pub fn are_shown(report: &Report) -> bool {
    !report.tiny && !report.names.rows.is_empty()
}

/// Appends the title with the table, or with the sentence where there is too little room for one: the lines
/// come first.
pub fn section(out: &mut String, report: &Report, has_room: bool) {
    if has_room {
        if are_shown(report) {
            card::heading(out, TITLE);
            html(out, report);
        }
    } else if let Some(sentence) = sentence(report, LISTED) {
        let _ = write!(out, "<p style=\"margin:14px 0 6px\">{}</p>", escape(&sentence));
    }
}

/// Appends the table, where there are such names.
pub fn html(out: &mut String, report: &Report) {
    if are_shown(report) {
        let rows: Vec<Row<3>> = report.names.rows.iter().map(row).collect();
        table::write(out, ["name", "type"], COLUMNS, &rows, &note(report));
    }
}

/// The same in a sentence, of so many names at most, those that changed most; `None` where there are none.
pub fn sentence(report: &Report, listed: usize) -> Option<String> {
    if !are_shown(report) {
        return None;
    }
    let names = &report.names;
    let said = |row: &NameRow| {
        let word = match (&*row.before, &*row.after) {
            ("new", _) => ", new",
            (_, "gone") => ", gone",
            _ => "",
        };
        let row = self::row(row);
        format!("{} {} ({}{word})", row.name, row.numbers[2], row.quiet)
    };
    let mut changes: Vec<Bytes> = names.rows.iter().map(|row| row.change).collect();
    changes.sort_unstable_by_key(|&change| Reverse(change));
    let least = changes.get(listed.saturating_sub(1)).copied().unwrap_or_default();
    let largest = names.rows.iter().filter(|row| row.change >= least).take(listed);
    let mut parts: Vec<String> = largest.map(said).collect();
    let left_out = names.others + (names.rows.len() - parts.len()) as u64;
    if left_out > 0 {
        parts.push(format!("{left_out} more"));
    }
    let mut sentence = format!("{TITLE}: {}", parts.join(", "));
    if !names.not_compared.is_empty() {
        sentence.push_str(&format!("; {}", clip(&names.not_compared, LETTERS)));
    }
    Some(printable(&sentence))
}
