//! A listing as text and as an HTML fragment in the style of the report.

use super::card;
use super::columns::{self, Column};
use super::lettering::{escape, printable};
use super::table::{self, Table};
use super::ways::{ring_sentence, rings_svg, sentence, ways_svg};
use crate::error::Result;
use crate::report::{Listing, Section};

/// Letters of a cell of words in the text.
const WIDEST: usize = 44;

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
    for ring in &listing.rings {
        out.push(String::new());
        out.push(printable(&ring.caption));
        out.push(printable(&ring_sentence(ring)));
    }
    for section in &listing.sections {
        out.push(String::new());
        out.extend(section_text(section));
    }
    out.join("\n") + "\n"
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
    if !listing.rings.is_empty() {
        let alt: Vec<String> = listing
            .rings
            .iter()
            .map(|ring| format!("{}: {}", ring.caption, ring_sentence(ring)))
            .collect();
        card::image(&mut out, &rings_svg(&listing.rings)?, &html(&alt.join("; ")));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Ring, Stop};

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
            rings: vec![Ring { caption: "1 object".into(), stops: vec![stop("[0]", "list")] }],
        }
    }

    #[test]
    fn text_is_aligned_and_says_each_way() {
        let text = listing_text(&listing());
        assert_eq!(
            text,
            "One <list>\n2 objects\n\nnotebook → df (DataFrame) → [3] (int)\n\n1 object\nlist → [0] (the first one)\n\nNames\nname  type  deep\ndf    a<b>  10 B\nall\n"
        );
    }

    #[test]
    fn html_is_escaped_and_has_the_picture_with_its_words() {
        let html = listing_html(&listing()).unwrap();
        assert!(html.contains("One &lt;list&gt;") && html.contains("a&lt;b&gt;"), "{html}");
        assert!(html.contains("alt=\"notebook → df (DataFrame) → [3] (int)\""), "{html}");
        assert!(html.contains("alt=\"1 object: list → [0] (the first one)\""), "{html}");
        assert!(!html.contains("<script") && !html.contains("<svg"));
    }
}
