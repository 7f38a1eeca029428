//! A listing as text and as an HTML fragment in the style of the report.

use super::canvas::{self, Letters, Side};
use super::card;
use super::columns::{self, Column};
use super::lettering::{self, Face, escape, printable};
use super::svg::WIDTH;
use super::table::{self, Table};
use super::theme;
use crate::error::Result;
use crate::report::{Listing, Section, Stop};
use std::fmt::Write as _;

/// Letters of a cell of words in the text.
const WIDEST: usize = 44;
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
    let rows: Vec<Vec<String>> =
        section.rows.iter().map(|row| row.iter().map(|text| printable(text)).collect()).collect();
    let columns: Vec<Column<'_>> =
        section
            .columns
            .iter()
            .enumerate()
            .map(|(at, head)| {
                if at < section.words { Column::words(head, WIDEST) } else { Column::figures(head) }
            })
            .collect();
    let mut out = Vec::new();
    if !section.title.is_empty() {
        out.push(printable(&section.title));
    }
    out.extend(columns::lines(&columns, &rows, usize::MAX));
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
    let html = |text: &str| escape(&printable(text));
    let mut out = String::new();
    card::open(&mut out);
    card::headline(&mut out, [(html(&listing.headline), true)]);
    if !listing.facts.is_empty() {
        card::facts(&mut out, &html(&listing.facts));
    }
    if !listing.ways.is_empty() {
        let alt: Vec<String> = listing.ways.iter().map(|way| sentence(way)).collect();
        card::image(&mut out, &ways_svg(&listing.ways)?, &html(&alt.join("; ")));
    }
    for section in &listing.sections {
        section_html(&mut out, section);
    }
    out.push_str("</div>");
    Ok(out)
}

fn section_html(out: &mut String, section: &Section) {
    let html = |text: &String| escape(&printable(text));
    if !section.title.is_empty() {
        card::heading(out, &html(&section.title));
    }
    let table = Table { words: section.words, wraps: true, fits: false };
    let columns: Vec<String> = section.columns.iter().map(html).collect();
    table.begin(out, columns.iter().map(String::as_str));
    for row in &section.rows {
        let cells: Vec<String> = row.iter().map(html).collect();
        table.row(out, &cells, false);
    }
    table.end(out);
    if !section.note.is_empty() {
        table::note_below(out, &html(&section.note));
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
            if !stop.by.is_empty() {
                let at = (stop.left + 2.0, stop.top + 6.0);
                canvas.text(&stop.by, at, 11.0, Face::Mono, theme::QUIET, Side::Start)?;
            }
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
    fn no_box_is_empty() {
        let first = Stop { by: "the names".into(), what: String::new() };
        let svg = ways_svg(&[vec![first]]).unwrap();
        assert!(svg.contains("the names") && !svg.contains(super::super::canvas::MONO), "{svg}");
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
