//! The timeline: who held what, when.
//!
//! Each line is a layer. The layers are painted from the top one down, each over all below it,
//! so one edge a layer is enough. On top of them stands the footprint as a solid line: what is
//! grey under it is no coloured line's; a colour above it is memory that the process already had.

use super::axis::{self, Scale};
use super::canvas::{Canvas, Side, UNITS, simplify};
use super::lettering::{self, Face};
use super::theme;
use crate::error::Result;
use crate::profile::{Bytes, Nanos};
use crate::report::{Lane, Report, Timeline};

/// How finely a picture is drawn; coarser ones need fewer bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detail {
    /// How far a curve may be from its points, in half pixels.
    pub tolerance: f64,
    /// The narrowest box of the flame graph and span of the band, in pixels.
    pub narrowest: f64,
}

/// Nothing is lost that could be seen.
pub const FINE: Detail = Detail { tolerance: 0.6, narrowest: 3.0 };
/// For a picture that would be too large.
pub const COARSE: Detail = Detail { tolerance: 2.5, narrowest: 12.0 };

const LEFT: f64 = 66.0;
const RIGHT: f64 = 10.0;
const LEGEND: f64 = 24.0;
const HEADROOM: f64 = 26.0;
const PLOT: f64 = 190.0;
const BAND: f64 = 17.0;
/// The life of a child process.
const LANE: f64 = 15.0;

/// The height of the chart in pixels.
pub fn height(report: &Report) -> f64 {
    let ticks = if report.timeline.collections.is_empty() { 0.0 } else { 18.0 };
    LEGEND
        + HEADROOM
        + PLOT
        + 4.0
        + BAND
        + lanes_height(&report.children.lanes)
        + 20.0
        + ticks
        + 4.0
}

fn lanes_height(lanes: &[Lane]) -> f64 {
    if lanes.is_empty() { 0.0 } else { 3.0 + LANE * lanes.len() as f64 }
}

struct Frame<'a, 'c> {
    canvas: &'a Canvas<'c>,
    timeline: &'a Timeline,
    detail: Detail,
    x: Scale,
    y: Scale,
    /// The cumulative tops of the layers, the lowest first, by moment; in bytes.
    tops: Vec<Vec<f64>>,
    /// What child processes held, by time; empty without any.
    children: &'a [(Nanos, f64)],
    /// When they lived.
    lanes: &'a [Lane],
    left: f64,
    right: f64,
    base: f64,
}

/// Draws the timeline with its upper edge at `top`.
pub fn draw(
    canvas: &Canvas<'_>,
    report: &Report,
    (top, width): (f64, f64),
    detail: Detail,
) -> Result<()> {
    let timeline = &report.timeline;
    let (left, right) = (LEFT, width - RIGHT);
    let tops = stack(timeline);
    let high = timeline
        .moments
        .iter()
        .map(|m| m.footprint.max(m.resident))
        .chain(tops.last().into_iter().flatten().copied())
        .chain(report.children.curve.iter().map(|(_, held)| *held))
        .fold(timeline.peak.1, f64::max);
    let low = timeline.moments.iter().map(|m| m.footprint.min(m.resident)).fold(0.0, f64::min);
    let base = top + LEGEND + HEADROOM + PLOT;
    let frame = Frame {
        canvas,
        timeline,
        detail,
        x: Scale::new((0.0, timeline.duration.0 as f64), (left, right)),
        y: Scale::new((low, high), (base, base - PLOT)),
        tops,
        children: &report.children.curve,
        lanes: &report.children.lanes,
        left,
        right,
        base,
    };
    frame.others()?;
    frame.grid(low, high)?;
    frame.layers()?;
    frame.curves()?;
    frame.layer_names()?;
    frame.legend(top + 8.0)?;
    frame.peak()?;
    frame.band()?;
    frame.lives()?;
    frame.time_axis()
}

fn stack(timeline: &Timeline) -> Vec<Vec<f64>> {
    let mut sum = vec![0.0; timeline.moments.len()];
    (0..timeline.layers.len())
        .map(|layer| {
            for (sum, moment) in sum.iter_mut().zip(&timeline.moments) {
                *sum += moment.held[layer].max(0.0);
            }
            sum.clone()
        })
        .collect()
}

impl Frame<'_, '_> {
    fn grid(&self, low: f64, high: f64) -> Result<()> {
        let mut last = f64::INFINITY;
        for (value, label) in axis::byte_ticks(low, high) {
            let y = self.y.place(value);
            if last - y < 15.0 {
                continue;
            }
            last = y;
            self.canvas.line((self.left, y), (self.right, y), theme::RULE, 1.0)?;
            let at = (self.left - 8.0, y);
            self.canvas.text(&label, at, 11.0, Face::Sans, theme::QUIET, Side::End)?;
        }
        Ok(())
    }

    fn edge(&self, values: impl Iterator<Item = f64>) -> Vec<(i32, i32)> {
        let points: Vec<(i32, i32)> = self
            .timeline
            .moments
            .iter()
            .zip(values)
            .map(|(moment, value)| {
                let x = self.x.place(moment.at.0 as f64);
                ((x * UNITS).round() as i32, (self.y.place(value) * UNITS).round() as i32)
            })
            .collect();
        simplify(&points, self.detail.tolerance)
    }

    fn area(&self, mut edge: Vec<(i32, i32)>, ink: theme::Ink) -> Result<()> {
        let zero = (self.y.place(0.0) * UNITS).round() as i32;
        if let (Some(first), Some(last)) = (edge.first().copied(), edge.last().copied()) {
            edge.push((last.0, zero));
            edge.push((first.0, zero));
        }
        self.canvas.polygon(edge, ink)
    }

    /// What the footprint holds beside the layers. Below zero there is nothing that anybody
    /// holds: older memory was freed, and the curve alone says so.
    fn others(&self) -> Result<()> {
        let footprint = self.timeline.moments.iter().map(|m| m.footprint);
        self.area(self.edge(footprint), theme::GREY)?;
        let zero = self.y.place(0.0);
        if zero < self.base {
            self.canvas.rect((self.left, zero), (self.right, self.base), theme::CARD)?;
        }
        Ok(())
    }

    fn layers(&self) -> Result<()> {
        for (layer, tops) in self.timeline.layers.iter().zip(&self.tops).rev() {
            let edge = self.edge(tops.iter().copied());
            self.area(edge.clone(), theme::of(Some(layer.hue)))?;
            // A thin seam, so that neighbours are told apart by more than their colours.
            self.canvas.stroke(edge, theme::CARD, 0.5)?;
        }
        Ok(())
    }

    fn curves(&self) -> Result<()> {
        let resident = self.edge(self.timeline.moments.iter().map(|m| m.resident));
        self.canvas.stroke(resident, theme::RESIDENT, 1.0)?;
        let footprint = self.edge(self.timeline.moments.iter().map(|m| m.footprint));
        self.canvas.stroke(footprint, theme::TEXT, 1.0)?;
        self.canvas.stroke(self.steps(), theme::CHILDREN, 1.5)
    }

    /// What child processes held: level from one point to the next.
    fn steps(&self) -> Vec<(i32, i32)> {
        let mut points: Vec<(i32, i32)> = Vec::with_capacity(2 * self.children.len());
        for (at, held) in self.children {
            let x = (self.x.place(at.0 as f64) * UNITS).round() as i32;
            points.extend(points.last().map(|last| (x, last.1)));
            points.push((x, (self.y.place(*held) * UNITS).round() as i32));
        }
        simplify(&points, self.detail.tolerance)
    }

    /// Writes each layer's name where the layer is thickest, if it fits inside.
    fn layer_names(&self) -> Result<()> {
        let size = 11.5;
        let floor = vec![0.0; self.timeline.moments.len()];
        for (i, layer) in self.timeline.layers.iter().enumerate() {
            let below = if i == 0 { &floor } else { &self.tops[i - 1] };
            let above = &self.tops[i];
            let half = lettering::width(&layer.name, size, Face::Bold) / 2.0 + 5.0;
            let peak = self.x.place(self.timeline.peak.0.0 as f64);
            let mut best: Option<(f64, f64, f64)> = None;
            let mut x = self.left + half;
            while x <= self.right - half {
                let (ceiling, ground) = self.room(above, below, x - half, x + half);
                let room = ground - ceiling;
                let crossed = (x - peak).abs() < half;
                if !crossed && room >= size + 5.0 && best.is_none_or(|(most, ..)| room > most) {
                    best = Some((room, x, f64::midpoint(ceiling, ground)));
                }
                x += 3.0;
            }
            if let Some((_, x, y)) = best {
                let ink = theme::of(Some(layer.hue)).label();
                self.canvas.text(&layer.name, (x, y), size, Face::Bold, ink, Side::Middle)?;
            }
        }
        Ok(())
    }

    /// The lowest ceiling and the highest ground of a layer between two places, in pixels.
    fn room(&self, above: &[f64], below: &[f64], from: f64, to: f64) -> (f64, f64) {
        let moments = &self.timeline.moments;
        let place = |i: usize| self.x.place(moments[i].at.0 as f64);
        // One moment more on either side: the edge between two moments is straight.
        let first = moments.partition_point(|m| self.x.place(m.at.0 as f64) <= from);
        let last = moments.partition_point(|m| self.x.place(m.at.0 as f64) < to);
        let (mut ceiling, mut ground) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut meet = |above: f64, below: f64| {
            ceiling = ceiling.max(self.y.place(above));
            ground = ground.min(self.y.place(below));
        };
        for i in first..last {
            meet(above[i], below[i]);
        }
        for (x, i) in [(from, first), (to, last)] {
            if i == 0 || i >= moments.len() {
                return (0.0, 0.0);
            }
            let (a, b) = (place(i - 1), place(i));
            let share = if b > a { ((x - a) / (b - a)).clamp(0.0, 1.0) } else { 0.0 };
            let between = |v: &[f64]| v[i - 1] + share * (v[i] - v[i - 1]);
            meet(between(above), between(below));
        }
        (ceiling, ground)
    }

    fn peak(&self) -> Result<()> {
        let (at, bytes) = self.timeline.peak;
        let (x, y) = (self.x.place(at.0 as f64), self.y.place(bytes));
        let holder = self.timeline.holder.as_deref().map(|name| lettering::clip(name, 24));
        let holder = holder.map_or_else(String::new, |name| format!(", {name}"));
        let label = self.canvas.letters(&format!("peak {}{holder}", Bytes::from_f64(bytes)));
        let half = lettering::width(&label, 12.0, Face::Bold) / 2.0 + 4.0;
        let middle = x.clamp(self.left + half, self.right - half);
        // The resident set may run above the peak: the label stands clear of both.
        let clear = (self.timeline.moments.iter())
            .filter(|m| (self.x.place(m.at.0 as f64) - middle).abs() <= half)
            .map(|m| self.y.place(m.resident))
            .fold(y, f64::min);
        let text = (middle, clear - 14.0);
        self.canvas.line((x, text.1), (x, self.base), theme::TEXT, 0.5)?;
        self.canvas.rect(
            (middle - half, text.1 - 8.0),
            (middle + half, text.1 + 8.0),
            theme::CARD,
        )?;
        self.canvas.text(&label, text, 12.0, Face::Bold, theme::TEXT, Side::Middle)?;
        self.canvas.dot((x, y), 4.5, theme::CARD)?;
        self.canvas.dot((x, y), 3.5, theme::TEXT)?;
        self.peak_of_children(text, half)
    }

    /// What child processes held at most, where that is more than the footprint: above the middle of the
    /// time in which they did, unless the label of the peak (its middle, half its width) is there.
    fn peak_of_children(&self, label: (f64, f64), half_label: f64) -> Result<()> {
        let most = self.children.iter().map(|point| point.1).fold(0.0, f64::max);
        let Some(first) = self.children.iter().position(|point| point.1 >= most) else {
            return Ok(());
        };
        if most <= self.timeline.peak.1 {
            return Ok(());
        }
        let until = self.children.get(first + 1).map_or(self.timeline.duration, |next| next.0);
        let from = self.children[first].0;
        let words = format!("child processes {}", Bytes::from_f64(most));
        let half = lettering::width(&words, 12.0, Face::Bold) / 2.0 + 4.0;
        let middle = f64::midpoint(self.x.place(from.0 as f64), self.x.place(until.0 as f64))
            .clamp(self.left + half, self.right - half);
        let y = self.y.place(most) - 11.0;
        if (middle - label.0).abs() < half + half_label && (y - label.1).abs() < 16.0 {
            return Ok(());
        }
        self.canvas.text(&words, (middle, y), 12.0, Face::Bold, theme::TEXT, Side::Middle)
    }

    fn legend(&self, y: f64) -> Result<()> {
        let mut x = self.left;
        let end = |x: f64, text: &str| x + lettering::width(text, 11.0, Face::Sans) + 18.0;
        let ink = theme::QUIET;
        let children = (!self.children.is_empty()).then_some((theme::CHILDREN, "child processes"));
        for (stroke, text) in [
            (theme::TEXT, "footprint above the start"),
            (theme::RESIDENT, "resident set above its start"),
        ]
        .into_iter()
        .chain(children)
        {
            let wide = if stroke == theme::CHILDREN { 1.5 } else { 1.0 };
            self.canvas.line((x, y), (x + 22.0, y), stroke, wide)?;
            x += 28.0;
            self.canvas.text(text, (x, y), 11.0, Face::Sans, ink, Side::Start)?;
            x = end(x, text);
        }
        self.canvas.rect((x, y - 5.0), (x + 14.0, y + 5.0), theme::GREY)?;
        self.canvas.text("everything else", (x + 20.0, y), 11.0, Face::Sans, ink, Side::Start)
    }

    fn band(&self) -> Result<()> {
        let (top, bottom) = (self.base + 4.0, self.base + 4.0 + BAND);
        let middle = f64::midpoint(top, bottom);
        if !self.timeline.running.is_empty() {
            let at = (self.left - 8.0, middle);
            self.canvas.text("running", at, 11.0, Face::Sans, theme::QUIET, Side::End)?;
        }
        for run in &self.timeline.running {
            let (from, to) = (self.x.place(run.from.0 as f64), self.x.place(run.to.0 as f64));
            if to - from < self.detail.narrowest {
                continue;
            }
            let fill = theme::of(run.hue);
            self.canvas.rect((from, top), (to - 1.0, bottom), fill)?;
            let Some(name) = &run.name else { continue };
            let short = name.strip_prefix("line ").unwrap_or(name);
            let fits = |text: &str| lettering::width(text, 10.5, Face::Sans) + 8.0 <= to - from;
            if let Some(text) = [name.as_str(), short].into_iter().find(|text| fits(text)) {
                let at = (f64::midpoint(from, to - 1.0), middle);
                self.canvas.text(text, at, 10.5, Face::Sans, fill.label(), Side::Middle)?;
            }
        }
        Ok(())
    }

    /// The lives of child processes, in the colour of the line that held most in each.
    fn lives(&self) -> Result<()> {
        let mut top = self.base + 4.0 + BAND + 3.0;
        for (at, lane) in self.lanes.iter().enumerate() {
            let (from, to) = (self.x.place(lane.from.0 as f64), self.x.place(lane.to.0 as f64));
            let to = to.max(from + 2.0);
            let middle = top + (LANE - 2.0) / 2.0;
            let size = 10.5;
            if at == 0 {
                let place = (self.left - 8.0, middle);
                self.canvas.text("children", place, 11.0, Face::Sans, theme::QUIET, Side::End)?;
            }
            let fill = theme::of(lane.hue);
            self.canvas.rect((from, top), (to, top + LANE - 2.0), fill)?;
            let wide = |text: &str| lettering::width(text, size, Face::Sans);
            // All words, or fewer of them, on the bar; else beside it, where more room is.
            let said = self.canvas.letters(&format!("{} · {}", lane.name, lane.words.join(" · ")));
            let short = self.canvas.letters(&format!("{} · {}", lane.name, lane.words[0]));
            let (before, behind) = (from - self.left, self.right - to);
            let on = [&said, &short].into_iter().find(|text| wide(text) + 8.0 <= to - from);
            if let Some(text) = on {
                let place = (from + 4.0, middle);
                self.canvas.text(text, place, size, Face::Sans, fill.label(), Side::Start)?;
            } else {
                let text = lettering::shorten(&said, before.max(behind) - 6.0, size, Face::Sans);
                let (place, side) = if behind >= before {
                    ((to + 4.0, middle), Side::Start)
                } else {
                    ((from - 4.0, middle), Side::End)
                };
                self.canvas.text(&text, place, size, Face::Sans, theme::TEXT, side)?;
            }
            top += LANE;
        }
        Ok(())
    }

    fn time_axis(&self) -> Result<()> {
        let y = self.base + 4.0 + BAND + lanes_height(self.lanes) + 11.0;
        for (value, label) in axis::time_ticks(self.timeline.duration) {
            let x = self.x.place(value);
            let half = lettering::width(&label, 11.0, Face::Sans) / 2.0;
            let x = x.min(self.right - half);
            self.canvas.text(&label, (x, y), 11.0, Face::Sans, theme::QUIET, Side::Middle)?;
        }
        if self.timeline.collections.is_empty() {
            return Ok(());
        }
        let y = y + 18.0;
        let at = (self.left - 8.0, y);
        self.canvas.text("collector", at, 11.0, Face::Sans, theme::QUIET, Side::End)?;
        let mut places: Vec<i32> = self
            .timeline
            .collections
            .iter()
            .map(|at| (self.x.place(at.0 as f64) * UNITS).round() as i32)
            .collect();
        places.sort_unstable();
        places.dedup_by(|a, b| f64::from(*a - *b) < 3.0 * UNITS);
        let crowded = places.windows(2).any(|pair| f64::from(pair[1] - pair[0]) < 9.0 * UNITS);
        for x in places {
            let y = (y * UNITS).round() as i32;
            if crowded {
                self.canvas.stroke(vec![(x, y - 8), (x, y + 6)], theme::QUIET, 1.0)?;
            } else {
                let tick = vec![(x - 7, y + 6), (x + 7, y + 6), (x, y - 8)];
                self.canvas.polygon(tick, theme::QUIET)?;
            }
        }
        Ok(())
    }
}
