//! The report of a process that is gone, as text and as HTML.

use super::axis::{self, Scale};
use super::canvas::{self, Canvas, Letters, Side, UNITS};
use super::lettering::{self, Face, clip, escape, printable};
use super::svg::WIDTH;
use super::table::{self, Table};
use super::{card, theme};
use crate::error::Result;
use crate::profile::{Bytes, Nanos};
use crate::report::{Death, Hue};
use std::fmt::Write as _;

const LEFT: f64 = 66.0;
const RIGHT: f64 = 10.0;
const HEADROOM: f64 = 40.0;
const PLOT: f64 = 130.0;
const HEIGHT: f64 = HEADROOM + PLOT + 24.0;
const TITLE: &str = "Resident set over the last seconds";
const HOLDERS: &str = "Who held most";
/// Letters of a line of source.
const LONGEST: usize = 110;

/// The report as plain text.
pub fn death_text(death: &Death) -> String {
    let mut out =
        vec![death.headline.clone(), death.cause.clone(), memory(death), death.next.clone()];
    for stand in &death.places {
        out.push(format!("  {}  {}", stand.label, clip(stand.source.trim(), LONGEST)));
    }
    if !death.holders.is_empty() {
        out.push(format!("{HOLDERS}:"));
        out.extend(death.holders.iter().map(|(line, bytes)| format!("{bytes:>10}  {line}")));
    }
    let lines: Vec<String> = out.iter().map(|line| printable(line)).collect();
    let mut text =
        lines.iter().filter(|line| !line.trim().is_empty()).cloned().collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

/// The report as an HTML fragment without scripts, which keeps its meaning without its styles.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when the picture could not be drawn.
pub fn death_html(death: &Death) -> Result<String> {
    let html = |text: &str| escape(&printable(text));
    let mut out = String::new();
    card::open(&mut out);
    card::headline(&mut out, [(html(&death.headline), true)]);
    let sentence = |out: &mut String, text: &str| {
        if !text.is_empty() {
            let _ = write!(out, "<p style=\"margin:4px 0 0\">{}</p>", html(text));
        }
    };
    sentence(&mut out, &death.cause);
    sentence(&mut out, &death.next);
    if !death.places.is_empty() {
        card::heading(&mut out, "Where it was");
        out.push_str(
            "<pre style=\"margin:0;font-size:12px;line-height:1.5;white-space:pre-wrap\">",
        );
        for (at, stand) in death.places.iter().enumerate() {
            let line =
                format!("{}  {}", html(&stand.label), html(&clip(stand.source.trim(), LONGEST)));
            let _ = if at == 0 {
                writeln!(out, "<strong>{}</strong>", line.trim_end())
            } else {
                writeln!(out, "{}", line.trim_end())
            };
        }
        out.push_str("</pre>");
    }
    if death.curve.len() > 1 {
        card::heading(&mut out, TITLE);
        card::image(&mut out, &picture(death)?, &html(&memory(death)));
    }
    card::facts(&mut out, &html(&memory(death)));
    if !death.holders.is_empty() {
        card::heading(&mut out, HOLDERS);
        let table = Table { words: 1, wraps: true, fits: false };
        table.begin(&mut out, ["line", "held"]);
        for (line, bytes) in &death.holders {
            table.row(&mut out, &[html(line), bytes.to_string()], false);
        }
        table.end(&mut out);
        table::note_below(&mut out, "as the process told it a moment before its end");
    }
    out.push_str("</div>");
    Ok(out)
}

/// The curve in words.
fn memory(death: &Death) -> String {
    let Some((last, peak)) = death.last_and_peak() else { return String::new() };
    let mut words = format!("Resident set: {last} when it was last seen");
    if peak > last {
        let _ = write!(words, ", {peak} at most in the last {}", seconds(death.span()));
    }
    if let Some((name, bytes)) = &death.limit {
        let _ = write!(words, "; {name}: {bytes}");
    }
    words.push('.');
    words
}

fn seconds(span: Nanos) -> String {
    format!("{:.1} s", span.seconds())
}

/// The curve as SVG.
fn picture(death: &Death) -> Result<String> {
    canvas::draw((WIDTH, HEIGHT), Letters::Any, |canvas| draw(canvas, death))
}

fn draw(canvas: &Canvas<'_>, death: &Death) -> Result<()> {
    let Some((last, peak)) = death.last_and_peak() else { return Ok(()) };
    let base = HEADROOM + PLOT;
    let right = WIDTH - RIGHT;
    // A limit far above would make the curve flat.
    let limit = death.limit.as_ref().filter(|(_, bytes)| bytes.0 / 3 <= peak.0);
    let high = limit.map_or(peak, |(_, bytes)| peak.max(*bytes)).as_f64();
    let first = death.curve.first().map_or(0, |(at, _)| at.0);
    let x = Scale::new((0.0, death.span().0 as f64), (LEFT, right));
    let y = Scale::new((0.0, high), (base, base - PLOT));
    let quiet = theme::QUIET;
    for (value, label) in axis::byte_ticks(0.0, high) {
        let at = y.place(value);
        canvas.line((LEFT, at), (right, at), theme::RULE, 1.0)?;
        canvas.text(&label, (LEFT - 8.0, at), 11.0, Face::Sans, quiet, Side::End)?;
    }
    let units = |value: f64| (value * UNITS).round() as i32;
    let edge: Vec<(i32, i32)> = (death.curve.iter())
        .map(|(at, held)| (units(x.place((at.0 - first) as f64)), units(y.place(held.as_f64()))))
        .collect();
    let edge = canvas::simplify(&edge, 0.6);
    let mut area = edge.clone();
    area.extend([(units(right), units(base)), (units(LEFT), units(base))]);
    canvas.polygon(area, theme::of(Some(Hue(1))).lighter(0.6))?;
    canvas.stroke(edge, theme::of(Some(Hue(1))), 1.5)?;
    if let Some((name, bytes)) = limit {
        let at = y.place(bytes.as_f64());
        let red = theme::of(Some(Hue(0)));
        canvas.line((LEFT, at), (right, at), red, 1.5)?;
        let text = format!("{name}: {bytes}");
        canvas.text(&text, (LEFT + 4.0, at - 9.0), 11.0, Face::Sans, red, Side::Start)?;
    }
    end(canvas, (right, y.place(last.as_f64())), last)?;
    for (value, label) in axis::time_ticks(death.span()) {
        let half = lettering::width(&label, 11.0, Face::Sans) / 2.0;
        let at = (x.place(value).min(right - half), base + 13.0);
        canvas.text(&label, at, 11.0, Face::Sans, quiet, Side::Middle)?;
    }
    Ok(())
}

/// Marks where the curve ends.
fn end(canvas: &Canvas<'_>, (x, y): (f64, f64), last: Bytes) -> Result<()> {
    let label = format!("ended at {last}");
    let half = lettering::width(&label, 12.0, Face::Bold) / 2.0 + 4.0;
    let middle = x - half;
    canvas.rect((middle - half, y - 24.0), (middle + half, y - 8.0), theme::CARD)?;
    canvas.text(&label, (middle, y - 16.0), 12.0, Face::Bold, theme::TEXT, Side::Middle)?;
    canvas.dot((x, y), 4.5, theme::CARD)?;
    canvas.dot((x, y), 3.5, theme::TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Stand;

    fn death() -> Death {
        Death {
            headline: "Python was ended <in> this cell".to_owned(),
            cause: "The limit was reached.".to_owned(),
            places: vec![Stand { label: "line 3".to_owned(), source: "x = f(<y>)".to_owned() }],
            curve: (0..50).map(|n| (Nanos(n * 40_000_000), Bytes(n << 24))).collect(),
            limit: Some(("limit".to_owned(), Bytes(1 << 30))),
            holders: vec![("line 3".to_owned(), Bytes(700 << 20))],
            next: "Run it again.".to_owned(),
        }
    }

    #[test]
    fn both_forms_say_it_all() {
        let (text, html) = (death_text(&death()), death_html(&death()).expect("it is drawn"));
        for words in [
            "Python was ended",
            "The limit was reached.",
            "line 3",
            "784 MiB",
            "700 MiB",
            "Run it again.",
        ] {
            assert!(text.contains(words), "{words} in {text}");
            assert!(html.contains(words), "{words} in {html}");
        }
        assert!(html.contains("f(&lt;y&gt;)") && !html.contains("f(<y>)"));
        assert!(html.contains("data:image/svg+xml"));
    }

    #[test]
    fn what_is_not_known_is_not_spoken_of() {
        let bare = Death { headline: "Gone.".to_owned(), ..Death::default() };
        assert_eq!(death_text(&bare), "Gone.\n");
        let html = death_html(&bare).expect("it is drawn");
        assert!(!html.contains("<img") && !html.contains("<table") && !html.contains("<pre"));
    }

    #[test]
    fn a_single_point_and_a_limit_far_away_are_drawn() {
        let mut death = death();
        death.limit = Some(("machine".to_owned(), Bytes(1 << 50)));
        assert!(!picture(&death).expect("it is drawn").contains("machine"));
        death.curve.truncate(1);
        assert!(picture(&death).is_ok());
    }
}
