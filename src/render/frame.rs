//! A frame as text and as HTML: verdict, bars, table, and advice with the code to paste.
//!
//! The HTML lives on what an untrusted notebook leaves of it, as that of a profile does.

use super::frame_picture;
use super::lettering::{clip, escape, printable};
use super::page::{card, heading, headline, image};
use super::rows::border;
use super::theme;
use crate::error::Result;
use crate::profile::Bytes;
use crate::report::frames::{Advice, Column, Frame};
use std::fmt::Write as _;

/// Columns in the text at most.
const LISTED: usize = 14;
/// Advice in the text at most.
const ADVISED: usize = 8;
/// Letters of the longest bar.
const BAR: usize = 16;
/// Bytes of the fragment at most.
const LARGEST: usize = 60_000;

/// What is written: rows of the table, and of the advice.
const BUDGETS: [(usize, usize); 4] = [(200, 100), (60, 40), (30, 15), (10, 5)];

/// The frame as text; with `color`, ANSI escapes mark what matters.
pub fn text(frame: &Frame, color: bool) -> String {
    let bold = |text: &str| {
        if color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    };
    let mut out =
        vec![bold(&printable(&frame.sentence())), printable(&frame.facts()), String::new()];
    table_text(frame, &mut out);
    let best = frame.best();
    if !best.is_empty() {
        out.push(String::new());
        out.push(bold("Smaller, with every value kept (each was checked):"));
        for (name, advice) in best.iter().take(ADVISED) {
            out.extend(advice_text(name, advice));
        }
        if best.len() > ADVISED {
            let saved: u64 = best[ADVISED..].iter().map(|(_, advice)| advice.saved().0).sum();
            out.push(format!("  and {} more: {} less", best.len() - ADVISED, Bytes(saved)));
        }
    }
    out.join("\n") + "\n"
}

fn table_text(frame: &Frame, out: &mut Vec<String>) {
    let (shown, others) = frame.largest_columns(LISTED);
    let names: Vec<String> =
        shown.iter().map(|column| clip(&printable(&column.name), 24)).collect();
    let types: Vec<String> =
        shown.iter().map(|column| clip(&printable(&column.dtype), 22)).collect();
    let wide = |texts: &[String], least: usize| {
        texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(least)
    };
    let (name_wide, type_wide) = (wide(&names, 10), wide(&types, 4));
    out.push(format!(
        "{:<name_wide$}  {:<type_wide$} {:>10} {:>10} {:>11}",
        "", "type", "own", "shared", "missing"
    ));
    for ((column, name), dtype) in shown.iter().zip(&names).zip(&types) {
        let bar = blocks(column.total(), frame.largest());
        let line = format!(
            "{name:<name_wide$}  {dtype:<type_wide$} {:>10} {:>10} {:>11}  {bar}",
            column.owned.to_string(),
            shared(column).to_string(),
            column.missing(),
        );
        out.push(line.trim_end().to_owned());
        if let Some(words) = column.words(frame) {
            out.push(format!("{:name_wide$}  {}", "", printable(&words)));
        }
    }
    let row = |name: String, owned: Bytes, shared: Bytes| {
        format!(
            "{name:<name_wide$}  {:<type_wide$} {:>10} {:>10}",
            "",
            owned.to_string(),
            shared.to_string()
        )
    };
    if !others.is_empty() {
        let sum = |of: fn(&Column) -> Bytes| Bytes(others.iter().map(|column| of(column).0).sum());
        out.push(row(format!("{} more", others.len()), sum(|c| c.owned), sum(shared)));
    }
    if frame.within() > Bytes(0) {
        out.push(format!(
            "{}  in several columns, once",
            row("together".to_owned(), frame.within(), Bytes(0)).trim_end()
        ));
    }
    out.push(row("in all".to_owned(), frame.owned, frame.shared));
}

/// What a column does not have for itself.
fn shared(column: &Column) -> Bytes {
    Bytes(column.within.0 + column.shared.0)
}

fn blocks(bytes: Bytes, most: Bytes) -> String {
    let eighths = (bytes.as_f64() / most.as_f64().max(1.0) * (BAR * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(['▏', '▎', '▍', '▌', '▋', '▊', '▉'].get((eighths % 8).wrapping_sub(1)));
    if bar.is_empty() && bytes > Bytes(0) { "▏".to_owned() } else { bar }
}

fn advice_text(name: &str, advice: &Advice) -> Vec<String> {
    let name = clip(&printable(name), 24);
    let mut out = vec![format!("  {name}: {} as {}", advice.change(), printable(&advice.dtype))];
    out.extend(advice.code.lines().map(|line| format!("      {}", printable(line))));
    out.push(format!("      price: {}", printable(&advice.price)));
    out
}

/// One line: what it holds and what it could.
pub fn line(frame: &Frame) -> String {
    printable(&frame.sentence())
}

/// What a reader who does not see the picture should know of it.
pub fn alt_text(frame: &Frame) -> String {
    let (shown, _) = frame.largest_columns(4);
    let largest: Vec<String> =
        shown.iter().map(|column| format!("{} {}", column.name, column.total())).collect();
    let said = format!("{} The largest columns: {}.", frame.sentence(), largest.join(", "));
    clip(&printable(&said), 600)
}

/// The frame as an HTML fragment of at most 60 kB.
pub fn html(frame: &Frame) -> Result<String> {
    let mut html = String::new();
    for (rows, advised) in BUDGETS {
        html = fragment(frame, rows, advised)?;
        if html.len() <= LARGEST {
            break;
        }
    }
    Ok(html)
}

fn fragment(frame: &Frame, rows: usize, advised: usize) -> Result<String> {
    let mut body = String::with_capacity(16 << 10);
    headline(&mut body, &frame.headline());
    let _ = write!(
        body,
        "<p style=\"margin:4px 0 10px;font-size:12px;color:{}\">{}</p>",
        theme::QUIET.hex(),
        escape(&frame.facts())
    );
    image(&mut body, &frame_picture::bars(frame)?, &alt_text(frame));
    heading(&mut body, "Column by column");
    table(&mut body, frame, rows);
    let best = frame.best();
    if !best.is_empty() {
        heading(&mut body, "Smaller, with every value kept");
        let _ = write!(
            body,
            "<p style=\"margin:0 0 6px;font-size:12px;color:{}\">Each was tried on a sample and then checked on every value.</p>",
            theme::QUIET.hex()
        );
        advice_table(&mut body, &best, advised);
    }
    if best.len() > 1 {
        let left = Bytes(frame.owned.0.saturating_sub(frame.saved.0));
        let summary = format!("All of it at once: {} → {left}", frame.owned);
        let _ = write!(
            body,
            "<details style=\"margin:8px 0 0\"><summary>{summary}</summary>{}</details>",
            code(&clip(&frame.code, 8000))
        );
    }
    alternatives(&mut body, frame, advised);
    Ok(card(&body))
}

fn open(out: &mut String, columns: &[(&str, &str)]) {
    let _ = write!(
        out,
        "<div style=\"overflow-x:auto\"><table style=\"width:100%;table-layout:auto;border-collapse:collapse;border:none;margin:0;font-size:12px;color:{}\"><thead><tr style=\"background:{}\">",
        theme::TEXT.hex(),
        theme::CARD.hex()
    );
    for (column, side) in columns {
        let _ = write!(
            out,
            "<th scope=\"col\" style=\"border:none;padding:2px 12px 2px 0;text-align:{side};font-weight:normal;color:{}\">{column}</th>",
            theme::QUIET.hex()
        );
    }
    out.push_str("</tr></thead><tbody>");
}

fn table(out: &mut String, frame: &Frame, rows: usize) {
    let sides = ["left", "left", "right", "right", "right", "left"];
    let names = ["column", "type", "own", "shared", "missing", ""];
    open(out, &names.into_iter().zip(sides).collect::<Vec<_>>());
    let (shown, others) = frame.largest_columns(rows);
    for column in shown {
        let mut words = column.words(frame).unwrap_or_default();
        let made_of = column.made_of();
        if !made_of.is_empty() {
            words = if words.is_empty() { made_of } else { format!("{words} · {made_of}") };
        }
        let numbers = [column.owned, shared(column)];
        row(out, &column.name, &column.dtype, numbers, &column.missing(), &words, false);
    }
    if !others.is_empty() {
        let sum = |of: fn(&Column) -> Bytes| Bytes(others.iter().map(|column| of(column).0).sum());
        let numbers = [sum(|column| column.owned), sum(shared)];
        row(out, &format!("{} more", others.len()), "", numbers, "", "", false);
    }
    if frame.within() > Bytes(0) {
        let words = "in several columns, once";
        row(out, "together", "", [frame.within(), Bytes(0)], "", words, false);
    }
    row(out, "in all", "", [frame.owned, frame.shared], "", "", true);
    out.push_str("</tbody></table></div>");
}

fn row(
    out: &mut String,
    name: &str,
    dtype: &str,
    numbers: [Bytes; 2],
    missing: &str,
    words: &str,
    last: bool,
) {
    let cell = format!("{};padding:2px 12px 2px 0", border(last));
    let weight = if last { "bold" } else { "normal" };
    let quiet = theme::QUIET.hex();
    let _ = write!(
        out,
        "<tr style=\"background:{}\"><th scope=\"row\" style=\"{cell};text-align:left;font-weight:{weight};overflow-wrap:anywhere;min-width:70px\">{}</th><td style=\"{cell};text-align:left;overflow-wrap:anywhere\">{}</td>",
        theme::CARD.hex(),
        escape(&clip(name, 80)),
        escape(&clip(dtype, 60)),
    );
    for number in numbers {
        let text = number.to_string().replace(' ', "\u{A0}");
        let _ = write!(
            out,
            "<td style=\"{cell};text-align:right;font-weight:{weight};white-space:nowrap\">{text}</td>"
        );
    }
    let _ = write!(
        out,
        "<td style=\"{cell};text-align:right\">{missing}</td><td style=\"{cell};width:45%;text-align:left;color:{quiet}\">{}</td></tr>",
        escape(&clip(words, 300))
    );
}

fn advice_table(out: &mut String, best: &[(&str, &Advice)], most: usize) {
    open(
        out,
        &[
            ("column", "left"),
            ("bytes", "right"),
            ("as", "left"),
            ("what to paste, and its price", "left"),
        ],
    );
    for (name, advice) in best.iter().take(most) {
        advice_row(out, name, advice);
    }
    out.push_str("</tbody></table></div>");
    if best.len() > most {
        let saved: u64 = best[most..].iter().map(|(_, advice)| advice.saved().0).sum();
        let _ = write!(out, "<p>and {} more: {} less</p>", best.len() - most, Bytes(saved));
    }
}

fn advice_row(out: &mut String, name: &str, advice: &Advice) {
    let cell =
        format!("{};padding:3px 12px 3px 0;vertical-align:top;text-align:left", border(false));
    let _ = write!(
        out,
        "<tr style=\"background:{}\"><th scope=\"row\" style=\"{cell};font-weight:normal;overflow-wrap:anywhere\">{}</th><td style=\"{cell};text-align:right;white-space:nowrap\">{}</td><td style=\"{cell}\">{}</td><td style=\"{cell};width:60%\">{}<span style=\"color:{}\">{}</span></td></tr>",
        theme::CARD.hex(),
        escape(&clip(name, 60)),
        advice.change().replace(' ', "\u{A0}"),
        escape(&clip(&advice.dtype, 40)),
        code(&clip(&advice.code, 1000)),
        theme::QUIET.hex(),
        escape(&clip(&advice.price, 200)),
    );
}

/// What is smaller than the column too, though not the smallest.
fn alternatives(out: &mut String, frame: &Frame, most: usize) {
    let others: Vec<(&str, &Advice)> = frame
        .columns
        .iter()
        .flat_map(|column| column.advice.iter().skip(1).map(|a| (column.name.as_str(), a)))
        .collect();
    if others.is_empty() {
        return;
    }
    out.push_str("<details style=\"margin:6px 0 0\"><summary>Other types that would do</summary>");
    advice_table(out, &others, most);
    out.push_str("</details>");
}

/// Lines to paste. Blanks at line ends are none, and a line never runs out of the card.
fn code(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escape).collect();
    format!(
        "<pre style=\"margin:0;padding:0;border:none;background:{};color:{};font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px;line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere\">{}</pre>",
        theme::CARD.hex(),
        theme::TEXT.hex(),
        lines.join("\n")
    )
}
