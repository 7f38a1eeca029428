//! A drawing surface in CSS pixels over plotters' SVG backend.
//!
//! plotters places everything on whole units, so a unit is half a CSS pixel: the SVG says its
//! size in CSS pixels and has a view box twice as large. That is also the size of the PNG.

use super::condense::condense;
use super::lettering::{self, Face};
use super::theme::{self, Ink};
use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Units in a CSS pixel.
pub const UNITS: f64 = 2.0;

const SANS: &str = "Helvetica Neue,Segoe UI,DejaVu Sans,Verdana,Arial,sans-serif";
pub(super) const MONO: &str = "SF Mono,Menlo,Consolas,DejaVu Sans Mono,monospace";

/// Which letters may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// All: a browser finds a font.
    Any,
    /// Those that we embed: the PNG is drawn without the fonts of the system.
    Embedded,
}

/// Where a text stands from its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A surface; all lengths are CSS pixels.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    letters: Letters,
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

fn rgb(ink: Ink) -> RGBColor {
    RGBColor(ink.0, ink.1, ink.2)
}

fn drawing(error: impl std::fmt::Display) -> Error {
    Error::Drawing { reason: error.to_string() }
}

/// Draws a picture of this size and returns it as SVG.
pub fn draw(
    (width, height): (f64, f64),
    letters: Letters,
    paint: impl FnOnce(&Canvas<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    let size = ((width * UNITS).round() as u32, (height * UNITS).round() as u32);
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&rgb(theme::CARD)).map_err(drawing)?;
        let canvas = Canvas { area, letters };
        paint(&canvas)?;
        canvas.area.present().map_err(drawing)?;
    }
    Ok(condense(&tidy(&svg, size)))
}

/// Takes out what plotters says again and again, and adds the dashes that it cannot draw.
///
/// A quote inside of a text is written `&quot;`, so none of these patterns is ever in a text.
fn tidy(svg: &str, (width, height): (u32, u32)) -> String {
    let family = format!(" font-family=\"{SANS}\"");
    let shown = |units: u32| f64::from(units) / UNITS;
    let stroke = |ink: Ink| format!(" stroke=\"{}\"", ink.hex().to_uppercase());
    let (resident, children) = (stroke(theme::RESIDENT), stroke(theme::CHILDREN));
    svg.replace(&family, "")
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" text-anchor=\"start\"", "")
        .replace(" \"/>", "\"/>")
        .replace(&resident, &format!("{resident} stroke-dasharray=\"9 6\""))
        .replace(&children, &format!("{children} stroke-dasharray=\"2 4\""))
        .replacen(
            &format!("<svg width=\"{width}\" height=\"{height}\""),
            &format!("<svg{family} width=\"{}\" height=\"{}\"", shown(width), shown(height)),
            1,
        )
}

impl Canvas<'_> {
    /// A filled rectangle from one corner to the other.
    pub fn rect(&self, from: (f64, f64), to: (f64, f64), ink: Ink) -> Result<()> {
        let shape = Rectangle::new([units(from), units(to)], rgb(ink).filled());
        self.area.draw(&shape).map_err(drawing)
    }

    /// A filled shape, its points in units.
    pub fn polygon(&self, points: Vec<(i32, i32)>, ink: Ink) -> Result<()> {
        if points.len() < 3 {
            return Ok(());
        }
        self.area.draw(&Polygon::new(points, rgb(ink).filled())).map_err(drawing)
    }

    /// A stroke along points in units, `width` CSS pixels wide.
    pub fn stroke(&self, points: Vec<(i32, i32)>, ink: Ink, width: f64) -> Result<()> {
        if points.len() < 2 {
            return Ok(());
        }
        let style = rgb(ink).stroke_width((width * UNITS).round() as u32);
        self.area.draw(&PathElement::new(points, style)).map_err(drawing)
    }

    /// A straight line.
    pub fn line(&self, from: (f64, f64), to: (f64, f64), ink: Ink, width: f64) -> Result<()> {
        self.stroke(vec![units(from), units(to)], ink, width)
    }

    /// A dot.
    pub fn dot(&self, at: (f64, f64), radius: f64, ink: Ink) -> Result<()> {
        let radius = (radius * UNITS).round() as i32;
        self.area.draw(&Circle::new(units(at), radius, rgb(ink).filled())).map_err(drawing)
    }

    /// A line of text, its vertical middle at the point.
    pub fn text(
        &self,
        text: &str,
        at: (f64, f64),
        size: f64,
        face: Face,
        ink: Ink,
        side: Side,
    ) -> Result<()> {
        let text = self.letters(text);
        let h_pos = match side {
            Side::Start => HPos::Left,
            Side::Middle => HPos::Center,
            Side::End => HPos::Right,
        };
        let family = if face == Face::Mono { MONO } else { SANS };
        let weight = if face == Face::Bold { FontStyle::Bold } else { FontStyle::Normal };
        // plotters counts a font's size by its line height, 1.24 times the em that SVG wants.
        let color = rgb(ink);
        let font = FontDesc::new(FontFamily::Name(family), size * UNITS * 1.24, weight);
        let style = TextStyle::from(font).color(&color).pos(Pos::new(h_pos, VPos::Center));
        self.area.draw(&Text::new(text, units(at), style)).map_err(drawing)
    }

    /// The text as it will be drawn, for measuring.
    pub fn letters(&self, text: &str) -> String {
        let text = lettering::printable(text);
        match self.letters {
            Letters::Any => text,
            Letters::Embedded => lettering::with_embedded_letters(&text),
        }
    }
}

/// Leaves out the points that nobody would miss: those nearer than `tolerance` units to the
/// line that stays (Ramer-Douglas-Peucker). Every extreme farther than that is kept.
pub fn simplify(points: &[(i32, i32)], tolerance: f64) -> Vec<(i32, i32)> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    keep[0] = true;
    keep[points.len() - 1] = true;
    let mut spans = vec![(0, points.len() - 1)];
    while let Some((first, last)) = spans.pop() {
        let (a, b) = (points[first], points[last]);
        let (dx, dy) = (f64::from(b.0) - f64::from(a.0), f64::from(b.1) - f64::from(a.1));
        let length = dx.hypot(dy);
        let distance = |p: (i32, i32)| {
            let (px, py) = (f64::from(p.0) - f64::from(a.0), f64::from(p.1) - f64::from(a.1));
            if length > 0.0 { (px * dy - py * dx).abs() / length } else { px.hypot(py) }
        };
        let farthest =
            (first + 1..last).map(|i| (i, distance(points[i]))).max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, away)) = farthest
            && away > tolerance
        {
            keep[i] = true;
            spans.push((first, i));
            spans.push((i, last));
        }
    }
    points.iter().zip(keep).filter(|(_, keep)| *keep).map(|(point, _)| *point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_survive_and_straight_runs_do_not() {
        let mut points: Vec<(i32, i32)> = (0..100).map(|x| (x, 50)).collect();
        points[40].1 = 0;
        assert_eq!(simplify(&points, 0.5), [(0, 50), (39, 50), (40, 0), (41, 50), (99, 50)]);
    }

    #[test]
    fn text_is_escaped_and_the_size_is_in_css_pixels() {
        let svg = draw((100.0, 50.0), Letters::Any, |c| {
            c.text("<a & \"b\">\u{1}", (1.0, 1.0), 11.0, Face::Sans, theme::TEXT, Side::Start)
        })
        .unwrap();
        assert!(svg.contains("width=\"100\" height=\"50\" viewBox=\"0 0 200 100\""), "{svg}");
        assert!(svg.contains("&lt;a &amp; &quot;b&quot;&gt;\u{FFFD}"), "{svg}");
    }
}
