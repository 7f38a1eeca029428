//! A comparison of two profiles as text and HTML.

use super::card;
use super::lettering::{clip, escape, printable};
use super::table::{self, Row};
use crate::profile::Bytes;
use crate::report::{Change, Diff, DiffRow, signed};

const COLUMNS: [&str; 5] = ["peak before", "after", "change", "stays", "allocated"];
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

/// The comparison as text.
pub fn text(diff: &Diff, top: usize) -> String {
    let rows = all_rows(diff, top);
    let names: Vec<String> = rows.iter().map(|row| clip(&printable(&row.name), 46)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |name: &str, numbers: [String; 5], source: &str| {
        let [before, after, peak, stays, allocated] = numbers;
        format!("{name:<wide$} {before:>11} {after:>10} {peak:>11} {stays:>11} {allocated:>11}  {source}")
            .trim_end()
            .to_owned()
    };
    let mut out = vec![printable(&diff.sentence()), facts(diff), String::new()];
    out.push(line("", COLUMNS.map(str::to_owned), "source"));
    for (row, name) in rows.iter().zip(&names) {
        out.push(line(name, numbers(row), &clip(&printable(&row.source), 48)));
    }
    if is_rough(&rows) {
        out.push(NOTE.to_owned());
    }
    out.join("\n") + "\n"
}

/// The comparison as an HTML fragment that needs neither script nor styles to be understood.
pub fn html(diff: &Diff, top: usize) -> String {
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
            numbers: numbers(row).map(|text| text.replace(' ', "\u{A0}")),
            strong: i == last,
        })
        .collect();
    let note = if is_rough(&rows) { NOTE } else { "" };
    table::write(&mut out, ["line", "source"], COLUMNS, &written, note);
    out.push_str("</div>");
    out
}
