//! The icicle: who held it at the peak, and through which calls.

use super::canvas::{Canvas, Side};
use super::chart::Detail;
use super::lettering::{self, Face};
use super::theme;
use crate::error::Result;
use crate::profile::Bytes;
use crate::report::{Kind, Node};

const ROW: f64 = 23.0;

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
        if level >= self.levels || width < self.detail.narrowest.max(1.5) {
            return Ok(());
        }
        let fill = match node.kind {
            Kind::Root => theme::RULE,
            _ => theme::of(node.hue).lighter(tint(level.saturating_sub(1))),
        };
        self.canvas.rect((x, y), (x + width - 1.0, y + ROW - 1.5), fill)?;
        self.label(node, (x + 6.0, y + (ROW - 1.5) / 2.0), width - 11.0, fill)?;
        let mut x = x;
        for child in &node.children {
            let width = child.bytes * self.per_byte;
            self.node(child, (x, y + ROW), width, level + 1)?;
            x += width;
        }
        Ok(())
    }

    fn label(&self, node: &Node, at: (f64, f64), room: f64, fill: theme::Ink) -> Result<()> {
        let size = 11.0;
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
        } else {
            lettering::shorten(&name, room, size, Face::Sans)
        };
        if text.is_empty() {
            return Ok(());
        }
        self.canvas.text(&text, at, size, Face::Sans, fill.label(), Side::Start)
    }
}
