//! The line table in HTML.
//!
//! The source takes the room that the numbers leave: a cell without a width of its own wraps, so
//! the table never leaves its card. An error stands below its figure.
//!
//! Every row says its own background: the notebook's style sheets stripe rows for their own
//! theme, and our dark text must never stand on a dark stripe. Numbers are text; bars and
//! colours repeat what the numbers say.

use super::axis::signed;
use super::card;
use super::lettering::{clip, escape};
use super::text::{count, is_quiet};
use super::theme::{self, Ink};
use crate::profile::{Bytes, Estimate};
use crate::report::{Figures, Group, Line, Report, Rest, Row, Table, error_words};
use std::fmt::Write as _;

/// How much of the table is written.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Lines of source without figures; runs of them are folded beyond that.
    pub quiet: usize,
    /// Letters of a line of source.
    pub letters: usize,
}

/// The longest bar, in pixels.
const BAR: f64 = 64.0;
/// Columns of the table.
const COLUMNS: usize = 7;

/// Appends a table of the report.
pub fn write(out: &mut String, report: &Report, table: &Table, budget: Budget) {
    let writer = Writer { report, table, budget, largest: largest(table) };
    let quiet = theme::QUIET.hex();
    card::scrolls(out);
    let _ = write!(
        out,
        "<table style=\"width:100%;table-layout:auto;border-collapse:collapse;border:none;margin:0;font-size:12px;font-variant-numeric:tabular-nums;color:{}\">",
        theme::TEXT.hex()
    );
    let head = format!(
        "border:none;padding:2px 0 2px 10px;font-weight:normal;color:{quiet};white-space:nowrap"
    );
    let _ = write!(
        out,
        "<thead><tr style=\"background:{card}\"><th scope=\"col\" style=\"{head};padding-left:8px;text-align:right\">line</th><th scope=\"col\" style=\"{head};width:99%;min-width:110px;text-align:left\">source</th>",
        card = theme::CARD.hex(),
    );
    for column in ["at the peak", "stays", "allocated", "temporary", "blocks"] {
        let _ = write!(out, "<th scope=\"col\" style=\"{head};text-align:right\">{column}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    let several = table.groups.len() > 1;
    for group in &table.groups {
        writer.group(out, group, several);
    }
    for rest in &table.rest {
        writer.rest(out, rest);
    }
    writer.total(out);
    out.push_str("</tbody></table>");
    out.push_str(card::SCROLLED);
}

fn largest(table: &Table) -> f64 {
    table.lines().map(|line| line.figures.peak.value).fold(0.0, f64::max)
}

/// The numbers of a row.
struct Cells<'a> {
    /// Bytes at the peak.
    peak: f64,
    /// The other numbers, where there are any.
    figures: Option<&'a Figures>,
    /// Length in pixels and colour of the bar.
    bar: (f64, Ink),
    /// Whether they are set in bold.
    strong: bool,
    /// How well the bytes at the peak are known, where they are estimated.
    held: Option<Estimate>,
    /// Whether a rule stands above the row.
    rule: bool,
}

impl Cells<'_> {
    fn of(peak: f64) -> Self {
        Cells {
            peak,
            figures: None,
            bar: (0.0, theme::GREY),
            strong: false,
            held: None,
            rule: false,
        }
    }
}

/// What was never in use is worth a word from so many bytes on, and so large a part of what was asked for.
const WORTH_SAYING: (f64, f64) = (1024.0 * 1024.0, 0.25);

/// What of the bytes that were asked for was ever in use, where that is another figure.
pub(super) fn touched(figures: &Figures) -> String {
    if figures.untouched < WORTH_SAYING.0.max(WORTH_SAYING.1 * figures.allocated.value) {
        return String::new();
    }
    format!("touched {}", Bytes::from_f64(figures.touched()))
}

fn border(rule: bool) -> String {
    if rule {
        format!("border:none;border-top:1px solid {}", theme::BORDER.hex())
    } else {
        "border:none".to_owned()
    }
}

struct Writer<'a> {
    report: &'a Report,
    table: &'a Table,
    budget: Budget,
    largest: f64,
}

impl Writer<'_> {
    fn group(&self, out: &mut String, group: &Group, several: bool) {
        let own = |row: &Row| matches!(row, Row::Line(_));
        if several {
            let _ = write!(
                out,
                "<tr style=\"background:{}\"><th scope=\"rowgroup\" colspan=\"{}\" style=\"border:none;padding:7px 8px 2px;text-align:left;font-weight:normal;color:{}\">{}</th></tr>",
                theme::CARD.hex(),
                COLUMNS,
                theme::QUIET.hex(),
                escape(&clip(&group.label, 120))
            );
        }
        let room = group.rows.iter().filter(|row| is_quiet(row)).count() <= self.budget.quiet;
        let mut i = 0;
        while i < group.rows.len() {
            let run = group.rows[i..].iter().take_while(|row| !own(row)).count();
            if run == 0 {
                if let Row::Line(line) = &group.rows[i] {
                    self.line(out, line);
                }
                i += 1;
            } else if group.main && (room || run <= 2) {
                group.rows[i..i + run].iter().for_each(|row| self.quiet(out, row));
                i += run;
            } else {
                if group.main {
                    self.fold(out, &group.rows[i..i + run]);
                }
                i += run;
            }
        }
    }

    /// One row in place of a run of lines without rows of their own.
    fn fold(&self, out: &mut String, run: &[Row]) {
        let number = |row: &Row| match row {
            Row::Line(line) => line.key.line,
            Row::Quiet { lineno, .. } => *lineno,
        };
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
        let merged = |row: &Row| !matches!(row, Row::Quiet { merged: false, .. });
        let note = match run.iter().filter(|row| merged(row)).count() {
            0 => String::new(),
            n => format!(", {n} of them in “other”"),
        };
        let _ = write!(
            out,
            "<tr style=\"background:{}\"><td style=\"border:none\"></td><td colspan=\"{}\" style=\"border:none;padding:1px 0 1px 10px;text-align:left;color:{}\">⋯ lines {}–{}{note}</td></tr>",
            theme::CARD.hex(),
            COLUMNS - 1,
            theme::QUIET.hex(),
            number(first),
            number(last),
        );
    }

    fn quiet(&self, out: &mut String, row: &Row) {
        let (lineno, source, merged) = match row {
            Row::Quiet { lineno, source, merged } => (*lineno, source, *merged),
            Row::Line(line) => (line.key.line, &line.source, true),
        };
        self.open(out, lineno, source, None, false);
        let note = if merged { "in “other”" } else { "" };
        let _ = write!(
            out,
            "<td colspan=\"{}\" style=\"border:none;padding:1px 0;text-align:right;color:{}\">{note}</td></tr>",
            COLUMNS - 2,
            theme::QUIET.hex()
        );
    }

    fn line(&self, out: &mut String, line: &Line) {
        self.open(out, line.key.line, &line.source, line.hue, line.most_at_peak);
        let share = if self.largest > 0.0 { line.figures.peak.value / self.largest } else { 0.0 };
        let cells = Cells {
            figures: Some(&line.figures),
            bar: (share * BAR, theme::of(line.hue)),
            strong: line.most_at_peak,
            held: Some(line.figures.peak),
            ..Cells::of(line.figures.peak.value)
        };
        self.figures(out, &cells);
        if let Some(words) = self.report.copies.get(&line.key) {
            let paper = if line.most_at_peak { theme::MARKED } else { theme::CARD };
            let _ = write!(
                out,
                "<tr style=\"background:{}\"><td style=\"border:none\"></td><td colspan=\"{}\" style=\"border:none;padding:0 0 2px 10px;text-align:left;color:{}\">↳ {}</td></tr>",
                paper.hex(),
                COLUMNS - 1,
                theme::QUIET.hex(),
                escape(words)
            );
        }
    }

    /// Opens a row: the colour at its left edge, its number, its source.
    fn open(
        &self,
        out: &mut String,
        lineno: u32,
        source: &str,
        hue: Option<crate::report::Hue>,
        marked: bool,
    ) {
        let paper = if marked { theme::MARKED } else { theme::CARD };
        let edge = hue.map_or(paper, |hue| theme::of(Some(hue)));
        let (open, close) = if marked { ("<strong>", "</strong>") } else { ("", "") };
        let source = escape(&clip(source.trim_end(), self.budget.letters));
        let _ = write!(
            out,
            "<tr style=\"background:{}\"><td style=\"border:none;border-left:5px solid {};padding:1px 0 1px 6px;text-align:right;vertical-align:top;color:{}\">{open}{lineno}{close}</td><td style=\"border:none;padding:1px 0 1px 10px;max-width:0;text-align:left;vertical-align:top\"><pre style=\"margin:0;padding:0;border:none;background:{};color:{};font:12px/1.45 monospace;white-space:pre-wrap;word-wrap:break-word\">{open}{source}{close}</pre></td>",
            paper.hex(),
            edge.hex(),
            theme::QUIET.hex(),
            paper.hex(),
            theme::TEXT.hex(),
        );
    }

    /// Writes the numbers and closes the row.
    fn figures(&self, out: &mut String, cells: &Cells<'_>) {
        let border = border(cells.rule);
        let cell = format!("{border};padding:1px 0 1px 10px;text-align:right;vertical-align:top");
        let (open, close) = if cells.strong { ("<strong>", "</strong>") } else { ("", "") };
        // A number never parts from its unit, with styles or without.
        let dash = |text: String| {
            if text == "0" { "–".to_owned() } else { text.replace(' ', "\u{A0}") }
        };
        let size = |figure: Estimate| dash(Bytes::from_f64(figure.value).to_string());
        let quietly = |words: String| match words.as_str() {
            "" => words,
            words => format!("<div style=\"color:{}\">{words}</div>", theme::QUIET.hex()),
        };
        let error = |figure: Estimate| quietly(error_words(figure, self.report.step()));
        let _ = write!(out, "<td style=\"{cell}\">{open}{}{close}", dash(signed(cells.peak)));
        out.push_str(&cells.held.map_or_else(String::new, error));
        let wide = cells.bar.0.clamp(0.0, BAR);
        if wide >= 0.5 {
            let _ = write!(
                out,
                "<div style=\"height:4px;width:{wide:.0}px;margin:0 0 2px auto;background:{}\"></div>",
                cells.bar.1.hex()
            );
        }
        out.push_str("</td>");
        let texts = cells.figures.map_or([const { (String::new(), String::new()) }; 4], |f| {
            [
                (size(f.surviving), error(f.surviving)),
                (size(f.allocated), quietly(touched(f).replace(' ', "\u{A0}"))),
                (size(f.temporary), String::new()),
                (dash(count(f.count.value)), String::new()),
            ]
        });
        for (text, error) in texts {
            let _ = write!(out, "<td style=\"{cell}\">{open}{text}{close}{error}</td>");
        }
        out.push_str("</tr>");
    }

    /// A row that is no line: a label over the first two columns.
    fn label(&self, out: &mut String, label: &str, ink: Ink, rule: bool) {
        let border = border(rule);
        let _ = write!(
            out,
            "<tr style=\"background:{};color:{}\"><th scope=\"row\" colspan=\"2\" style=\"{border};padding:1px 0 1px 11px;text-align:left;vertical-align:top;font-weight:normal\">{}</th>",
            theme::CARD.hex(),
            ink.hex(),
            escape(label)
        );
    }

    fn rest(&self, out: &mut String, rest: &Rest) {
        self.label(out, &rest.label, theme::QUIET, false);
        let held = rest.figures.map(|figures| figures.peak);
        let cells = Cells { figures: rest.figures.as_ref(), held, ..Cells::of(rest.peak) };
        self.figures(out, &cells);
    }

    fn total(&self, out: &mut String) {
        self.label(out, "in all", theme::TEXT, true);
        let table = self.table;
        let cells = Cells {
            figures: Some(&table.total),
            strong: true,
            rule: true,
            ..Cells::of(table.peak_footprint.as_f64())
        };
        self.figures(out, &cells);
    }
}
