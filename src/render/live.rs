//! How it goes while a cell runs: a display that is drawn some times a second, so a plain one.

use super::axis::{self, Scale};
use super::canvas::{self, Canvas, Letters, Side, UNITS};
use super::lettering::{Face, clip, escape, printable};
use super::svg::WIDTH;
use super::{card, theme};
use crate::error::Result;
use crate::profile::Bytes;
use crate::report::{Hue, Live};
use std::fmt::Write as _;

const LEFT: f64 = 66.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 14.0;
const PLOT: f64 = 110.0;
const HEIGHT: f64 = TOP + PLOT + 24.0;
/// Letters of a line of source.
const LONGEST: usize = 110;
const HOLDERS: &str = "Who holds most";

/// As a few lines of plain text.
pub fn live_text(live: &Live) -> String {
    let line = live.line.as_ref().filter(|_| live.goes_on());
    let line = line.map(|(place, source)| format!("{}: {}", printable(place), clipped(source)));
    let below: Vec<String> =
        Some(live.facts()).filter(|facts| !facts.is_empty()).into_iter().chain(line).collect();
    let mut text = format!("{}\n{}\n", printable(&live.sentence()), below.join(" · "));
    if let Some(holders) = live.holders.as_ref().filter(|holders| !holders.is_empty()) {
        let _ = writeln!(text, "{HOLDERS}:");
        for (line, bytes) in holders {
            let _ = writeln!(text, "{bytes:>10}  {}", clipped(line));
        }
    }
    text
}

/// As an HTML fragment, made as that of a report is.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when the picture could not be drawn.
pub fn live_html(live: &Live) -> Result<String> {
    let mut out = String::with_capacity(16 << 10);
    card::open(&mut out);
    card::headline(&mut out, [(escape(&printable(&live.sentence())), true)]);
    card::facts(&mut out, &escape(&live.facts()));
    let alt = format!("Memory in use over time: {}.", live.sentence());
    card::image(&mut out, &picture(live)?, &escape(&printable(&alt)));
    if live.goes_on() {
        // Always there, so that nothing below moves when a line is known.
        let (place, source) = live.line.clone().unwrap_or_default();
        let _ = write!(
            out,
            "<p style=\"margin:6px 0 0;min-height:19px\">{} <code>{}</code></p>",
            escape(&printable(&place)),
            escape(&clipped(&source))
        );
    }
    if let Some(holders) = live.holders.as_ref().filter(|h| live.goes_on() || !h.is_empty()) {
        held(&mut out, holders);
    }
    out.push_str("</div>");
    Ok(out)
}

/// The lines that hold most, in a space that is as high whether there are any.
fn held(out: &mut String, holders: &[(String, Bytes)]) {
    card::heading(out, HOLDERS);
    out.push_str(
        "<pre style=\"margin:0;font-size:12px;line-height:18px;min-height:54px;overflow-x:auto\">",
    );
    for (line, bytes) in holders {
        let _ = writeln!(out, "{:>10}  {}", bytes.to_string(), escape(&clipped(line)));
    }
    out.push_str(if holders.is_empty() { "no line of yours so far</pre>" } else { "</pre>" });
}

fn clipped(source: &str) -> String {
    printable(&clip(source.trim(), LONGEST))
}

fn picture(live: &Live) -> Result<String> {
    canvas::draw((WIDTH, HEIGHT), Letters::Any, |canvas| draw(canvas, live))
}

fn draw(canvas: &Canvas<'_>, live: &Live) -> Result<()> {
    let (right, base) = (WIDTH - RIGHT, TOP + PLOT);
    let values = || live.curve.iter().map(|(_, held)| held.0 as f64);
    let high = values().fold(live.peak.as_f64().max(1024.0), f64::max);
    let low = values().fold(0.0, f64::min);
    let x = Scale::new((0.0, live.elapsed.0 as f64), (LEFT, right));
    let y = Scale::new((low, high), (base, TOP));
    for (value, label) in axis::byte_ticks(low, high) {
        let at = y.place(value);
        canvas.line((LEFT, at), (right, at), theme::RULE, 1.0)?;
        canvas.text(&label, (LEFT - 8.0, at), 11.0, Face::Sans, theme::QUIET, Side::End)?;
    }
    let units = |value: f64| (value * UNITS).round() as i32;
    let now = (right, y.place(live.footprint.0 as f64));
    let mut edge: Vec<(i32, i32)> = (live.curve.iter())
        .map(|(at, held)| (units(x.place(at.0 as f64)), units(y.place(held.0 as f64))))
        .collect();
    edge.push((units(now.0), units(now.1)));
    let edge = canvas::simplify(&edge, 0.6);
    let zero = units(y.place(0.0));
    let mut area = edge.clone();
    area.extend([(units(right), zero), (edge[0].0, zero)]);
    let blue = theme::of(Some(Hue(1)));
    canvas.polygon(area, blue.lighter(0.6))?;
    canvas.stroke(edge, blue, 1.5)?;
    canvas.dot(now, 3.0, blue)?;
    for (value, label) in axis::time_ticks(live.elapsed) {
        let at = x.place(value);
        if at < right - 20.0 {
            canvas.text(&label, (at, base + 13.0), 11.0, Face::Sans, theme::QUIET, Side::Middle)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Nanos, SignedBytes};

    fn live() -> Live {
        let moment = |n: i64| (Nanos(n as u64 * 20_000_000), SignedBytes(n << 18));
        Live {
            title: "cell [3]".to_owned(),
            elapsed: Nanos(10_000_000_000),
            footprint: SignedBytes(80 << 20),
            peak: Bytes(100 << 20),
            rss: Some(Bytes(200 << 20)),
            curve: (0..500).map(moment).collect(),
            line: Some(("at line 2".to_owned(), "x = [1] * (a < b)".to_owned())),
            holders: Some(vec![("line 1: y = [0] * (c < d)".to_owned(), Bytes(70 << 20))]),
            ended: false,
            cut_short: false,
        }
    }

    #[test]
    fn a_display_is_small_and_says_the_same_as_its_text() {
        let html = live_html(&live()).expect("it is drawn");
        assert!(html.len() < 20_000, "{}", html.len());
        assert!(html.contains("80.0 MiB in use") && html.contains("a &lt; b"), "{html}");
        let text = live_text(&live());
        assert!(text.contains("80.0 MiB in use") && text.contains("line 2: x = [1] * (a < b)"));
        assert!(html.contains("70.0 MiB  line 1: y = [0] * (c &lt; d)"), "{html}");
        assert!(text.contains("70.0 MiB  line 1: y = [0] * (c < d)"), "{text}");
    }

    #[test]
    fn the_very_first_moment_is_drawn() {
        assert!(live_html(&Live::default()).is_ok());
        let below = Live { footprint: SignedBytes(-(50 << 20)), ..live() };
        assert!(live_html(&below).expect("it is drawn").contains("less than at the start"));
        let ended = live_html(&Live { ended: true, ..live() }).expect("it is drawn");
        assert!(ended.contains("ran for 10.0 s") && !ended.contains("line 2"), "{ended}");
        let nothing = |ended| Live { ended, holders: Some(Vec::new()), ..live() };
        assert!(live_html(&nothing(false)).expect("it is drawn").contains("no line of yours"));
        assert!(!live_html(&nothing(true)).expect("it is drawn").contains(HOLDERS));
        let cut = live_text(&Live { cut_short: true, ..live() });
        assert!(cut.contains("was cut short after 10.0 s") && !cut.contains("line 2"), "{cut}");
    }
}
