//! The table of child processes, in HTML, as text and in the picture.

use super::columns::{self, Column};
use super::drawn_table::DrawnTable;
use super::lettering::{clip, printable};
use super::table::{self, Row};
use crate::profile::Bytes;
use crate::report::{ChildRow, Report};

/// What stands above the table.
pub const TITLE: &str = "Child processes";

/// The names of the columns of numbers.
const COLUMNS: [&str; 3] = ["peak RSS", "peak PSS", "private*"];

/// Children in the text at most.
const LISTED: usize = 4;

/// What the star says.
const NOTE: &str = "* in no other process, when the children together held most";

/// Letters of a command in a table, and in a line of text.
const COMMAND: [usize; 2] = [60, 21];

fn cells(row: &ChildRow, letters: usize) -> Row<3> {
    Row {
        name: format!("{} ({})", clip(&printable(&row.command), letters), row.pid),
        quiet: format!("{}, {}", row.lifetime, row.ending),
        numbers: [
            row.peak_rss.to_string(),
            row.peak_pss.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string()),
            row.at_peak.to_string(),
        ],
        strong: false,
    }
}

/// At most so many children, then the others in one row; the last row, where there are several, is
/// their sum.
fn rows(report: &Report, most: usize, letters: usize) -> Vec<Row<3>> {
    let children = &report.children;
    let listed = &children.rows[..children.rows.len().min(most)];
    let merged = &children.rows[listed.len()..];
    let mut others = children.rest.map_or((0, 0), |rest| (rest.count, rest.at_peak.0));
    for row in merged {
        others = (others.0 + 1, others.1.saturating_add(row.at_peak.0));
    }
    let mut rows: Vec<Row<3>> = listed.iter().map(|row| cells(row, letters)).collect();
    let sum = |name: String, bytes: Bytes, strong| Row {
        name,
        quiet: String::new(),
        numbers: [String::new(), String::new(), bytes.to_string()],
        strong,
    };
    if others.0 > 0 {
        let name =
            if others.0 == 1 { "1 other".to_owned() } else { format!("{} others", others.0) };
        rows.push(sum(name, Bytes(others.1), false));
    }
    if rows.len() > 1 {
        rows.push(sum(format!("together, at {}", children.peak_at), children.peak, true));
    }
    rows
}

/// Appends the table, where there are children.
pub fn html(out: &mut String, report: &Report) {
    let rows = rows(report, usize::MAX, COMMAND[0]);
    if rows.is_empty() {
        return;
    }
    table::write(out, ["process (pid)", "from – to"], COLUMNS, &rows, NOTE);
}

/// The table as lines of text; empty without children.
pub fn text(report: &Report, width: usize) -> Vec<String> {
    let rows = rows(report, LISTED, COMMAND[1]);
    if rows.is_empty() {
        return Vec::new();
    }
    let [rss, pss, private] = COLUMNS;
    let columns = [
        Column::words(TITLE, 30),
        Column::figures(rss),
        Column::optional(pss, 1),
        Column::figures(private),
        Column::rest("from – to", 30),
    ];
    let cells: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| [row.name].into_iter().chain(row.numbers).chain([row.quiet]).collect())
        .collect();
    let mut out = columns::lines(&columns, &cells, width);
    out.extend(columns::wrap(NOTE, width));
    out
}

/// The table of `most` children for the picture; `None` without any.
pub fn drawn(report: &Report, most: usize) -> Option<DrawnTable<'static>> {
    let rows = rows(report, most, COMMAND[0]);
    let note = vec![NOTE.to_owned()];
    (most > 0 && !rows.is_empty()).then_some(DrawnTable {
        title: TITLE,
        columns: COLUMNS,
        rows,
        note,
    })
}
