//! A frame as text and as HTML: verdict, bars, table, and advice with the code to paste.
//!
//! The HTML lives on what an untrusted notebook leaves of it, as that of a profile does.

use super::columns::{self, wrap};
use super::lettering::{clip, escape, printable, unparted};
use super::table::{self, Table};
use super::{card, fragment, frame_picture, theme};
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
/// Letters of a line at least.
const NARROWEST: usize = 60;

/// What is written: rows of the table, and of the advice.
const BUDGETS: [(usize, usize); 4] = [(200, 100), (60, 40), (30, 15), (10, 5)];

/// The frame as text of `width` columns; with `color`, ANSI escapes mark what matters.
pub fn text(frame: &Frame, width: usize, color: bool) -> String {
    let width = width.max(NARROWEST);
    let bold = |text: &str| {
        if color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    };
    let mut out: Vec<String> =
        wrap(&printable(&frame.sentence()), width).iter().map(|line| bold(line)).collect();
    out.extend(wrap(&printable(&frame.facts()), width));
    out.push(String::new());
    table_text(frame, width, &mut out);
    let best = frame.best();
    if !best.is_empty() {
        out.push(String::new());
        out.push(bold("Smaller, with every value kept (each was checked):"));
        for (name, advice) in best.iter().take(ADVISED) {
            out.extend(advice_text(name, advice, width));
        }
        if best.len() > ADVISED {
            let saved: u64 = best[ADVISED..].iter().map(|(_, advice)| advice.saved().0).sum();
            out.push(format!("  and {} more: {} less", best.len() - ADVISED, Bytes(saved)));
        }
    }
    out.join("\n") + "\n"
}

fn table_text(frame: &Frame, width: usize, out: &mut Vec<String>) {
    let columns = [
        columns::Column::words("", 24),
        columns::Column::words("type", 22),
        columns::Column::figures("own"),
        columns::Column::figures("shared"),
        columns::Column::optional("missing", 1),
        columns::Column::rest("", BAR),
    ];
    let (shown, others) = frame.largest_columns(LISTED);
    let row = |name: &str, bytes: [Bytes; 2], last: &str| {
        let [own, shared] = bytes.map(|bytes| bytes.to_string());
        vec![name.to_owned(), String::new(), own, shared, String::new(), last.to_owned()]
    };
    let mut rows = Vec::new();
    for column in &shown {
        let bar = blocks(column.total(), frame.largest());
        let mut cells = row(&printable(&column.name), [column.owned, shared(column)], &bar);
        cells[1] = printable(&column.dtype);
        cells[4] = column.missing();
        rows.push(cells);
    }
    if !others.is_empty() {
        let sum = |of: fn(&Column) -> Bytes| Bytes(others.iter().map(|column| of(column).0).sum());
        rows.push(row(&format!("{} more", others.len()), [sum(|c| c.owned), sum(shared)], ""));
    }
    if frame.within() > Bytes(0) {
        rows.push(row("together", [frame.within(), Bytes(0)], "several columns’"));
    }
    rows.push(row("in all", [frame.owned, frame.shared], ""));
    let words = shown.iter().map(|column| column.words(frame));
    for (line, words) in columns::lines(&columns, &rows, width)
        .into_iter()
        .zip(std::iter::once(None).chain(words).chain(std::iter::repeat(None)))
    {
        out.push(line);
        let words = words.map(|words| printable(&words)).unwrap_or_default();
        out.extend(
            wrap(&words, width - 4).iter().filter(|w| !w.is_empty()).map(|w| format!("    {w}")),
        );
    }
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

fn advice_text(name: &str, advice: &Advice, width: usize) -> Vec<String> {
    let name = clip(&printable(name), 24);
    let mut out = vec![format!("  {name}: {} as {}", advice.change(), printable(&advice.dtype))];
    // Lines to paste are never broken.
    out.extend(advice.code.lines().map(|line| format!("      {}", printable(line))));
    let price = format!("price: {}", printable(&advice.price));
    out.extend(wrap(&price, width - 6).iter().map(|line| format!("      {line}")));
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
        html = written(frame, rows, advised)?;
        if html.len() <= fragment::LARGEST {
            break;
        }
    }
    Ok(html)
}

fn written(frame: &Frame, rows: usize, advised: usize) -> Result<String> {
    let mut out = String::with_capacity(16 << 10);
    card::open(&mut out);
    let pieces = frame.headline().into_iter();
    card::headline(&mut out, pieces.map(|(piece, strong)| (unparted(&escape(&piece)), strong)));
    card::facts(&mut out, &unparted(&escape(&frame.facts())));
    card::image(&mut out, &frame_picture::bars(frame)?, &escape(&alt_text(frame)));
    card::heading(&mut out, "Column by column");
    table_html(&mut out, frame, rows);
    let best = frame.best();
    if !best.is_empty() {
        card::heading(&mut out, "Smaller, with every value kept");
        advice_table(&mut out, &best, advised);
        table::note_below(
            &mut out,
            "Each type was tried on a sample and then checked on every value.",
        );
    }
    if best.len() > 1 {
        let left = Bytes(frame.owned.0.saturating_sub(frame.saved.0));
        let summary = format!("All of it at once: {} → {left}", frame.owned);
        let _ = write!(
            out,
            "<details style=\"margin:8px 0 0\"><summary>{summary}</summary>{}</details>",
            code(&clip(&frame.code, 8000))
        );
    }
    alternatives(&mut out, frame, advised);
    out.push_str("</div>");
    Ok(out)
}

fn table_html(out: &mut String, frame: &Frame, rows: usize) {
    let table = Table { words: 3, wraps: true, fits: false };
    table.begin(out, ["column", "type", "", "own", "shared", "missing"]);
    let row = |out: &mut String, words: [String; 3], bytes: [Bytes; 2], missing, strong| {
        let [own, shared] = bytes.map(|bytes| unparted(&bytes.to_string()));
        let [name, dtype, said] = words.map(|text| unparted(&escape(&clip(&text, 300))));
        table.row(out, &[name, dtype, said, own, shared, missing], strong);
    };
    let (shown, others) = frame.largest_columns(rows);
    for column in shown {
        let said = [column.words(frame).unwrap_or_default(), column.made_of()];
        let said: Vec<&str> = said.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
        let words = [clip(&column.name, 80), clip(&column.dtype, 60), said.join(" · ")];
        row(out, words, [column.owned, shared(column)], column.missing(), false);
    }
    if !others.is_empty() {
        let sum = |of: fn(&Column) -> Bytes| Bytes(others.iter().map(|column| of(column).0).sum());
        let words = [format!("{} more", others.len()), String::new(), String::new()];
        row(out, words, [sum(|column| column.owned), sum(shared)], String::new(), false);
    }
    if frame.within() > Bytes(0) {
        let words = ["together", "", "in several columns, once"].map(str::to_owned);
        row(out, words, [frame.within(), Bytes(0)], String::new(), false);
    }
    let words = ["in all", "", ""].map(str::to_owned);
    row(out, words, [frame.owned, frame.shared], String::new(), true);
    table.end(out);
}

fn advice_table(out: &mut String, best: &[(&str, &Advice)], most: usize) {
    let table = Table { words: 3, wraps: true, fits: false };
    table.begin(out, ["column", "as", "what to paste, and its price", "bytes"]);
    for (name, advice) in best.iter().take(most) {
        let name = escape(&clip(name, 60));
        let dtype = escape(&clip(&advice.dtype, 40));
        let price = unparted(&escape(&clip(&advice.price, 200)));
        let paste = format!("{}{price}", code(&clip(&advice.code, 1000)));
        table.row(out, &[name, dtype, paste, unparted(&advice.change())], false);
    }
    table.end(out);
    if best.len() > most {
        let saved: u64 = best[most..].iter().map(|(_, advice)| advice.saved().0).sum();
        let _ = write!(out, "<p>and {} more: {} less</p>", best.len() - most, Bytes(saved));
    }
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
