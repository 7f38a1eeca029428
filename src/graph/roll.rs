//! Which objects there were: what is new, gone or still there from one moment to another.
//!
//! An object is known by its place and a fingerprint, which an object that took its place later may share.

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub place: usize,
    /// What does not change of it while it lives, as far as that can be told.
    pub print: u32,
    /// The number of its type, as its roll has them.
    pub kind: u32,
    /// Its shallow size.
    pub bytes: u64,
}

/// The objects of one moment, in the order of their places.
#[derive(Debug, Default)]
pub struct Roll(Vec<Entry>);

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It was not there before.
    New(&'a Entry),
    /// It is not there any more.
    Gone(&'a Entry),
    /// It was and is there.
    Stayed(&'a Entry, &'a Entry),
}

impl Roll {
    /// Of objects in any order, no two of them in one place.
    pub fn new(mut entries: Vec<Entry>) -> Roll {
        entries.sort_unstable_by_key(|entry| entry.place);
        entries.shrink_to_fit();
        Roll(entries)
    }

    /// Calls `note` with each object of both rolls, by their places.
    pub fn compare<'a>(&'a self, now: &'a Roll, mut note: impl FnMut(Fate<'a>)) {
        let (mut before, mut after) = (self.0.iter().peekable(), now.0.iter().peekable());
        loop {
            match (before.peek(), after.peek()) {
                (Some(old), Some(new)) if old.place == new.place => {
                    if old.print == new.print {
                        note(Fate::Stayed(old, new));
                    } else {
                        note(Fate::Gone(old));
                        note(Fate::New(new));
                    }
                    before.next();
                    after.next();
                }
                (Some(old), new) if new.is_none_or(|new| old.place < new.place) => {
                    note(Fate::Gone(old));
                    before.next();
                }
                (_, Some(new)) => {
                    note(Fate::New(new));
                    after.next();
                }
                (_, None) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn roll(objects: &BTreeMap<usize, u32>) -> Roll {
        let entry = |(&place, &print)| Entry { place, print, kind: 0, bytes: place as u64 };
        // In any order: the reverse one.
        Roll::new(objects.iter().rev().map(entry).collect())
    }

    proptest! {
        #[test]
        fn each_object_has_one_fate(
            before in prop::collection::btree_map(0_usize..40, 0_u32..3, 0..30),
            after in prop::collection::btree_map(0_usize..40, 0_u32..3, 0..30),
        ) {
            let (mut new, mut gone, mut stayed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let (old, now) = (roll(&before), roll(&after));
            old.compare(&now, |fate| {
                let fresh = match fate {
                    Fate::New(entry) => new.insert((entry.place, entry.print)),
                    Fate::Gone(entry) => gone.insert((entry.place, entry.print)),
                    Fate::Stayed(entry, _) => stayed.insert((entry.place, entry.print)),
                };
                assert!(fresh, "told twice: {fate:?}");
            });
            let [was, is]: [BTreeSet<(usize, u32)>; 2] =
                [before, after].map(|objects| objects.into_iter().collect());
            prop_assert_eq!(new, is.difference(&was).copied().collect());
            prop_assert_eq!(gone, was.difference(&is).copied().collect());
            prop_assert_eq!(stayed, was.intersection(&is).copied().collect());
        }
    }
}
