//! What a process that runs cells says of itself, again and again, for whoever is there when it is gone.
//!
//! It is told by a letter of bytes (`hooks::segment`): JSON, of one version on both sides, since a process
//! and the one that started it come from the same installation.

use super::units::{Bytes, Nanos, SignedBytes};
use serde::{Deserialize, Serialize};

/// All that is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// The process.
    pub process: u32,
    /// When it was written, in seconds since 1970.
    pub written_at: f64,
    /// Resident set size.
    pub rss: Bytes,
    /// The part of it that is of no file: what the kernel cannot drop.
    pub anonymous: Bytes,
    /// The cell that runs, or the last one that ran.
    pub cell: Option<CellNow>,
    /// The limit, if there is one.
    pub limit: Option<Limit>,
    /// The lines that hold most, the largest first.
    pub holders: Vec<Holder>,
    /// The time before: [`MOMENTS`] at most, in order.
    pub moments: Vec<Moment>,
}

/// A cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CellNow {
    /// The `msg_id` of the `execute_request`; empty where there is none.
    pub message: String,
    /// What a reader calls it: `cell [12]`.
    pub label: String,
    /// When it began, in seconds since 1970.
    pub started_at: f64,
    /// How long it has been running.
    pub elapsed: Nanos,
    /// Whether it has ended.
    pub ended: bool,
    /// Resident set size when it began.
    pub start_rss: Bytes,
    /// Bytes in use above its start.
    pub footprint: SignedBytes,
    /// The most of them.
    pub peak: Bytes,
    /// The line of the user's own that allocated last.
    pub line: Option<Place>,
    /// The line of the cell that its thread runs: also one that allocates nothing. `None` while it runs none,
    /// as between two steps of a coroutine, or where that cannot be seen.
    #[serde(default)]
    pub running: Option<Place>,
    /// The display in which whoever reads this shall show how it goes, if it shall be shown.
    #[serde(default)]
    pub display: Option<String>,
}

/// A line of the user's own code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its file, as in a traceback.
    pub file: String,
    /// What a reader calls the file: `cell [12]`.
    pub label: String,
    /// Its number, from 1.
    pub line: u32,
    /// The function that it is in; `<module>` for a cell's own lines.
    pub function: String,
}

/// A line, and what it holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The line.
    pub place: Place,
    /// Live bytes that it allocated; an estimate where allocations are sampled.
    pub bytes: Bytes,
}

/// A moment of the cell's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, i64, u64)", into = "(u64, i64, u64)")]
pub struct Moment {
    /// Since the cell began.
    pub at: Nanos,
    /// Bytes in use above its start.
    pub footprint: SignedBytes,
    /// Resident set size.
    pub rss: Bytes,
}

impl From<(u64, i64, u64)> for Moment {
    fn from((at, footprint, rss): (u64, i64, u64)) -> Moment {
        Moment { at: Nanos(at), footprint: SignedBytes(footprint), rss: Bytes(rss) }
    }
}

impl From<Moment> for (u64, i64, u64) {
    fn from(moment: Moment) -> (u64, i64, u64) {
        (moment.at.0, moment.footprint.0, moment.rss.0)
    }
}

/// How much memory the process may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Anonymous resident bytes that a cell may reach.
    pub bytes: Bytes,
    /// Whose it is.
    pub whose: Whose,
    /// What came of it in this cell.
    pub state: LimitState,
    /// Anonymous resident bytes from which on the process is to be ended: native code has not come back.
    pub last: Bytes,
}

/// Who set a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The user.
    User,
    /// It is near what the machine has.
    Machine,
    /// It is near what the control group may take.
    ControlGroup,
}

/// What came of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitState {
    /// It was not reached.
    Below,
    /// A single request that would have gone beyond it was refused.
    Refused,
    /// It was passed, and the cell is to be ended by an exception; it may be in native code still.
    Raised,
}

/// The environment variable by which a process learns the number of the descriptor of its segment.
pub const VARIABLE: &str = "MEMPROFILE_TELEMETRY_FD";

/// How many moments are told.
pub const MOMENTS: usize = 256;

/// How many lines are told.
pub const HOLDERS: usize = 12;

/// A name of this many characters at most is told whole.
const NAME: usize = 200;

impl Telemetry {
    /// The letter, of `room` bytes at most: what does not fit is left out, oldest moments first.
    pub fn into_letter(self, room: usize) -> Vec<u8> {
        let mut short = self;
        if let Some(cell) = &mut short.cell {
            cut(&mut cell.message);
            cut(&mut cell.label);
            cell.display.iter_mut().for_each(cut);
            cell.line.iter_mut().chain(&mut cell.running).for_each(Place::cut);
        }
        short.holders.truncate(HOLDERS);
        short.holders.iter_mut().for_each(|holder| holder.place.cut());
        short.moments.drain(..short.moments.len().saturating_sub(MOMENTS));
        loop {
            let letter = serde_json::to_vec(&short).unwrap_or_default();
            if letter.len() <= room {
                return letter;
            }
            if short.moments.is_empty() && short.holders.pop().is_none() {
                return Vec::new();
            }
            short.moments.drain(..short.moments.len().div_ceil(2));
        }
    }

    /// Reads a letter; `None` for anything else.
    pub fn from_letter(letter: &[u8]) -> Option<Telemetry> {
        serde_json::from_slice(letter).ok()
    }
}

impl Place {
    fn cut(&mut self) {
        cut(&mut self.file);
        cut(&mut self.label);
        cut(&mut self.function);
    }
}

/// Keeps the end, where file names differ.
fn cut(name: &mut String) {
    let kept = name.char_indices().rev().nth(NAME - 1).map_or(0, |(at, _)| at);
    if kept > 0 {
        name.replace_range(..kept, "…");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Place> {
        ("\\PC{0,300}", "\\PC{0,20}", any::<u32>(), "\\PC{0,20}")
            .prop_map(|(file, label, line, function)| Place { file, label, line, function })
    }

    fn telemetry() -> impl Strategy<Value = Telemetry> {
        let cell = (("\\PC{0,40}", "\\PC{0,40}"), any::<(u64, u64, i64, bool)>(), place());
        let moments = proptest::collection::vec(any::<(u64, i64, u64)>(), 0..300);
        let holders = proptest::collection::vec((place(), any::<u64>()), 0..20);
        (any::<(u32, u64, u64)>(), proptest::option::of(cell), holders, moments).prop_map(
            |((process, rss, anonymous), cell, holders, moments)| Telemetry {
                process,
                written_at: 1.7e9,
                rss: Bytes(rss),
                anonymous: Bytes(anonymous),
                cell: cell.map(|((message, label), (elapsed, peak, footprint, ended), line)| {
                    CellNow {
                        message,
                        label,
                        started_at: 1.5e9,
                        elapsed: Nanos(elapsed),
                        ended,
                        start_rss: Bytes(1),
                        footprint: SignedBytes(footprint),
                        peak: Bytes(peak),
                        running: Some(line.clone()),
                        line: Some(line),
                        display: None,
                    }
                }),
                limit: None,
                holders: holders
                    .into_iter()
                    .map(|(place, bytes)| Holder { place, bytes: Bytes(bytes) })
                    .collect(),
                moments: moments.into_iter().map(Moment::from).collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_told_is_read(told in telemetry()) {
            let read = Telemetry::from_letter(&told.clone().into_letter(32 << 10)).expect("it fits");
            prop_assert_eq!(read.process, told.process);
            prop_assert_eq!(read.cell.is_some(), told.cell.is_some());
            prop_assert_eq!(read.holders.len(), told.holders.len().min(HOLDERS));
            prop_assert!(told.moments.ends_with(&read.moments));
            let short = told.moments.len() <= MOMENTS && told.moments.len() < 100;
            prop_assert!(!short || read.moments == told.moments);
        }

        #[test]
        fn a_small_room_keeps_the_newest(told in telemetry(), room in 0usize..4000) {
            let letter = told.clone().into_letter(room);
            prop_assert!(letter.len() <= room);
            if let Some(read) = Telemetry::from_letter(&letter) {
                prop_assert!(told.moments.ends_with(&read.moments));
            }
        }

        #[test]
        fn other_bytes_are_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Telemetry::from_letter(&bytes), None);
        }
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        let mut name = "é".repeat(NAME + 50) + "end.py";
        cut(&mut name);
        assert!(name.starts_with('…') && name.ends_with("end.py"));
        assert_eq!(name.chars().count(), NAME + 1);
        let mut short = "cell [1]".to_owned();
        cut(&mut short);
        assert_eq!(short, "cell [1]");
    }
}
