//! A comparison of two profiles as text and HTML.

use super::card;
use super::columns::{self, Column};
use super::lettering::{clip, escape, printable, unparted};
use super::table::{self, Row};
use crate::profile::Bytes;
use crate::report::{Change, Diff, DiffRow, signed};

const COLUMNS: [&str; 5] = ["peak before", "after", "peak change", "stays", "allocated"];
const NOTE: &str = "~ within the sampling error";

fn size(bytes: f64) -> String {
    let text = Bytes::from_f64(bytes.abs()).to_string();
    if bytes < 0.0 && text != "0" { format!("−{text}") } else { text }
}

fn change(change: Change) -> String {
    let about = if change.within_error() && change.grown().abs() >= 1.0 { "~" } else { "" };
    format!("{about}{}", signed(change.grown()))
}

fn numbers(row: &DiffRow) -> [String; 5] {
    [
        size(row.peak.before),
        size(row.peak.after),
        change(row.peak),
        change(row.surviving),
        change(row.allocated),
    ]
}

fn facts(diff: &Diff) -> String {
    let [before, after] = &diff.titles;
    let [from, to] = diff.resident;
    printable(&format!("{} → {} · resident peak {from} → {to}", clip(before, 60), clip(after, 60)))
}

fn all_rows(diff: &Diff, top: usize) -> Vec<DiffRow> {
    let mut rows = diff.rows(top);
    rows.push(diff.total.clone());
    rows
}

fn is_rough(rows: &[DiffRow]) -> bool {
    rows.iter().any(|row| numbers(row).iter().any(|text| text.starts_with('~')))
}

/// The comparison as text in so many columns.
pub fn text(diff: &Diff, top: usize, width: usize) -> String {
    let rows = all_rows(diff, top);
    let [before, after, peak, stays, allocated] = COLUMNS;
    let columns = [
        Column::words("", 46),
        Column::optional(before, 1),
        Column::optional(after, 2),
        Column::figures(peak),
        Column::figures(stays),
        Column::optional(allocated, 3),
        Column::rest("source", 24),
    ];
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let words = [printable(&row.name), printable(&row.source)];
            let [name, source] = words;
            [name].into_iter().chain(numbers(row)).chain([source]).collect()
        })
        .collect();
    let wrap = |text: &str| -> Vec<String> {
        let lines = columns::wrap(&unparted(text), width);
        lines.iter().map(|line| line.replace('\u{A0}', " ")).collect()
    };
    let mut out = wrap(&printable(&diff.sentence()));
    out.extend(wrap(&facts(diff)));
    out.push(String::new());
    out.extend(columns::lines(&columns, &cells, width));
    if is_rough(&rows) {
        out.push(NOTE.to_owned());
    }
    out.join("\n") + "\n"
}

/// Bytes of the fragment at most.
const LARGEST: usize = 60_000;

/// The comparison as an HTML fragment that needs neither script nor styles to be understood, of as many
/// of the `top` lines as there is room for.
pub fn html(diff: &Diff, mut top: usize) -> String {
    top = top.min(diff.lines.len());
    loop {
        let html = fragment(diff, top);
        if html.len() <= LARGEST || top <= 1 {
            return html;
        }
        top = top * 3 / 4;
    }
}

fn fragment(diff: &Diff, top: usize) -> String {
    let mut out = String::new();
    card::open(&mut out);
    card::headline(&mut out, diff.headline.iter().map(|(piece, strong)| (escape(piece), *strong)));
    card::facts(&mut out, &escape(&facts(diff)));
    let rows = all_rows(diff, top);
    let last = rows.len() - 1;
    let written: Vec<Row<5>> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| Row {
            name: clip(&row.name, 80),
            quiet: clip(&row.source, 120),
            numbers: numbers(row),
            strong: i == last,
        })
        .collect();
    let note = if is_rough(&rows) { NOTE } else { "" };
    table::write(&mut out, ["line", "source"], COLUMNS, &written, note);
    out.push_str("</div>");
    out
}
