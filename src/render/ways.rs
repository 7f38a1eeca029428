//! Ways to an object and rings of objects, as a sentence and as boxes and arrows.

use super::canvas::{self, Canvas, Letters, Side};
use super::lettering::{self, Face, printable};
use super::svg::WIDTH;
use super::theme;
use crate::error::Result;
use crate::report::{Ring, Stop};
use std::fmt::Write as _;

const BOX: f64 = 26.0;
const GAP: f64 = 30.0;
/// From the top of a line of boxes to the boxes: there stands how each is referred to.
const LABEL: f64 = 14.0;
/// Where the way back of a ring runs: left of the boxes of all lines but the first.
const BACK: f64 = 14.0;

/// A way as one line.
pub fn sentence(way: &[Stop]) -> String {
    let mut out = String::new();
    for (at, stop) in way.iter().enumerate() {
        match (at, stop.by.as_str()) {
            (0, by) => out.push_str(by),
            (_, "") => out.push_str(" → "),
            (_, by) => {
                let _ = write!(out, " → {by}");
            }
        }
        if !stop.what.is_empty() {
            let _ = write!(out, " ({})", stop.what);
        }
    }
    out.trim().to_owned()
}

/// A ring as one line.
pub fn ring_sentence(ring: &Ring) -> String {
    let Some(first) = ring.stops.first() else { return String::new() };
    let mut out = first.what.clone();
    for stop in &ring.stops[1..] {
        let _ = write!(out, " → {} ({})", stop.by, stop.what);
    }
    let _ = write!(out, " → {} (the first one)", first.by);
    out
}

/// One stop with its place in the picture.
struct Placed {
    left: f64,
    top: f64,
    width: f64,
    by: String,
    what: String,
    /// Whether an arrow leads to it.
    arrow: bool,
}

/// Boxes from left to right, in as many lines as they take, from `top` on; with the top of what follows.
fn placed(way: &[Stop], mut top: f64) -> (Vec<Placed>, f64) {
    let mut boxes: Vec<Placed> = Vec::new();
    let mut left = 0.0;
    for (at, stop) in way.iter().enumerate() {
        let room = WIDTH / 2.0;
        // What is no object has its name in the box.
        let (by, what) =
            if stop.what.is_empty() { ("", &stop.by) } else { (&*stop.by, &stop.what) };
        let by = lettering::shorten(&printable(by), room, 11.0, Face::Mono);
        let what = lettering::shorten(&printable(what), room, 12.0, Face::Sans);
        let label = lettering::width(&by, 11.0, Face::Mono);
        let width = lettering::width(&what, 12.0, Face::Sans).max(label) + 16.0;
        if at > 0 && left + GAP + width > WIDTH {
            left = GAP;
            top += 2.0 * BOX;
        }
        let arrow = at > 0;
        let gap = if arrow { GAP } else { 0.0 };
        boxes.push(Placed { left: left + gap, top, width, by, what, arrow });
        left += gap + width;
    }
    (boxes, top + 2.0 * BOX + 6.0)
}

impl Placed {
    fn middle(&self) -> f64 {
        self.top + LABEL + BOX / 2.0
    }

    fn bottom(&self) -> f64 {
        self.top + LABEL + BOX
    }

    fn draw(&self, canvas: &Canvas<'_>) -> Result<()> {
        let middle = self.middle();
        if self.arrow {
            let (from, to) = (self.left - GAP + 4.0, self.left - 4.0);
            canvas.line((from, middle), (to, middle), theme::QUIET, 1.2)?;
            canvas.line((to - 5.0, middle - 4.0), (to, middle), theme::QUIET, 1.2)?;
            canvas.line((to - 5.0, middle + 4.0), (to, middle), theme::QUIET, 1.2)?;
        }
        if !self.by.is_empty() {
            let at = (self.left + 2.0, self.top + 6.0);
            canvas.text(&self.by, at, 11.0, Face::Mono, theme::QUIET, Side::Start)?;
        }
        let corner = (self.left + self.width, self.bottom());
        canvas.rect((self.left, self.top + LABEL), corner, theme::GREY)?;
        let at = (self.left + 8.0, middle);
        canvas.text(&self.what, at, 12.0, Face::Sans, theme::TEXT, Side::Start)
    }
}

/// Ways as boxes and arrows.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when it could not be drawn.
pub fn ways_svg(ways: &[Vec<Stop>]) -> Result<String> {
    let (mut boxes, mut top) = (Vec::new(), 8.0);
    for way in ways {
        let (way, next) = placed(way, top);
        boxes.extend(way);
        top = next;
    }
    canvas::draw((WIDTH, top), Letters::Any, |canvas| {
        boxes.iter().try_for_each(|stop| stop.draw(canvas))
    })
}

/// Rings as boxes and arrows, the last of which leads back to the first box; each below its caption.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when it could not be drawn.
pub fn rings_svg(rings: &[Ring]) -> Result<String> {
    let (mut drawn, mut top) = (Vec::new(), 8.0);
    for ring in rings {
        // How the last one refers to the first stands at the arrow back.
        let mut stops = ring.stops.clone();
        let back = stops.first_mut().map(|first| std::mem::take(&mut first.by)).unwrap_or_default();
        let (boxes, next) = placed(&stops, top + 16.0);
        drawn.push((top, &ring.caption, boxes, back));
        top = next + 26.0;
    }
    canvas::draw((WIDTH, top), Letters::Any, |canvas| {
        for (top, caption, boxes, back) in &drawn {
            let caption = lettering::shorten(&printable(caption), WIDTH, 12.0, Face::Bold);
            canvas.text(&caption, (0.0, top + 6.0), 12.0, Face::Bold, theme::TEXT, Side::Start)?;
            boxes.iter().try_for_each(|stop| stop.draw(canvas))?;
            if let (Some(first), Some(last)) = (boxes.first(), boxes.last()) {
                way_back(canvas, (first, last), back)?;
            }
        }
        Ok(())
    })
}

/// The arrow from the last box below all of them to the first.
fn way_back(canvas: &Canvas<'_>, (first, last): (&Placed, &Placed), by: &str) -> Result<()> {
    let (from, below) = (last.left + last.width - BACK, last.bottom() + 18.0);
    let tip = first.bottom() + 3.0;
    let ink = theme::QUIET;
    canvas.line((from, last.bottom() + 1.0), (from, below), ink, 1.2)?;
    canvas.line((from, below), (BACK, below), ink, 1.2)?;
    canvas.line((BACK, below), (BACK, tip), ink, 1.2)?;
    canvas.line((BACK - 4.0, tip + 5.0), (BACK, tip), ink, 1.2)?;
    canvas.line((BACK + 4.0, tip + 5.0), (BACK, tip), ink, 1.2)?;
    let by = lettering::shorten(&printable(by), WIDTH / 2.0, 11.0, Face::Mono);
    canvas.text(&by, (BACK + 8.0, below + 9.0), 11.0, Face::Mono, ink, Side::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(by: &str, what: &str) -> Stop {
        Stop { by: by.into(), what: what.into() }
    }

    fn height(svg: &str) -> f64 {
        let at = svg.find("height=\"").unwrap() + 8;
        svg[at..at + svg[at..].find('"').unwrap()].parse().unwrap()
    }

    #[test]
    fn no_box_is_empty() {
        let svg = ways_svg(&[vec![stop("the names", "")]]).unwrap();
        assert!(svg.contains("the names") && !svg.contains(super::super::canvas::MONO), "{svg}");
    }

    #[test]
    fn a_long_way_takes_several_lines() {
        let stop = stop(".attribute", "collections.OrderedDict");
        let short = ways_svg(&[vec![stop.clone()]]).unwrap();
        let long = ways_svg(&[vec![stop; 12]]).unwrap();
        assert!(height(&long) > 2.0 * height(&short));
    }

    #[test]
    fn a_ring_says_how_it_closes() {
        let stops = vec![stop(".back", "dict"), stop("[0]", "Node")];
        let ring = Ring { caption: "2 objects".into(), stops };
        assert_eq!(ring_sentence(&ring), "dict → [0] (Node) → .back (the first one)");
        let svg = rings_svg(&[ring]).unwrap();
        for word in ["2 objects", ".back", "[0]", "dict", "Node"] {
            assert!(svg.contains(word), "{word} in {svg}");
        }
    }
}
