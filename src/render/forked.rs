//! The table of lines in forked processes, in HTML, as text and in the picture.

use super::columns::{self, Column};
use super::drawn_table::{self, DrawnTable};
use super::lettering::{self, Face, clip, printable};
use super::svg;
use super::table::{self, Row};
use crate::profile::Bytes;
use crate::report::{ForkedRow, Report};

/// What stands above the table.
pub const TITLE: &str = "Lines in forked processes";

/// The names of the columns of numbers.
const COLUMNS: [&str; 3] = ["processes", "at the peak*", "allocated"];

/// Lines in the text at most.
const LISTED: usize = 3;

/// What the star says, how many lines are not there, and how well the figures are known.
fn note(report: &Report, left_out: usize) -> String {
    let mut said = "* the most in one process; allocated is of all of them".to_owned();
    let others = report.forked.others + left_out;
    if others > 0 {
        said.push_str(&format!("; {} more with less", lines(others)));
    }
    if report.forked.sample_interval > Bytes(0) {
        said.push_str(&format!("; sampled every {}", report.forked.sample_interval));
    }
    said
}

fn lines(count: usize) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}

fn numbers(row: &ForkedRow) -> [String; 3] {
    [row.processes.to_string(), row.peak.to_string(), row.allocated.to_string()]
}

/// At most so many lines.
fn rows(report: &Report, most: usize) -> Vec<Row<3>> {
    let row = |row: &ForkedRow| Row {
        name: printable(&row.place),
        quiet: clip(&printable(row.source.trim()), 100),
        numbers: numbers(row),
        strong: false,
    };
    report.forked.rows.iter().take(most).map(row).collect()
}

/// Appends the table, where there are such lines.
pub fn html(out: &mut String, report: &Report) {
    let rows = rows(report, usize::MAX);
    if !rows.is_empty() {
        table::write(out, ["line", "source"], COLUMNS, &rows, &note(report, 0));
    }
}

/// The table of `most` lines for the picture; `None` without any.
pub fn drawn(report: &Report, most: usize) -> Option<DrawnTable<'static>> {
    let rows = rows(report, most);
    let left_out = report.forked.rows.len() - rows.len();
    let note = lettering::wrap(&note(report, left_out), svg::WIDTH, drawn_table::NOTE, Face::Sans);
    (!rows.is_empty()).then_some(DrawnTable { title: TITLE, columns: COLUMNS, rows, note })
}

/// The table as lines of text; empty without such lines.
pub fn text(report: &Report, width: usize) -> Vec<String> {
    let rows = rows(report, LISTED);
    if rows.is_empty() {
        return Vec::new();
    }
    let left_out = report.forked.rows.len() - rows.len();
    let [processes, peak, allocated] = COLUMNS;
    let columns = [
        Column::words(TITLE, 30),
        Column::figures(processes),
        Column::figures(peak),
        Column::figures(allocated),
        Column::rest("source", 16),
    ];
    let cells: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| [row.name].into_iter().chain(row.numbers).chain([row.quiet]).collect())
        .collect();
    let mut out = columns::lines(&columns, &cells, width);
    out.extend(columns::wrap(&note(report, left_out), width));
    out
}
