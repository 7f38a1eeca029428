//! What became of a cell whose process is gone: told by what others saw of it.

use crate::profile::telemetry::{CellNow, Place};
use crate::profile::{Bytes, Nanos};

/// The end of a process, ready to draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Death {
    /// What happened, as one sentence.
    pub headline: String,
    /// Why, and whose limit it was, in one or two sentences.
    pub cause: String,
    /// Where it was, the innermost line first.
    pub places: Vec<Stand>,
    /// Resident set size over the last seconds, in order; times count from the cell's start.
    pub curve: Vec<(Nanos, Bytes)>,
    /// What was the most that it could have, with its name.
    pub limit: Option<(String, Bytes)>,
    /// Lines that held most, the largest first.
    pub holders: Vec<(String, Bytes)>,
    /// What the user does next.
    pub next: String,
}

/// A line that was running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stand {
    /// As `line 3` or `utils.py:12 in load`.
    pub label: String,
    /// The line's text; may be empty.
    pub source: String,
}

impl Stand {
    /// A line that a process told of, for a reader who looks at the cell; `code` is the cell's source.
    pub fn of(place: &Place, cell: &CellNow, code: &str) -> Stand {
        let within = match place.function.as_str() {
            "<module>" | "" => String::new(),
            function => format!(" in {function}"),
        };
        if place.label == cell.label {
            let line = (place.line as usize).checked_sub(1).and_then(|at| code.lines().nth(at));
            let source = line.unwrap_or_default().trim().to_owned();
            return Stand { label: format!("line {}{within}", place.line), source };
        }
        let label = format!("{}, line {}{within}", place.label, place.line);
        Stand { label, source: String::new() }
    }

    /// In one piece.
    pub fn words(self) -> String {
        let Stand { label, source } = self;
        if source.is_empty() { label } else { format!("{label}: {source}") }
    }
}

impl Death {
    /// The last that was seen of its memory, and the most.
    pub fn last_and_peak(&self) -> Option<(Bytes, Bytes)> {
        let last = self.curve.last()?.1;
        Some((last, self.curve.iter().map(|(_, held)| *held).max()?))
    }

    /// How long the curve is.
    pub fn span(&self) -> Nanos {
        match (self.curve.first(), self.curve.last()) {
            (Some((from, _)), Some((to, _))) => Nanos(to.0.saturating_sub(from.0)),
            _ => Nanos(0),
        }
    }
}
