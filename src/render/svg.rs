//! The whole picture: verdict, timeline, the coloured lines, and the icicle.

use super::axis::signed;
use super::canvas::{self, Canvas, Letters, Side};
use super::chart::{self, Detail};
use super::drawn_table::{self, ROW};
use super::lettering::{self, Face};
use super::{children, forked, icicle, theme};
use crate::error::Result;
use crate::profile::Bytes;
use crate::report::{Line, Report};

/// The width of a picture in CSS pixels.
pub const WIDTH: f64 = 720.0;
/// Around a picture that stands alone.
pub const MARGIN: f64 = 14.0;

/// The timeline alone, as SVG.
pub(super) fn timeline(report: &Report, detail: Detail) -> Result<String> {
    canvas::draw((WIDTH, chart::height(report)), Letters::Any, |canvas| {
        chart::draw(canvas, report, (0.0, WIDTH), detail)
    })
}

/// The icicle alone, as SVG; `None` when nothing was held.
pub(super) fn flame(report: &Report, detail: Detail) -> Result<Option<String>> {
    let Some(root) = &report.icicle else { return Ok(None) };
    canvas::draw((WIDTH, icicle::height(root, usize::MAX)), Letters::Any, |canvas| {
        icicle::draw(canvas, root, ((0.0, 0.0), WIDTH), usize::MAX, detail)
    })
    .map(Some)
}

/// What of the picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Parts {
    pub letters: Letters,
    pub detail: Detail,
    pub lines: bool,
    /// Rows of the icicle.
    pub levels: usize,
    /// Child processes, and lines in them, with a row of their own; with 0 there are no tables of them.
    pub children: usize,
}

/// All of it.
pub(super) const WHOLE: Parts = Parts {
    letters: Letters::Any,
    detail: chart::FINE,
    lines: true,
    levels: usize::MAX,
    children: 3,
};

/// A piece of text of the head: where its middle is, how large, and how it looks.
struct HeadLine {
    text: String,
    y: f64,
    size: f64,
    face: Face,
    ink: theme::Ink,
}

/// The whole picture, with its width and height in CSS pixels.
pub(super) fn picture(report: &Report, parts: Parts) -> Result<(String, (f64, f64))> {
    let (head, below) = head(report);
    let mut y = below;
    let chart_at = y;
    let has_chart = !report.tiny && !report.timeline.moments.is_empty();
    if has_chart {
        y += chart::height(report) + 12.0;
    }
    let lines: Vec<&Line> = if report.tiny || !parts.lines {
        Vec::new()
    } else {
        report.table.lines().filter(|line| line.hue.is_some()).take(6).collect()
    };
    let lines_at = y;
    if !lines.is_empty() {
        y += ROW * (lines.len() as f64 + 2.0) + 10.0;
    }
    let tables: Vec<_> = [children::drawn, forked::drawn]
        .into_iter()
        .filter_map(|drawn| drawn(report, parts.children))
        .map(|table| {
            let at = y;
            y += table.height();
            (table, at)
        })
        .collect();
    let flame = report.icicle.as_ref().filter(|_| parts.levels > 0 && !report.tiny);
    let flame_at = y;
    if let Some(root) = flame {
        y += 22.0 + icicle::height(root, parts.levels) + 4.0;
    }
    let size = (WIDTH + 2.0 * MARGIN, (y + MARGIN).ceil());
    let svg = canvas::draw(size, parts.letters, |canvas| {
        for line in &head {
            let at = (MARGIN, line.y);
            canvas.text(&line.text, at, line.size, line.face, line.ink, Side::Start)?;
        }
        if has_chart {
            chart::draw(canvas, report, (chart_at, size.0 - MARGIN), parts.detail)?;
        }
        if !lines.is_empty() {
            table(canvas, report, &lines, lines_at, size.0 - MARGIN)?;
        }
        let edges = (MARGIN, size.0 - MARGIN);
        for (table, at) in &tables {
            table.draw(canvas, *at, edges)?;
        }
        if let Some(root) = flame {
            let title = "Who held it at the peak";
            let at = (MARGIN, flame_at + 9.0);
            canvas.text(title, at, 13.0, Face::Bold, theme::TEXT, Side::Start)?;
            let place = ((MARGIN, flame_at + 22.0), WIDTH);
            icicle::draw(canvas, root, place, parts.levels, parts.detail)?;
        }
        Ok(())
    })?;
    Ok((svg, size))
}

fn head(report: &Report) -> (Vec<HeadLine>, f64) {
    let verdict = &report.verdict;
    let mut y = MARGIN;
    let mut head = Vec::new();
    let mut add = |text: &str, size: f64, face: Face, ink: theme::Ink| {
        for text in lettering::wrap(&lettering::printable(text), WIDTH, size, face) {
            y += size * 0.75;
            head.push(HeadLine { text, y, size, face, ink });
            y += size * 0.75;
        }
    };
    if let Some(ending) = &verdict.ending {
        add(ending, 14.0, Face::Bold, theme::TEXT);
    }
    add(&verdict.sentence(), 16.0, Face::Bold, theme::TEXT);
    if let Some(advice) = &verdict.advice {
        add(advice, 13.0, Face::Sans, theme::TEXT);
    }
    add(&verdict.facts, 11.0, Face::Sans, theme::QUIET);
    (head, y + 14.0)
}

/// The coloured lines as rows of numbers, for readers who get the picture alone.
fn table(
    canvas: &Canvas<'_>,
    report: &Report,
    lines: &[&Line],
    top: f64,
    right: f64,
) -> Result<()> {
    let columns = drawn_table::figures_at(right);
    let mut y = top + 9.0;
    let heads = ("Line by line", ["at the peak", "stays", "allocated"]);
    drawn_table::head(canvas, heads, y, (MARGIN, right))?;
    for line in lines {
        y += ROW;
        let fill = theme::of(line.hue);
        canvas.rect((MARGIN, y - 8.0), (MARGIN + 5.0, y + 8.0), fill)?;
        let face = if line.most_at_peak { Face::Bold } else { Face::Sans };
        canvas.text(&line.name, (MARGIN + 14.0, y), 11.5, face, theme::TEXT, Side::Start)?;
        let source_at =
            MARGIN + 14.0 + lettering::width(&line.name, 11.5, Face::Bold).max(50.0) + 12.0;
        let source = canvas.letters(line.source.trim());
        let room = columns[0] - 80.0 - source_at;
        let source = lettering::shorten(&source, room, 11.0, Face::Mono);
        canvas.text(&source, (source_at, y), 11.0, Face::Mono, theme::TEXT, Side::Start)?;
        let f = &line.figures;
        for (x, value) in columns.iter().zip([f.peak, f.surviving, f.allocated]) {
            let text = Bytes::from_f64(value.value).to_string();
            canvas.text(&text, (*x, y), 11.5, face, theme::TEXT, Side::End)?;
        }
    }
    y += ROW;
    let listed: f64 = lines.iter().map(|line| line.figures.peak.value).sum();
    let rest = report.table.peak_footprint.as_f64() - listed;
    let at = (MARGIN + 14.0, y);
    let surplus = report.table.surplus().filter(|_| rest < 0.0);
    let label = surplus.map_or("everything else", |less| &less.label);
    canvas.text(label, at, 11.5, Face::Sans, theme::QUIET, Side::Start)?;
    canvas.text(&signed(rest), (columns[0], y), 11.5, Face::Sans, theme::QUIET, Side::End)
}
