//! The frame as bars: for each column what it needs, what a smaller type frees, and what is shared.

use super::canvas::{self, Canvas, Letters, Side};
use super::lettering::{self, Face, unparted};
use super::png::{self, Png};
use super::svg::{MARGIN, WIDTH};
use super::theme;
use crate::error::Result;
use crate::profile::Bytes;
use crate::report::Hue;
use crate::report::frames::{Advice, Column, Frame};

const ROW: f64 = 21.0;
/// Where the bars begin and end, from the left edge.
const BARS: (f64, f64) = (236.0, 540.0);
/// How much lighter what can be freed is.
const FREED: f64 = 0.62;
/// Columns with a bar of their own.
const MOST: usize = 24;

/// The bars alone, as SVG.
pub fn bars(frame: &Frame) -> Result<String> {
    canvas::draw((WIDTH, height(frame, MOST)), Letters::Any, |canvas| {
        draw(canvas, frame, MOST, (0.0, 0.0), WIDTH)
    })
}

fn height(frame: &Frame, most: usize) -> f64 {
    let (shown, others) = frame.largest_columns(most);
    ROW * (shown.len() + usize::from(!others.is_empty())) as f64 + 30.0
}

/// The colour of the bars: one, since what is told apart is in each bar.
const BAR: Hue = Hue(1);

fn draw(
    canvas: &Canvas<'_>,
    frame: &Frame,
    most: usize,
    (left, top): (f64, f64),
    right: f64,
) -> Result<()> {
    let (shown, others) = frame.largest_columns(most);
    let largest = frame.largest().as_f64().max(1.0);
    let scale = (BARS.1 - BARS.0) / largest;
    legend(canvas, (left, top + 9.0))?;
    let mut y = top + 30.0;
    for column in shown {
        row(canvas, column, (left, y, right), scale)?;
        y += ROW;
    }
    if !others.is_empty() {
        let sum: u64 = others.iter().map(|column| column.total().0).sum();
        let name = format!("{} more columns", others.len());
        canvas.text(&name, (left, y), 11.5, Face::Sans, theme::QUIET, Side::Start)?;
        canvas.text(
            &Bytes(sum).to_string(),
            (right, y),
            11.5,
            Face::Sans,
            theme::QUIET,
            Side::End,
        )?;
    }
    Ok(())
}

fn legend(canvas: &Canvas<'_>, (left, y): (f64, f64)) -> Result<()> {
    let hue = theme::of(Some(BAR));
    let mut x = left + BARS.0;
    for (ink, words) in
        [(hue, "needed"), (hue.lighter(FREED), "freed by a smaller type"), (theme::GREY, "shared")]
    {
        canvas.rect((x, y - 5.0), (x + 10.0, y + 5.0), ink)?;
        canvas.text(words, (x + 15.0, y), 11.0, Face::Sans, theme::QUIET, Side::Start)?;
        x += 15.0 + lettering::width(words, 11.0, Face::Sans) + 16.0;
    }
    Ok(())
}

fn row(
    canvas: &Canvas<'_>,
    column: &Column,
    (left, y, right): (f64, f64, f64),
    scale: f64,
) -> Result<()> {
    let ink = theme::of(Some(BAR));
    let fit = |text: &str, room: f64, size: f64| {
        lettering::shorten(&canvas.letters(text), room, size, Face::Sans)
    };
    let name = fit(&column.name, 118.0, 11.5);
    canvas.text(&name, (left, y), 11.5, Face::Sans, theme::TEXT, Side::Start)?;
    let dtype = fit(&column.dtype, 100.0, 11.0);
    canvas.text(&dtype, (left + 126.0, y), 11.0, Face::Sans, theme::QUIET, Side::Start)?;
    let freed = column.advice.first().map_or(Bytes(0), Advice::saved).as_f64();
    let freed = freed.max(column.unused.as_f64()).min(column.owned.as_f64());
    let mut x = left + BARS.0;
    let start = x;
    for (bytes, ink) in [
        (column.owned.as_f64() - freed, ink),
        (freed, ink.lighter(FREED)),
        (column.total().as_f64() - column.owned.as_f64(), theme::GREY),
    ] {
        let wide = bytes * scale;
        if wide >= 0.5 {
            canvas.rect((x, y - 7.0), (x + wide, y + 7.0), ink)?;
        }
        x += wide;
    }
    // A hair for what is too small for a bar: the column is there.
    if x - start < 1.0 && column.total() > Bytes(0) {
        canvas.rect((start, y - 7.0), (start + 1.0, y + 7.0), ink)?;
    }
    let total = column.total().to_string();
    canvas.text(&total, (right, y), 11.5, Face::Sans, theme::TEXT, Side::End)?;
    if let Some(best) = column.advice.first() {
        let words = fit(&format!("{} {}", best.after, best.dtype), right - 70.0 - x - 8.0, 11.0);
        canvas.text(&words, (x + 8.0, y), 11.0, Face::Sans, theme::QUIET, Side::Start)?;
    }
    Ok(())
}

/// How much is in the picture: bars, and advice below them.
#[derive(Clone, Copy, PartialEq)]
struct Parts {
    bars: usize,
    advised: usize,
}

/// The whole picture: verdict, bars and the best advice.
fn picture(frame: &Frame, parts: Parts) -> Result<(String, (f64, f64))> {
    let sentence = unparted(&lettering::printable(&frame.sentence()));
    let head = lettering::wrap(&sentence, WIDTH, 16.0, Face::Bold);
    let facts = lettering::printable(&frame.facts());
    let bars_at = MARGIN + 24.0 * head.len() as f64 + 26.0;
    let advice_at = bars_at + height(frame, parts.bars) + 8.0;
    let best: Vec<(&str, &Advice)> = frame.best().into_iter().take(parts.advised).collect();
    let lines = if best.is_empty() { 0 } else { best.len() + 1 };
    let size = (WIDTH + 2.0 * MARGIN, (advice_at + 19.0 * lines as f64 + MARGIN).ceil());
    let right = size.0 - MARGIN;
    let svg = canvas::draw(size, Letters::Embedded, |canvas| {
        let mut y = MARGIN + 12.0;
        for line in &head {
            canvas.text(line, (MARGIN, y), 16.0, Face::Bold, theme::TEXT, Side::Start)?;
            y += 24.0;
        }
        canvas.text(&facts, (MARGIN, y - 3.0), 11.0, Face::Sans, theme::QUIET, Side::Start)?;
        draw(canvas, frame, parts.bars, (MARGIN, bars_at), right)?;
        if !best.is_empty() {
            let title = "Smaller, with every value kept";
            let at = (MARGIN, advice_at + 9.0);
            canvas.text(title, at, 13.0, Face::Bold, theme::TEXT, Side::Start)?;
        }
        for (i, (name, advice)) in best.iter().enumerate() {
            let y = advice_at + 19.0 * (i + 1) as f64 + 9.0;
            let code = advice.code.lines().next().unwrap_or_default();
            let fit = |text: &str, room: f64, face: Face| {
                lettering::shorten(&canvas.letters(text), room, 11.0, face)
            };
            let name = fit(name, 118.0, Face::Sans);
            canvas.text(&name, (MARGIN, y), 11.0, Face::Sans, theme::TEXT, Side::Start)?;
            let change = advice.change();
            let at = (MARGIN + 126.0, y);
            canvas.text(&change, at, 11.0, Face::Sans, theme::TEXT, Side::Start)?;
            let code_at = MARGIN + 276.0;
            let code = fit(code, right - code_at, Face::Mono);
            canvas.text(&code, (code_at, y), 11.0, Face::Mono, theme::TEXT, Side::Start)?;
        }
        Ok(())
    })?;
    Ok((svg, size))
}

/// The picture as a PNG of at most `largest` bytes: where there is too little room with less in it.
pub fn png(frame: &Frame, largest: usize) -> Result<Png> {
    let whole = Parts { bars: MOST, advised: 8 };
    let less = Parts { bars: 12, advised: 4 };
    let least = Parts { bars: 6, advised: 0 };
    let attempts = [
        (whole, png::TWICE, 256, 1.0),
        (whole, png::TWICE, 32, 0.75),
        (whole, png::TWICE, 16, 0.55),
        (less, png::TWICE, 16, 0.4),
        (less, png::ONCE, 16, 0.2),
        (least, png::ONCE, 8, 0.0),
    ];
    png::fitted(largest, &attempts, |parts| picture(frame, parts))
}
