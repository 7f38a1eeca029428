//! What a front end gets: a report in several forms, small enough to stay in a notebook.

use super::{Png, fragment, frame, frame_picture, png, text};
use crate::error::Result;
use crate::report::Report;
use crate::report::frames::Frame;

/// Bytes of an output at most, whatever the cell: all its forms with their descriptions, as a notebook
/// writes them into its file.
pub const OUTPUT: usize = 100_000;

/// Which forms are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Plain text, in so many columns.
    pub text: Option<usize>,
    /// Whether the text has colours.
    pub color: bool,
    /// The HTML fragment.
    pub html: bool,
    /// The picture.
    pub png: bool,
}

/// The forms that were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// See [`super::text`].
    pub text: Option<String>,
    /// See [`super::html`].
    pub html: Option<String>,
    /// See [`super::png`], with its [`super::alt_text`].
    pub png: Option<(Png, String)>,
}

/// Bytes of a text within a string of JSON, with the quotation marks: as nbformat writes it, letters
/// beyond ASCII as they are, and every line a string of its own with its indentation.
fn in_json(text: &str) -> usize {
    let escaped: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 2,
            b'\n' => 2 + INDENT,
            0..0x20 => 6,
            _ => 1,
        })
        .sum();
    escaped + INDENT
}

/// Quotation marks, comma, line end and the blanks before a line of an output in a notebook's file.
const INDENT: usize = 12;
/// The names of the forms, and what stands around them.
const FRAME: usize = 600;

/// What is drawn in every form.
pub(super) trait Drawn {
    /// Plain text of `width` columns; with `color`, ANSI escapes mark what matters.
    fn text(&self, width: usize, color: bool) -> String;
    /// A fragment of HTML.
    fn html(&self) -> Result<String>;
    /// A picture of at most `largest` bytes.
    fn png(&self, largest: usize) -> Result<Png>;
    /// What the picture shows, in words.
    fn alt_text(&self) -> String;
}

impl Drawn for Report {
    fn text(&self, width: usize, color: bool) -> String {
        text::text(self, width, color)
    }

    fn html(&self) -> Result<String> {
        fragment::fragment(self)
    }

    fn png(&self, largest: usize) -> Result<Png> {
        png::png(self, largest)
    }

    fn alt_text(&self) -> String {
        text::alt_text(self)
    }
}

impl Drawn for Frame {
    fn text(&self, width: usize, color: bool) -> String {
        frame::text(self, width, color)
    }

    fn html(&self) -> Result<String> {
        frame::html(self)
    }

    fn png(&self, largest: usize) -> Result<Png> {
        frame_picture::png(self, largest)
    }

    fn alt_text(&self) -> String {
        frame::alt_text(self)
    }
}

pub(super) fn bundle(drawn: &impl Drawn, wanted: Wanted) -> Result<Bundle> {
    let text = wanted.text.map(|width| drawn.text(width, wanted.color));
    let html = wanted.html.then(|| drawn.html()).transpose()?;
    let picture = wanted.png.then(|| {
        let alt = drawn.alt_text();
        let forms = text.iter().chain(&html).map(|form| in_json(form));
        // The description stands there twice: under the name of its form, and as VS Code reads it.
        let taken = forms.sum::<usize>() + 2 * in_json(&alt) + FRAME;
        // What is left for it, as base64.
        let room = OUTPUT.saturating_sub(taken) / 4 * 3;
        drawn.png(room).map(|png| (png, alt))
    });
    Ok(Bundle { text, html, png: picture.transpose()? })
}
