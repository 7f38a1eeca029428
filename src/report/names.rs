//! The notebook's names that hold more or less than before the cell.

use crate::profile::{Bytes, NameChange, Profile, SignedBytes};

/// The answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// What grew most first, what shrank most last.
    pub rows: Vec<NameRow>,
    /// Names with smaller changes.
    pub others: u64,
    /// What could not be said, and why; empty where there is nothing of that.
    pub not_compared: String,
}

/// A name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRow {
    /// As in the notebook.
    pub name: String,
    /// Its type without its module.
    pub kind: String,
    /// What it held before: bytes, or that there was no such name.
    pub before: String,
    /// What it holds, or that it is gone.
    pub after: String,
    /// The difference.
    pub grown: String,
    /// Its size.
    pub change: Bytes,
}

/// Rows at most.
const ROWS: usize = 8;
/// A change of fewer bytes has no row.
const WORTH_A_ROW: u64 = 1 << 10;
/// Nor has one below this share of the largest.
const SHARE: f64 = 0.01;
/// Names that are listed as not compared.
const LISTED: usize = 4;

pub(super) fn names(profile: &Profile) -> Names {
    let names = &profile.names;
    let size = |change: &NameChange| change.grown().0.unsigned_abs();
    let mut sizes: Vec<u64> = names.changed.iter().map(size).collect();
    sizes.sort_unstable_by_key(|&size| std::cmp::Reverse(size));
    let largest = sizes.first().copied().unwrap_or(0) as f64;
    let least = sizes.get(ROWS - 1).copied().unwrap_or(0).max(WORTH_A_ROW);
    let worth =
        |change: &&NameChange| size(change) >= least && size(change) as f64 >= SHARE * largest;
    let rows: Vec<NameRow> = names.changed.iter().filter(worth).take(ROWS).map(row).collect();
    let others = names.others + (names.changed.len() - rows.len()) as u64;
    Names { rows, others, not_compared: not_compared(&names.not_compared) }
}

fn row(change: &NameChange) -> NameRow {
    let more = if change.at_least { "at least " } else { "" };
    let known = |bytes: Option<Bytes>, missing: &str| {
        bytes.map_or_else(|| missing.to_owned(), |bytes| bytes.to_string())
    };
    let SignedBytes(grown) = change.grown();
    NameRow {
        name: change.name.clone(),
        kind: change.kind.rsplit('.').next().unwrap_or_default().to_owned(),
        before: known(change.before, "new"),
        after: format!("{more}{}", known(change.after, "gone")),
        grown: format!("{more}{}", SignedBytes(grown)),
        change: Bytes(grown.unsigned_abs()),
    }
}

fn not_compared(names: &[String]) -> String {
    let listed = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => String::new(),
        1..=LISTED => format!("not compared, since too much hangs on it: {listed}"),
        more => {
            format!("not compared, since too much hangs on it: {listed} and {} more", more - LISTED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_compared_is_named() {
        let names: Vec<String> = (0..6).map(|n| format!("n{n}")).collect();
        assert_eq!(not_compared(&[]), "");
        assert!(not_compared(&names[..1]).ends_with(": n0"));
        assert!(not_compared(&names).ends_with(": n0, n1, n2, n3 and 2 more"));
    }

    #[test]
    fn a_row_says_new_gone_and_at_least() {
        let change = |before: Option<u64>, after: Option<u64>, at_least| {
            let [before, after] = [before, after].map(|bytes| bytes.map(Bytes));
            row(&NameChange { name: "x".into(), kind: "a.B".into(), before, after, at_least })
        };
        let new = change(None, Some(2048), true);
        assert_eq!((&*new.kind, &*new.before, &*new.after), ("B", "new", "at least 2.00 KiB"));
        let gone = change(Some(2048), None, false);
        assert_eq!((&*gone.after, &*gone.grown), ("gone", "−2.00 KiB"));
    }
}
