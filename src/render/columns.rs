//! A table of plain text that fits into the columns of a terminal.

use super::lettering::clip;

/// Columns of a text for which nobody said another number: a terminal's, and a page's of LaTeX.
pub const USUAL: usize = 80;
/// Fewer letters than these tell nothing.
const LEGIBLE: usize = 8;
/// Blanks between two columns.
const GAP: usize = 2;

/// What a column does where there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It is always there, whole.
    Fixed,
    /// Words, cut to so many letters.
    Words(usize),
    /// It is left out; of several the one with the larger number first.
    Optional(u8),
    /// The last one: it takes what the others leave, and optional ones go until that is so much.
    Rest(usize),
}

/// A column of such a table.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// What stands above it.
    pub head: &'a str,
    /// Whether its cells end at its right edge.
    pub right: bool,
    /// What becomes of it in a narrow text.
    pub room: Room,
}

impl<'a> Column<'a> {
    /// Figures that are always there.
    pub fn figures(head: &'a str) -> Column<'a> {
        Column { head, right: true, room: Room::Fixed }
    }

    /// Figures that a narrow text leaves out, those with the larger number first.
    pub fn optional(head: &'a str, order: u8) -> Column<'a> {
        Column { head, right: true, room: Room::Optional(order) }
    }

    /// At most so many letters.
    pub fn words(head: &'a str, letters: usize) -> Column<'a> {
        Column { head, right: false, room: Room::Words(letters) }
    }

    /// Words with all the room that is left, which should be for so many letters; there is one at most,
    /// at the end.
    pub fn rest(head: &'a str, letters: usize) -> Column<'a> {
        Column { head, right: false, room: Room::Rest(letters) }
    }
}

/// The head and the rows, none wider than `width` where that is possible at all.
pub fn lines(columns: &[Column<'_>], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let letters = |text: &str| text.chars().count();
    let widest = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| letters(cell));
        cells.chain([letters(columns[at].head)]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|at| match columns[at].room {
            Room::Words(most) => widest(at).min(most.max(letters(columns[at].head))),
            Room::Rest(_) => 0,
            _ => widest(at),
        })
        .collect();
    let wanted = columns.iter().position(|column| matches!(column.room, Room::Rest(_)));
    let least = wanted.map_or(0, |at| match columns[at].room {
        Room::Rest(letters) => GAP + widest(at).min(letters),
        _ => 0,
    });
    let mut shown: Vec<usize> = (0..columns.len()).filter(|at| Some(*at) != wanted).collect();
    let taken = |shown: &[usize], widths: &[usize]| {
        shown.iter().map(|at| widths[*at]).sum::<usize>() + GAP * shown.len().saturating_sub(1)
    };
    while taken(&shown, &widths) + least > width {
        let order = |at: &usize| match columns[*at].room {
            Room::Optional(order) => order,
            _ => 0,
        };
        match shown.iter().copied().filter(|at| order(at) > 0).max_by_key(order) {
            Some(last) => shown.retain(|at| *at != last),
            None => break,
        }
    }
    let too_wide = taken(&shown, &widths).saturating_sub(width);
    if let Some(at) = shown.iter().copied().find(|at| matches!(columns[*at].room, Room::Words(_))) {
        widths[at] = widths[at].saturating_sub(too_wide).max(LEGIBLE.min(widths[at]));
    }
    if let Some(at) = wanted {
        let left = width.saturating_sub(taken(&shown, &widths) + GAP);
        if left >= LEGIBLE.min(widest(at)) {
            widths[at] = widest(at).min(left);
            shown.push(at);
        }
    }
    let heads: Vec<String> = columns.iter().map(|column| column.head.to_owned()).collect();
    std::iter::once(&heads)
        .chain(rows)
        .map(|row| {
            let cells = shown.iter().map(|&at| {
                let (wide, text) = (widths[at], row.get(at).map_or("", String::as_str));
                let text =
                    if letters(text) > wide { clip(text, wide - 1) } else { text.to_owned() };
                if columns[at].right { format!("{text:>wide$}") } else { format!("{text:<wide$}") }
            });
            cells.collect::<Vec<String>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

/// The text in lines of at most `width` letters, broken at blanks; a longer word has its own line.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(text: [&str; 4]) -> Vec<String> {
        text.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_narrow_table_leaves_out_what_matters_least() {
        let columns = [
            Column::words("", 10),
            Column::figures("peak"),
            Column::optional("blocks", 1),
            Column::rest("source", 16),
        ];
        let rows =
            [cells(["line 1", "2.00 MiB", "12", "x = 1"]), cells(["a.py:12", "0", "3", "y"])];
        let wide = lines(&columns, &rows, 80);
        assert_eq!(
            wide,
            [
                "             peak  blocks  source",
                "line 1   2.00 MiB      12  x = 1",
                "a.py:12         0       3  y"
            ]
        );
        let narrow = lines(&columns, &rows, 26);
        assert_eq!(narrow[1], "line 1   2.00 MiB  x = 1");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide(
            rows in prop::collection::vec(prop::array::uniform4("\\PC{0,30}"), 0..6), width in 40usize..200
        ) {
            let columns = [
                Column::words("name", 12),
                Column { head: "n", right: true, room: Room::Words(8) },
                Column::optional("blocks", 2),
                Column::rest("source", 16),
            ];
            let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
            for line in lines(&columns, &rows, width) {
                prop_assert!(line.chars().count() <= width, "{line}");
            }
        }

        #[test]
        fn a_wrapped_text_is_whole(text in "[a-z]{1,9}( [a-z]{1,9}){0,20}", width in 9usize..40) {
            let lines = wrap(&text, width);
            prop_assert_eq!(lines.join(" "), text);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
        }
    }
}
