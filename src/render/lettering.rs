//! Text that is safe to draw: without control characters, and known to fit.
//!
//! Widths are those of DejaVu Sans, which the PNG embeds. The other families that a browser may
//! take instead are narrower, so what fits here fits there.

/// A way of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The usual one.
    Sans,
    /// For what matters.
    Bold,
    /// For source.
    Mono,
}

/// Advance widths of U+0020 to U+007E in thousandths of an em.
const SANS: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];
/// The same, bold.
const BOLD: [u16; 95] = [
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683,
    683, 821, 837, 372, 372, 775, 637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771,
    724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665,
    343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
];

fn advance(c: char, face: Face) -> f64 {
    let code = c as u32;
    let thousandths = match (code, face) {
        (0x20..=0x7E, Face::Sans) => SANS[code as usize - 0x20],
        (0x20..=0x7E, Face::Bold) => BOLD[code as usize - 0x20],
        (0x20..=0x7E, Face::Mono) => 602,
        (0x300..=0x36F, _) => 0,
        (0..0x1100, Face::Mono) => 602,
        (0..0x1100, _) => 780,
        // Hangul, CJK, emoji: a full em, and emoji often more.
        (0x1100..=0x115F | 0x2E80..=0xFE6F | 0xFF00..=0xFF60, _) => 1000,
        (0x1F000.., _) => 1400,
        _ => 1000,
    };
    f64::from(thousandths) / 1000.0
}

/// The width of a text, at most, in the unit of `size`.
pub fn width(text: &str, size: f64, face: Face) -> f64 {
    text.chars().map(|c| advance(c, face)).sum::<f64>() * size
}

/// The text, cut with an ellipsis where it is wider than `room`; empty when not even two
/// letters fit.
pub fn shorten(text: &str, room: f64, size: f64, face: Face) -> String {
    if width(text, size, face) <= room {
        return text.to_owned();
    }
    let mut left = room - size * advance('…', face);
    let mut cut = String::new();
    for c in text.chars() {
        left -= size * advance(c, face);
        if left < 0.0 {
            break;
        }
        cut.push(c);
    }
    let cut = cut.trim_end();
    if cut.chars().count() < 2 { String::new() } else { format!("{cut}…") }
}

/// The text in lines no wider than `room`, broken at blanks.
pub fn wrap(text: &str, room: f64, size: f64, face: Face) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line)
                if width(line, size, face) + width(word, size, face) + size * 0.4 <= room =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| shorten(&line, room, size, face)).collect()
}

/// The text with nothing in it that a reader cannot see: tabs are blanks, and every character
/// that controls something (and those that XML forbids) is U+FFFD. Text direction too: source
/// must not be able to show itself in another order than Python reads it.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push_str("    "),
            '\n' | '\r' => shown.push(' '),
            '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
                if c != '\u{200D}' =>
            {
                shown.push('\u{FFFD}');
            }
            '\u{AD}'
            | '\u{061C}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{FFFE}'
            | '\u{FFFF}' => {
                shown.push('\u{FFFD}');
            }
            c if c.is_control() => shown.push('\u{FFFD}'),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether the embedded fonts have a letter.
fn embedded(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{A0}'..='\u{17F}' | 'Α'..='Ρ' | 'Σ'..='Ω' | 'α'..='ω' | 'Ё'
        | 'А'..='я' | 'ё' | '\u{2010}'..='\u{2023}' | '…' | '‰' | '′' | '″' | '€' | '←'..='↓'
        | '−' | '√' | '∞' | '≈' | '≠' | '≤' | '≥' | '⋯' | '▁'..='█' | '▲' | '●' | '\u{FFFD}'
        | '□')
}

/// The text with a box for every letter that the embedded fonts do not have.
pub fn with_embedded_letters(text: &str) -> String {
    text.chars().map(|c| if embedded(c) { c } else { '□' }).collect()
}

/// Escapes text for HTML, between tags and in quoted attributes, after [`printable`].
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// What a figure must not be parted from.
const UNITS: [&str; 11] = ["B", "KiB", "MiB", "GiB", "TiB", "ns", "µs", "ms", "s", "min", "bytes"];

/// The text with no figure parted from its unit.
pub fn unparted(text: &str) -> String {
    let mut words = text.split(' ');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let unit = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let figure = out.ends_with(|c: char| c.is_ascii_digit());
        out.push(if figure && UNITS.contains(&unit) { '\u{A0}' } else { ' ' });
        out.push_str(word);
    }
    out
}

/// At most `letters` letters, with an ellipsis where some were cut.
pub fn clip(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_is_drawn() {
        assert_eq!(printable("a\tb\u{0}c\u{1b}[31m"), "a    b\u{FFFD}c\u{FFFD}[31m");
        assert_eq!(printable("if x:\u{202E}y"), "if x:\u{FFFD}y");
        assert_eq!(escape("<b>&\"'"), "&lt;b&gt;&amp;&quot;&#39;");
    }

    #[test]
    fn what_is_cut_fits() {
        for face in [Face::Sans, Face::Bold, Face::Mono] {
            for room in 0..300 {
                let cut = shorten("df.pivot_table(“größe”, 数据, 🐼)", f64::from(room), 11.0, face);
                assert!(width(&cut, 11.0, face) <= f64::from(room));
            }
        }
    }

    #[test]
    fn letters_are_counted_not_bytes() {
        assert_eq!(clip("数据数据", 2), "数据…");
        assert_eq!(with_embedded_letters("a数"), "a□");
    }
}
