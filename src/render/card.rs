//! What every HTML fragment is made of: a card with a headline, facts, headings and pictures.
//!
//! The text that is given is HTML already.

use super::{svg, theme};
use base64::Engine as _;
use std::fmt::Write as _;

/// Begins the card; `</div>` ends it.
pub fn open(out: &mut String) {
    let _ = write!(
        out,
        "<div class=\"memprofile\" style=\"max-width:{}px;box-sizing:border-box;margin:4px 0;padding:14px 18px;background:{};color:{};border:1px solid {};border-radius:8px;font-family:system-ui,sans-serif;font-size:13px;line-height:1.45\">",
        svg::WIDTH + 38.0,
        theme::CARD.hex(),
        theme::TEXT.hex(),
        theme::BORDER.hex()
    );
}

/// The answer, in pieces; `true` marks what matters most.
pub fn headline(out: &mut String, pieces: impl IntoIterator<Item = (String, bool)>) {
    out.push_str("<p style=\"margin:0;font-size:17px;line-height:1.35\">");
    for (piece, strong) in pieces {
        let _ =
            if strong { write!(out, "<strong>{piece}</strong>") } else { write!(out, "{piece}") };
    }
    out.push_str("</p>");
}

/// Figures that are good to know.
pub fn facts(out: &mut String, text: &str) {
    let quiet = theme::QUIET.hex();
    let _ = write!(out, "<p style=\"margin:4px 0 10px;font-size:12px;color:{quiet}\">{text}</p>");
}

/// What stands above a part.
pub fn heading(out: &mut String, text: &str) {
    let _ =
        write!(out, "<p style=\"margin:14px 0 6px;font-size:14px\"><strong>{text}</strong></p>");
}

/// The narrowest that a picture is shown at, in pixels: below it is scrolled, so that its letters can
/// still be read.
const NARROWEST: u32 = 524;

/// Begins what is scrolled sideways where it is wider than the card; [`SCROLLED`] ends it.
///
/// The keyboard has to reach it in every browser (WCAG 2.1.1). Of all that can be scrolled an untrusted
/// JupyterLab leaves `tabindex` to `<a>` alone; without `href` that is no link. It is a stop of the Tab key also
/// where nothing has to be scrolled: only a script could tell, and there is none. Chromium and Firefox would
/// make a stop of it by themselves just where it scrolls, Safari would not; so three stops too many on a wide page,
/// which do nothing, are the price of none too few on a narrow one. What is folded is no stop until it is opened.
pub fn scrolls(out: &mut String) {
    let _ = write!(
        out,
        "<a tabindex=\"0\" style=\"display:block;overflow-x:auto;color:{};text-decoration:none\">",
        theme::TEXT.hex()
    );
}

/// What ends [`scrolls`].
pub const SCROLLED: &str = "</a>";

/// A picture as wide as the card.
pub fn image(out: &mut String, svg: &str, alt: &str) {
    let data = base64::engine::general_purpose::STANDARD.encode(svg);
    scrolls(out);
    let _ = write!(
        out,
        "<img src=\"data:image/svg+xml;base64,{data}\" width=\"{}\" alt=\"{alt}\" style=\"display:block;max-width:100%;min-width:{NARROWEST}px;height:auto;margin:0;background:{}\">{SCROLLED}",
        svg::WIDTH,
        theme::CARD.hex()
    );
}
