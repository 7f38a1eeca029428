//! The icicle: who held it at the peak, and through which calls.

use super::canvas::{Canvas, Side};
use super::chart::Detail;
use super::lettering::{self, Face};
use super::theme;
use crate::error::Result;
use crate::profile::Bytes;
use crate::report::{Hue, Kind, Node};

const ROW: f64 = 23.0;
/// The size of the letters.
const LETTERS: f64 = 11.0;

/// How much lighter a box is than its line, by its depth below the line.
pub fn tint(depth: usize) -> f64 {
    [0.0, 0.35, 0.5, 0.6, 0.68, 0.74, 0.79][depth.min(6)]
}

fn depth(node: &Node) -> usize {
    1 + node.children.iter().map(depth).max().unwrap_or(0)
}

/// The height of the first `levels` rows of the icicle in pixels.
pub fn height(root: &Node, levels: usize) -> f64 {
    depth(root).min(levels) as f64 * ROW + 2.0
}

/// Draws the first `levels` rows of the icicle with its upper left corner at a place.
pub fn draw(
    canvas: &Canvas<'_>,
    root: &Node,
    (corner, width): ((f64, f64), f64),
    levels: usize,
    detail: Detail,
) -> Result<()> {
    let per_byte = if root.bytes > 0.0 { width / root.bytes } else { 0.0 };
    let painter = Painter { canvas, per_byte, levels, detail };
    painter.node(root, corner, width, 0)
}

struct Painter<'a, 'c> {
    canvas: &'a Canvas<'c>,
    per_byte: f64,
    levels: usize,
    detail: Detail,
}

impl Painter<'_, '_> {
    fn node(&self, node: &Node, (x, y): (f64, f64), width: f64, level: usize) -> Result<()> {
        if level >= self.levels {
            return Ok(());
        }
        let fill = match node.kind {
            Kind::Root => theme::RULE,
            _ => theme::of(node.hue).lighter(tint(level.saturating_sub(1))),
        };
        self.canvas.rect((x, y), (x + width - 1.0, y + ROW - 1.5), fill)?;
        self.label(node, (x + 6.0, y + (ROW - 1.5) / 2.0), width - 11.0, fill)?;
        if level + 1 >= self.levels {
            return Ok(());
        }
        let (mut x, top) = (x, y + ROW);
        // Boxes that are too narrow to be drawn are one box, so that no memory seems to be missing.
        let mut narrow: Option<(f64, usize, Option<Hue>)> = None;
        for child in &node.children {
            let width = child.bytes * self.per_byte;
            if width < self.narrowest() {
                let (_, count, _) = narrow.get_or_insert((x, 0, child.hue));
                *count += 1;
            } else {
                self.merged(narrow.take(), (x, top), level + 1)?;
                self.node(child, (x, top), width, level + 1)?;
            }
            x += width;
        }
        self.merged(narrow, (x, top), level + 1)
    }

    /// The narrowest box that is drawn, in pixels.
    fn narrowest(&self) -> f64 {
        self.detail.narrowest.max(1.5)
    }

    /// Several boxes that end at `end`, as one.
    fn merged(
        &self,
        boxes: Option<(f64, usize, Option<Hue>)>,
        (end, y): (f64, f64),
        level: usize,
    ) -> Result<()> {
        let Some((start, count, hue)) = boxes.filter(|(start, ..)| end - start >= 1.5) else {
            return Ok(());
        };
        let ink = if level == 1 { theme::GREY } else { theme::of(hue).lighter(tint(level - 1)) };
        self.canvas.rect((start, y), (end - 1.0, y + ROW - 1.5), ink)?;
        let label = format!("{count} smaller");
        if lettering::width(&label, LETTERS, Face::Sans) > end - start - 11.0 {
            return Ok(());
        }
        let at = (start + 6.0, y + (ROW - 1.5) / 2.0);
        self.canvas.text(&label, at, LETTERS, Face::Sans, ink.label(), Side::Start)
    }

    fn label(&self, node: &Node, at: (f64, f64), room: f64, fill: theme::Ink) -> Result<()> {
        let size = LETTERS;
        let bytes = Bytes::from_f64(node.bytes);
        let name = self.canvas.letters(&node.label);
        let detail = self.canvas.letters(&lettering::clip(&node.detail, 200));
        let fits = |text: &str| lettering::width(text, size, Face::Sans) <= room;
        let (long, middle) = match node.kind {
            Kind::Root if detail.is_empty() => {
                (format!("{name} · {bytes} at the peak"), format!("{bytes} at the peak"))
            }
            Kind::Root => (
                format!("{name} · {bytes} live at the peak, {detail}"),
                format!("{bytes} live at the peak, {detail}"),
            ),
            Kind::Line if detail.is_empty() => (format!("{name} · {bytes}"), name.clone()),
            Kind::Line => (format!("{name} · {bytes} · {detail}"), format!("{name} · {bytes}")),
            _ if detail.is_empty() => (name.clone(), name.clone()),
            _ => (format!("{name} · {detail}"), name.clone()),
        };
        // The name matters more than what is said about it: a source line may be cut, a name
        // is cut only when it stands alone.
        let text = if fits(&long) {
            long
        } else if node.kind == Kind::Line && fits(&format!("{middle} · wwwww…")) {
            lettering::shorten(&long, room, size, Face::Sans)
        } else if fits(&middle) {
            middle
        } else if node.kind == Kind::Merged {
            // "12…" would be read as another number.
            return Ok(());
        } else {
            lettering::shorten(&name, room, size, Face::Sans)
        };
        if text.is_empty() {
            return Ok(());
        }
        self.canvas.text(&text, at, size, Face::Sans, fill.label(), Side::Start)
    }
}
