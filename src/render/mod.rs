//! Ink: a report as text, SVG, HTML and PNG.
//!
//! Everything that comes from the user's code (source, names, titles) goes through
//! [`lettering`] before it is drawn, and nothing needs a script, a font of the system or the
//! network to be read.

mod axis;
mod breakdown;
mod bundle;
mod canvas;
mod card;
mod chart;
mod children;
mod columns;
mod condense;
mod data;
mod death;
mod details;
mod diff;
mod drawn_table;
mod forked;
mod fragment;
mod frame;
mod frame_picture;
mod icicle;
mod ledger;
mod lettering;
mod listing;
mod live;
mod names;
mod page;
mod png;
mod rows;
mod stacks;
mod svg;
mod table;
mod text;
mod theme;
mod ways;

pub use bundle::{Bundle, OUTPUT, Wanted};
pub use columns::USUAL;
pub use death::{death_html, death_text};
pub use listing::{listing_html, listing_text};
pub use live::{live_html, live_text};
pub use png::Png;
pub use ways::{rings_svg, ways_svg};

use crate::error::Result;
use crate::profile::Profile;
use crate::report::frames::Frame;
use crate::report::{Diff, Report};

/// Plain text of 10 to 20 lines of at most `width` letters, but never less than 60; with `color`, ANSI
/// escapes mark what matters.
pub fn text(report: &Report, width: usize, color: bool) -> String {
    text::text(report, width, color)
}

/// The report in all the forms that are wanted, together of at most [`OUTPUT`] bytes.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when a picture could not be drawn.
pub fn bundle(report: &Report, wanted: Wanted) -> Result<Bundle> {
    bundle::bundle(report, wanted)
}

/// The verdict as one line of plain text.
pub fn line(report: &Report) -> String {
    text::line(report)
}

/// What a reader who does not see the picture should know of it.
pub fn alt_text(report: &Report) -> String {
    text::alt_text(report)
}

/// One HTML fragment of at most 60 kB that needs no script and loses nothing of its meaning
/// with its styles.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when a picture could not be drawn.
pub fn html(report: &Report) -> Result<String> {
    fragment::fragment(report)
}

/// A whole HTML page to explore: a moment of the timeline, sortable tables, a flame graph to zoom and
/// search. One file that needs no network; a report from [`Report::unfolded`] has the whole graph.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when a picture could not be drawn.
pub fn page(report: &Report) -> Result<String> {
    page::page(report)
}

/// The whole picture as SVG.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when it could not be drawn.
pub fn svg(report: &Report) -> Result<String> {
    svg::picture(report, svg::WHOLE).map(|(svg, _)| svg)
}

/// The whole picture as a PNG of at most `largest` bytes, and never more than 60 kB, at twice the
/// resolution. Where there is too little room it is drawn with fewer colours, then with less in it,
/// then at the simple resolution.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when it could not be drawn.
pub fn png(report: &Report, largest: usize) -> Result<Png> {
    png::png(report, largest)
}

/// What a frame holds, as plain text of `width` columns; with `color`, ANSI escapes mark what matters.
pub fn frame_text(frame: &Frame, width: usize, color: bool) -> String {
    frame::text(frame, width, color)
}

/// What a frame holds, as one line.
pub fn frame_line(frame: &Frame) -> String {
    frame::line(frame)
}

/// What a frame holds, as an HTML fragment of at most 60 kB, as [`html`] makes it of a profile.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when the picture could not be drawn.
pub fn frame_html(frame: &Frame) -> Result<String> {
    frame::html(frame)
}

/// What a frame holds in all the forms that are wanted, together of at most [`OUTPUT`] bytes.
///
/// # Errors
/// [`crate::error::Error::Drawing`] when a picture could not be drawn.
pub fn frame_bundle(frame: &Frame, wanted: Wanted) -> Result<Bundle> {
    bundle::bundle(frame, wanted)
}

/// A comparison as text of `width` columns: the `top` lines that changed most, the rest as one row.
pub fn diff_text(diff: &Diff, top: usize, width: usize) -> String {
    diff::text(diff, top, width)
}

/// A comparison as one HTML fragment, made as that of a report is.
pub fn diff_html(diff: &Diff, top: usize) -> String {
    diff::html(diff, top)
}

/// The profile for speedscope (<https://www.speedscope.app>): JSON, in bytes.
pub fn speedscope(profile: &Profile) -> String {
    stacks::speedscope(profile)
}

/// What was held at the peak as collapsed stacks: `outer;inner bytes`, a line for each stack.
pub fn collapsed(profile: &Profile) -> String {
    stacks::collapsed(profile)
}
