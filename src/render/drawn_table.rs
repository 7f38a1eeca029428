//! A table in the picture: names, quiet words and three columns of figures.

use super::canvas::{Canvas, Side};
use super::lettering::{self, Face};
use super::table::Row;
use super::theme;
use crate::error::Result;

/// The height of a row in CSS pixels.
pub const ROW: f64 = 19.0;
/// The size of the letters of a note.
pub const NOTE: f64 = 11.0;

/// What is drawn.
pub struct DrawnTable<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The heads of its figures.
    pub columns: [&'a str; 3],
    /// Its rows.
    pub rows: Vec<Row<3>>,
    /// What stands below it, in lines that fit.
    pub note: Vec<String>,
}

/// Where the right edges of three columns of figures are.
pub fn figures_at(right: f64) -> [f64; 3] {
    [right - 170.0, right - 85.0, right]
}

/// The title on the left, and the heads of the figures, at a height.
pub fn head(
    canvas: &Canvas<'_>,
    (title, columns): (&str, [&str; 3]),
    y: f64,
    (left, right): (f64, f64),
) -> Result<()> {
    canvas.text(title, (left, y), 13.0, Face::Bold, theme::TEXT, Side::Start)?;
    for (x, name) in figures_at(right).iter().zip(columns) {
        canvas.text(name, (*x, y), NOTE, Face::Sans, theme::QUIET, Side::End)?;
    }
    Ok(())
}

impl DrawnTable<'_> {
    /// Its height in pixels.
    pub fn height(&self) -> f64 {
        ROW * (self.rows.len() + self.note.len() + 1) as f64 + 10.0
    }

    /// Draws it between two edges, its upper edge at `top`.
    pub fn draw(&self, canvas: &Canvas<'_>, top: f64, (left, right): (f64, f64)) -> Result<()> {
        let columns = figures_at(right);
        let quiet_at = left + 240.0;
        let mut y = top + 9.0;
        head(canvas, (self.title, self.columns), y, (left, right))?;
        for row in &self.rows {
            y += ROW;
            let face = if row.strong { Face::Bold } else { Face::Sans };
            let fit =
                |text: &str, room: f64| lettering::shorten(&canvas.letters(text), room, 11.5, face);
            let room =
                if row.quiet.is_empty() { columns[1] - left } else { quiet_at - left } - 10.0;
            canvas.text(&fit(&row.name, room), (left, y), 11.5, face, theme::TEXT, Side::Start)?;
            let quiet = fit(&row.quiet, columns[0] - 66.0 - quiet_at);
            canvas.text(&quiet, (quiet_at, y), NOTE, Face::Sans, theme::QUIET, Side::Start)?;
            for (x, number) in columns.iter().zip(&row.numbers) {
                canvas.text(number, (*x, y), 11.5, face, theme::TEXT, Side::End)?;
            }
        }
        for line in &self.note {
            y += ROW;
            canvas.text(line, (left, y), NOTE, Face::Sans, theme::QUIET, Side::Start)?;
        }
        Ok(())
    }
}
