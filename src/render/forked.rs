//! The table of lines in forked processes, in HTML and as text.

use super::lettering::{clip, printable};
use super::table::{self, Row};
use crate::profile::Bytes;
use crate::report::{ForkedRow, Report};

/// What stands above the table.
pub const TITLE: &str = "Lines in forked processes";

/// The names of the columns of numbers.
const COLUMNS: [&str; 3] = ["processes", "at the peak*", "allocated"];

/// Lines in the text at most.
const LISTED: usize = 3;

/// What the star says, and how well the figures are known.
fn note(report: &Report) -> String {
    let mut said =
        "* the most in one process, when that one held most; allocated is of all of them"
            .to_owned();
    if report.forked.others > 0 {
        said.push_str(&format!("; {} more with less", lines(report.forked.others)));
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

/// Appends the table, where there are such lines.
pub fn html(out: &mut String, report: &Report) {
    let rows: Vec<Row<3>> = report
        .forked
        .rows
        .iter()
        .map(|row| Row {
            name: printable(&row.place),
            quiet: clip(&printable(&row.source), 100),
            numbers: numbers(row),
            strong: false,
        })
        .collect();
    if !rows.is_empty() {
        table::write(out, ["line", "source"], COLUMNS, &rows, &note(report));
    }
}

/// The table as lines of text; empty without such lines.
pub fn text(report: &Report) -> Vec<String> {
    let listed = &report.forked.rows[..report.forked.rows.len().min(LISTED)];
    if listed.is_empty() {
        return Vec::new();
    }
    let places: Vec<String> = listed.iter().map(|row| clip(&printable(&row.place), 30)).collect();
    let wide = places.iter().map(|place| place.chars().count()).max().unwrap_or(0);
    let wide = wide.max(TITLE.len());
    let [processes, peak, allocated] = COLUMNS;
    let mut out = vec![format!("{TITLE:<wide$} {processes:>9} {peak:>12} {allocated:>10}  source")];
    for (row, place) in listed.iter().zip(places) {
        let [processes, peak, allocated] = numbers(row);
        let source = clip(&printable(&row.source), 50);
        let line = format!("{place:<wide$} {processes:>9} {peak:>12} {allocated:>10}  {source}");
        out.push(line.trim_end().to_owned());
    }
    out.push(note(report));
    out
}
