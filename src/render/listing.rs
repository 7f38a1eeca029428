//! A listing as text and as an HTML fragment in the style of the report.

use super::canvas::{self, Letters, Side};
use super::lettering::{self, Face, clip, escape, printable};
use super::theme;
use crate::error::Result;
use crate::report::{Listing, Section, Stop};
use base64::Engine as _;
use std::fmt::Write as _;

/// Letters of a cell of words in the text.
const WIDEST: usize = 44;
const WIDTH: f64 = 720.0;
const BOX: f64 = 26.0;
const GAP: f64 = 30.0;

/// The listing as plain text.
pub fn listing_text(listing: &Listing) -> String {
    let mut out = vec![printable(&listing.headline)];
    if !listing.facts.is_empty() {
        out.push(printable(&listing.facts));
    }
    for way in &listing.ways {
        out.push(String::new());
        out.push(printable(&sentence(way)));
    }
    for section in &listing.sections {
        out.push(String::new());
        out.extend(section_text(section));
    }
    out.join("\n") + "\n"
}

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

fn section_text(section: &Section) -> Vec<String> {
    let cell = |text: &str, at: usize| {
        let text = printable(text);
        if at < section.words { clip(&text, WIDEST) } else { text }
    };
    let rows: Vec<Vec<String>> = std::iter::once(&section.columns)
        .chain(&section.rows)
        .map(|row| row.iter().enumerate().map(|(at, text)| cell(text, at)).collect())
        .collect();
    let widths: Vec<usize> = (0..section.columns.len())
        .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = Vec::new();
    if !section.title.is_empty() {
        out.push(printable(&section.title));
    }
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (text, &wide))| {
            if at < section.words { format!("{text:<wide$}") } else { format!("{text:>wide$}") }
        });
        out.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    if !section.note.is_empty() {
        out.push(printable(&section.note));
    }
    out
}

/// The listing as an HTML fragment without scripts, which keeps its meaning without its styles.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when the picture could not be drawn.
pub fn listing_html(listing: &Listing) -> Result<String> {
    let mut out = String::new();
    let _ = write!(
        out,
        "<div class=\"memprofile\" style=\"max-width:{}px;box-sizing:border-box;margin:4px 0;padding:14px 18px;background:{};color:{};border:1px solid {};border-radius:8px;font-family:system-ui,sans-serif;font-size:13px;line-height:1.45\"><p style=\"margin:0;font-size:17px;line-height:1.35\"><strong>{}</strong></p>",
        WIDTH + 38.0,
        theme::CARD.hex(),
        theme::TEXT.hex(),
        theme::BORDER.hex(),
        escape(&printable(&listing.headline))
    );
    let quiet = theme::QUIET.hex();
    if !listing.facts.is_empty() {
        let _ = write!(
            out,
            "<p style=\"margin:4px 0 10px;font-size:12px;color:{quiet}\">{}</p>",
            escape(&printable(&listing.facts))
        );
    }
    if !listing.ways.is_empty() {
        let picture = ways_svg(&listing.ways)?;
        let data = base64::engine::general_purpose::STANDARD.encode(picture);
        let alt: Vec<String> = listing.ways.iter().map(|way| sentence(way)).collect();
        let _ = write!(
            out,
            "<img src=\"data:image/svg+xml;base64,{data}\" width=\"{WIDTH}\" alt=\"{}\" style=\"display:block;max-width:100%;height:auto;margin:0\">",
            escape(&printable(&alt.join("; ")))
        );
    }
    for section in &listing.sections {
        section_html(&mut out, section);
    }
    out.push_str("</div>");
    Ok(out)
}

fn section_html(out: &mut String, section: &Section) {
    let (card, quiet) = (theme::CARD.hex(), theme::QUIET.hex());
    if !section.title.is_empty() {
        let title = escape(&printable(&section.title));
        let _ = write!(
            out,
            "<p style=\"margin:14px 0 6px;font-size:14px\"><strong>{title}</strong></p>"
        );
    }
    let _ = write!(
        out,
        "<div style=\"overflow-x:auto\"><table style=\"width:100%;border-collapse:collapse;border:none;margin:0;font-size:12px;color:{}\"><thead><tr style=\"background:{card}\">",
        theme::TEXT.hex()
    );
    let side = |at: usize| {
        if at < section.words { "left;overflow-wrap:anywhere" } else { "right;white-space:nowrap" }
    };
    let cell = "border:none;padding:2px 0 2px 10px";
    for (at, column) in section.columns.iter().enumerate() {
        let _ = write!(
            out,
            "<th scope=\"col\" style=\"{cell};font-weight:normal;color:{quiet};text-align:{}\">{}</th>",
            side(at),
            escape(&printable(column))
        );
    }
    out.push_str("</tr></thead><tbody>");
    for row in &section.rows {
        let _ = write!(out, "<tr style=\"background:{card}\">");
        for (at, text) in row.iter().enumerate() {
            let colour = if at > 0 && at < section.words { &quiet } else { "inherit" };
            let _ = write!(
                out,
                "<td style=\"{cell};text-align:{};color:{colour}\">{}</td>",
                side(at),
                escape(&printable(text))
            );
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if !section.note.is_empty() {
        let _ = write!(
            out,
            "<p style=\"margin:4px 0 0 10px;font-size:11px;color:{quiet}\">{}</p>",
            escape(&printable(&section.note))
        );
    }
}

/// One stop with its place in the picture.
struct Placed {
    left: f64,
    top: f64,
    width: f64,
    by: String,
    what: String,
}

/// Ways as boxes and arrows from left to right, in as many lines as they take.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when it could not be drawn.
pub fn ways_svg(ways: &[Vec<Stop>]) -> Result<String> {
    let (mut placed, mut top) = (Vec::new(), 8.0);
    for way in ways {
        let mut left = 0.0;
        for (at, stop) in way.iter().enumerate() {
            let room = WIDTH / 2.0;
            let by = lettering::shorten(&printable(&stop.by), room, 11.0, Face::Mono);
            let what = lettering::shorten(&printable(&stop.what), room, 12.0, Face::Sans);
            let label = lettering::width(&by, 11.0, Face::Mono);
            let width = lettering::width(&what, 12.0, Face::Sans).max(label) + 16.0;
            if at > 0 && left + GAP + width > WIDTH {
                left = GAP;
                top += 2.0 * BOX;
            }
            placed.push((at > 0, Placed { left: left + GAP, top, width, by, what }));
            if at == 0 {
                if let Some((_, first)) = placed.last_mut() {
                    first.left = 0.0;
                }
                left -= GAP;
            }
            left += GAP + width;
        }
        top += 2.0 * BOX + 6.0;
    }
    canvas::draw((WIDTH, top), Letters::Any, |canvas| {
        for (arrow, stop) in &placed {
            let middle = stop.top + BOX / 2.0 + 14.0;
            if *arrow {
                let (from, to) = (stop.left - GAP + 4.0, stop.left - 4.0);
                canvas.line((from, middle), (to, middle), theme::QUIET, 1.2)?;
                canvas.line((to - 5.0, middle - 4.0), (to, middle), theme::QUIET, 1.2)?;
                canvas.line((to - 5.0, middle + 4.0), (to, middle), theme::QUIET, 1.2)?;
            }
            let at = (stop.left + 2.0, stop.top + 6.0);
            canvas.text(&stop.by, at, 11.0, Face::Mono, theme::QUIET, Side::Start)?;
            let corner = (stop.left + stop.width, stop.top + BOX + 14.0);
            canvas.rect((stop.left, stop.top + 14.0), corner, theme::GREY)?;
            let at = (stop.left + 8.0, middle);
            canvas.text(&stop.what, at, 12.0, Face::Sans, theme::TEXT, Side::Start)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let stop = |by: &str, what: &str| Stop { by: by.into(), what: what.into() };
        Listing {
            headline: "One <list>".into(),
            facts: "2 objects".into(),
            sections: vec![Section {
                title: "Names".into(),
                columns: vec!["name".into(), "type".into(), "deep".into()],
                words: 2,
                rows: vec![vec!["df".into(), "a<b>".into(), "10 B".into()]],
                note: "all".into(),
            }],
            ways: vec![vec![stop("notebook", ""), stop("df", "DataFrame"), stop("[3]", "int")]],
        }
    }

    #[test]
    fn text_is_aligned_and_says_each_way() {
        let text = listing_text(&listing());
        assert_eq!(
            text,
            "One <list>\n2 objects\n\nnotebook → df (DataFrame) → [3] (int)\n\nNames\nname  type  deep\ndf    a<b>  10 B\nall\n"
        );
    }

    #[test]
    fn html_is_escaped_and_has_the_picture_with_its_words() {
        let html = listing_html(&listing()).unwrap();
        assert!(html.contains("One &lt;list&gt;") && html.contains("a&lt;b&gt;"), "{html}");
        assert!(html.contains("alt=\"notebook → df (DataFrame) → [3] (int)\""), "{html}");
        assert!(!html.contains("<script") && !html.contains("<svg"));
    }

    #[test]
    fn a_long_way_takes_several_lines() {
        let stop = Stop { by: ".attribute".into(), what: "collections.OrderedDict".into() };
        let short = ways_svg(&[vec![stop.clone()]]).unwrap();
        let long = ways_svg(&[vec![stop; 12]]).unwrap();
        let height = |svg: &str| -> f64 {
            let at = svg.find("height=\"").unwrap() + 8;
            svg[at..at + svg[at..].find('"').unwrap()].parse().unwrap()
        };
        assert!(height(&long) > 2.0 * height(&short));
    }
}
