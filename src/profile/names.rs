//! What a notebook's names held before a cell and after it.

use super::{Bytes, SignedBytes};
use serde::{Deserialize, Serialize};

/// The names whose memory changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Those that changed, what grew most first and what shrank most last.
    pub changed: Vec<NameChange>,
    /// Names with smaller changes, which have no row.
    #[serde(default)]
    pub others: u64,
    /// Names that reach too much to be looked at in the time that a cell may be made to wait.
    #[serde(default)]
    pub not_compared: Vec<String>,
}

/// A name before and after. Its bytes are those of all that it reaches and no name before it does, so
/// the names of a notebook can be added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameChange {
    /// The name.
    pub name: String,
    /// The full name of the type of what it refers to, or did.
    pub kind: String,
    /// What it held before; `None`: there was no such name.
    pub before: Option<Bytes>,
    /// What it holds; `None`: the name is gone.
    pub after: Option<Bytes>,
    /// Whether it may hold more than `after`: there was no time to look at all of it.
    #[serde(default)]
    pub at_least: bool,
}

impl NameChange {
    /// What it holds more than before.
    pub fn grown(&self) -> SignedBytes {
        let bytes = |of: Option<Bytes>| i64::try_from(of.unwrap_or_default().0).unwrap_or(i64::MAX);
        SignedBytes(bytes(self.after) - bytes(self.before))
    }
}

impl Names {
    /// The most names with a row, and the most that are listed as not compared.
    pub const MOST: usize = 200;

    /// Puts changes in order, and the smallest of too many among the others. What seems to have shrunk and
    /// was not looked at to its end is not compared: the rest may be more than what has gone.
    pub fn new(mut changed: Vec<NameChange>, mut not_compared: Vec<String>) -> Names {
        changed.retain(|change| {
            let is_told = !change.at_least || change.grown().0 > 0;
            not_compared.extend((!is_told).then(|| change.name.clone()));
            is_told
        });
        let found = changed.len();
        changed.sort_by_key(|change| std::cmp::Reverse(change.grown().0.unsigned_abs()));
        changed.truncate(Names::MOST);
        changed.sort_by(|a, b| b.grown().cmp(&a.grown()).then_with(|| a.name.cmp(&b.name)));
        not_compared.sort();
        not_compared.truncate(Names::MOST);
        Names { others: (found - changed.len()) as u64, changed, not_compared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, before: Option<u64>, after: Option<u64>) -> NameChange {
        let [before, after] = [before, after].map(|bytes| bytes.map(Bytes));
        NameChange { name: name.into(), kind: "list".into(), before, after, at_least: false }
    }

    #[test]
    fn what_grew_most_is_first_and_what_shrank_most_is_last() {
        let changes = vec![
            change("gone", Some(90), None),
            change("new", None, Some(50)),
            change("more", Some(50), Some(60)),
        ];
        let names = Names::new(changes, Vec::new());
        let rows: Vec<_> = names.changed.iter().map(|c| (&*c.name, c.grown().0)).collect();
        assert_eq!(rows, [("new", 50), ("more", 10), ("gone", -90)]);
    }

    #[test]
    fn at_least_less_is_no_change() {
        let partly = |name, before, after| NameChange {
            at_least: true,
            ..change(name, Some(before), Some(after))
        };
        let changes = vec![partly("less", 50, 40), partly("as much", 7, 7), partly("more", 1, 2)];
        let names = Names::new(changes, vec!["other".into()]);
        assert_eq!(names.changed.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["more"]);
        assert_eq!(names.not_compared, ["as much", "less", "other"]);
    }

    #[test]
    fn of_too_many_the_smallest_have_no_row() {
        let changes = (0..300).map(|n| change(&format!("n{n}"), None, Some(n))).collect();
        let names = Names::new(changes, Vec::new());
        assert_eq!((names.changed.len(), names.others), (Names::MOST, 100));
        assert_eq!(names.changed[0].name, "n299");
    }
}
