//! A table of names and numbers in HTML: all tables but that of the lines are written here.

use super::card;
use super::lettering::escape;
use super::theme;
use std::fmt::Write as _;

const CELL: &str = "border:none;padding:2px 0 2px 10px";

/// Letters of a word that is never broken.
const LONGEST_WORD: usize = 24;

/// A row of it; names are not escaped.
pub struct Row<const N: usize> {
    /// The first column.
    pub name: String,
    /// The second, in a quiet colour.
    pub quiet: String,
    /// The others.
    pub numbers: [String; N],
    /// Whether it is a sum.
    pub strong: bool,
}

/// Appends the table: two columns of words, those of numbers, and a note below it.
pub fn write<const N: usize>(
    out: &mut String,
    words: [&str; 2],
    columns: [&str; N],
    rows: &[Row<N>],
    note: &str,
) {
    let table = Table { words: words.len(), wraps: false, fits: false };
    table.begin(out, words.into_iter().chain(columns));
    for row in rows {
        let names = [&row.name, &row.quiet].map(|text| escape(text));
        let numbers = row.numbers.each_ref().map(|text| text.replace(' ', "\u{A0}"));
        table.row(out, names.iter().chain(&numbers), row.strong);
    }
    table.end(out);
    note_below(out, &escape(note));
}

/// A table with any number of columns, of which the first ones hold words. What it is given is HTML.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// How many hold words: the first the name, the others in a quiet colour.
    pub words: usize,
    /// Whether any of these breaks where it is too long, and no figure's head at all; not the names alone.
    pub wraps: bool,
    /// Whether it is as wide as what it holds, and not as the page: so that few columns stay together.
    pub fits: bool,
}

impl Table {
    /// Begins with the heads of the columns.
    pub fn begin<'a>(&self, out: &mut String, columns: impl IntoIterator<Item = &'a str>) {
        let (card, quiet) = (theme::CARD.hex(), theme::QUIET.hex());
        // JupyterLab's own tables have columns of one width, in which long words overlap.
        let wide = if self.fits { "" } else { "width:100%;" };
        card::scrolls(out);
        let _ = write!(
            out,
            "<table style=\"{wide}table-layout:auto;border-collapse:collapse;border:none;margin:0;font-size:12px;font-variant-numeric:tabular-nums;color:{}\"><thead><tr style=\"background:{card}\">",
            theme::TEXT.hex()
        );
        for (at, column) in columns.into_iter().enumerate() {
            let side = match (self.wraps, at < self.words) {
                (true, _) => self.side(at, column),
                (false, true) => "left",
                (false, false) => "right",
            };
            let _ = write!(
                out,
                "<th scope=\"col\" style=\"{CELL};font-weight:normal;color:{quiet};text-align:{side}\">{column}</th>"
            );
        }
        out.push_str("</tr></thead><tbody>");
    }

    /// A row, its first cell the head; a sum is strong, with a rule above it.
    pub fn row<'a>(
        &self,
        out: &mut String,
        cells: impl IntoIterator<Item = &'a String>,
        strong: bool,
    ) {
        let (weight, rule) = match strong {
            true => ("bold", format!(";border-top:1px solid {}", theme::BORDER.hex())),
            false => ("normal", String::new()),
        };
        let quiet_words = format!(";color:{}", theme::QUIET.hex());
        let _ = write!(out, "<tr style=\"background:{}\">", theme::CARD.hex());
        for (at, text) in cells.into_iter().enumerate() {
            let side = self.side(at, text);
            let colour = if at > 0 && at < self.words { &quiet_words } else { "" };
            let (open, close) = if at == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            let _ = write!(
                out,
                "<{open} style=\"{CELL}{rule};font-weight:{weight};text-align:{side};vertical-align:top{colour}\">{text}</{close}>"
            );
        }
        out.push_str("</tr>");
    }

    fn side(&self, at: usize, text: &str) -> &'static str {
        // A cell that may break anywhere is squeezed to a letter's width before the others wrap.
        let breaks = (at == 0 || self.wraps)
            && text.split(' ').any(|word| word.chars().count() > LONGEST_WORD);
        match (at < self.words, breaks) {
            (true, true) => "left;overflow-wrap:anywhere",
            (true, false) => "left",
            (false, _) => "right;white-space:nowrap",
        }
    }

    /// Ends it.
    pub fn end(&self, out: &mut String) {
        out.push_str("</tbody></table>");
        out.push_str(card::SCROLLED);
    }
}

/// A note below a table.
pub fn note_below(out: &mut String, note: &str) {
    let quiet = theme::QUIET.hex();
    let _ = write!(out, "<p style=\"margin:4px 0 0 10px;font-size:11px;color:{quiet}\">{note}</p>");
}
