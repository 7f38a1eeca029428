//! The table of child processes, in HTML, as text and in the picture.

use super::canvas::{Canvas, Side};
use super::lettering::{self, Face, clip, printable};
use super::table::{self, Row};
use super::theme;
use crate::error::Result;
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

fn cells(row: &ChildRow) -> Row<3> {
    Row {
        name: format!("{} ({})", clip(&printable(&row.command), 60), row.pid),
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
fn rows(report: &Report, most: usize) -> Vec<Row<3>> {
    let children = &report.children;
    let listed = &children.rows[..children.rows.len().min(most)];
    let merged = &children.rows[listed.len()..];
    let mut others = children.rest.map_or((0, 0), |rest| (rest.count, rest.at_peak.0));
    for row in merged {
        others = (others.0 + 1, others.1.saturating_add(row.at_peak.0));
    }
    let mut rows: Vec<Row<3>> = listed.iter().map(cells).collect();
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
    let rows = rows(report, usize::MAX);
    if rows.is_empty() {
        return;
    }
    table::write(out, ["process (pid)", "from – to"], COLUMNS, &rows, NOTE);
}

/// The table as lines of text; empty without children.
pub fn text(report: &Report) -> Vec<String> {
    let rows = rows(report, LISTED);
    if rows.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = rows.iter().map(|row| clip(&row.name, 44)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let wide = wide.max(TITLE.len());
    let [rss, pss, private] = COLUMNS;
    let mut out = vec![format!("{TITLE:<wide$} {rss:>10} {pss:>10} {private:>10}  from – to")];
    for (row, name) in rows.iter().zip(names) {
        let [rss, pss, private] = &row.numbers;
        let line = format!("{name:<wide$} {rss:>10} {pss:>10} {private:>10}  {}", row.quiet);
        out.push(line.trim_end().to_owned());
    }
    out.push(NOTE.to_owned());
    out
}

const ROW: f64 = 19.0;

/// The height of the table of `most` children in the picture, in pixels; 0 without any.
pub fn height(report: &Report, most: usize) -> f64 {
    match rows(report, most).len() {
        rows if rows == 0 || most == 0 => 0.0,
        rows => ROW * (rows as f64 + 2.0) + 10.0,
    }
}

/// Draws the table of `most` children between two edges, its upper edge at `top`.
pub fn draw(
    canvas: &Canvas<'_>,
    report: &Report,
    most: usize,
    top: f64,
    (left, right): (f64, f64),
) -> Result<()> {
    let rows = rows(report, most);
    if rows.is_empty() || most == 0 {
        return Ok(());
    }
    let columns = [right - 170.0, right - 85.0, right];
    let when_at = left + 240.0;
    let mut y = top + 9.0;
    canvas.text(TITLE, (left, y), 13.0, Face::Bold, theme::TEXT, Side::Start)?;
    for (x, name) in columns.iter().zip(COLUMNS) {
        canvas.text(name, (*x, y), 11.0, Face::Sans, theme::QUIET, Side::End)?;
    }
    for row in rows {
        y += ROW;
        let face = if row.strong { Face::Bold } else { Face::Sans };
        let fit =
            |text: &str, room: f64| lettering::shorten(&canvas.letters(text), room, 11.5, face);
        let room = if row.quiet.is_empty() { columns[1] - left } else { when_at - left } - 10.0;
        canvas.text(&fit(&row.name, room), (left, y), 11.5, face, theme::TEXT, Side::Start)?;
        let room = columns[0] - 66.0 - when_at;
        let when = fit(&row.quiet, room);
        canvas.text(&when, (when_at, y), 11.0, Face::Sans, theme::QUIET, Side::Start)?;
        for (x, number) in columns.iter().zip(&row.numbers) {
            canvas.text(number, (*x, y), 11.5, face, theme::TEXT, Side::End)?;
        }
    }
    canvas.text(NOTE, (left, y + ROW), 11.0, Face::Sans, theme::QUIET, Side::Start)
}
