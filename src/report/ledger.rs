//! Where the growth of the resident set went, in rows that add up to it.

use crate::profile::{Balance, Bytes, Keeper, Profile, SignedBytes};

/// The rows of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// What it went into; rows without any bytes are left out.
    pub rows: Vec<LedgerRow>,
    /// The growth itself at the peak and at the end: the sums of the rows.
    pub resident: [SignedBytes; 2],
    /// What did not come back and who keeps it, when that is worth its words.
    pub kept: Option<String>,
    /// Why a row is below zero, where one is.
    pub notes: Vec<&'static str>,
}

/// A row: one kind of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow {
    /// What it is.
    pub label: &'static str,
    /// Bytes above the start, at the peak and at the end.
    pub bytes: [SignedBytes; 2],
}

type Part = (&'static str, fn(&Balance) -> SignedBytes);

const PARTS: [Part; 10] = [
    ("Python’s small objects", |b| b.objects),
    ("free places in Python’s arenas", |b| b.arenas),
    ("native blocks and mappings in use", |b| b.blocks),
    ("libraries with allocators of their own", |b| b.pools),
    ("memory from before the start, written to", |b| b.earlier),
    ("files mapped into memory", |b| b.files),
    ("data of libraries that were loaded", |b| b.libraries),
    ("memprofile’s own tables", |b| b.recorder),
    ("freed, and kept by malloc", |b| b.malloc_free),
    ("freed, and kept by libraries’ allocators", |b| b.pools_free),
];

/// From this size on, and for this share of the growth, kept memory is worth a sentence.
const WORTH_WORDS: (i64, f64) = (4 << 20, 0.25);

/// The ledger of a profile; `None` where the resident set was not read.
pub(super) fn ledger(profile: &Profile) -> Option<Ledger> {
    profile.ledger.as_ref().map(|ledger| of(ledger, &profile.keepers))
}

fn of(ledger: &crate::profile::Ledger, keepers: &[Keeper]) -> Ledger {
    let moments = [&ledger.peak, &ledger.end];
    // Two things that have nothing to do with each other: what nobody explains, and what was used again.
    let rest = [
        ("not attributed", moments.map(|balance| SignedBytes(balance.rest.0.max(0)))),
        (REUSED, moments.map(|balance| SignedBytes(balance.rest.0.min(0)))),
    ];
    let rows: Vec<LedgerRow> = PARTS
        .iter()
        .map(|(label, part)| LedgerRow { label, bytes: moments.map(part) })
        .chain(rest.map(|(label, bytes)| LedgerRow { label, bytes }))
        .filter(|row| row.bytes.iter().any(|bytes| bytes.0 != 0))
        .collect();
    let resident = moments.map(|balance| balance.resident);
    Ledger { notes: notes(&rows), rows, resident, kept: kept(&ledger.end, keepers) }
}

const REUSED: &str = "less: in memory from before the start";

/// Why rows are below zero.
fn notes(rows: &[LedgerRow]) -> Vec<&'static str> {
    let below = |row: &&LedgerRow| row.bytes.iter().any(|bytes| bytes.0 < 0);
    let mut notes = Vec::new();
    if rows.iter().filter(below).any(|row| row.label == REUSED) {
        notes.push(
            "less: what the rows above hold beyond the growth. It lies in places that were resident and free before, so it took no new memory; or it was asked for and not touched yet.",
        );
    }
    if rows.iter().filter(below).any(|row| row.label != REUSED) {
        notes.push("Below zero elsewhere: there is less of it than at the start.");
    }
    notes
}

/// From this size on, or this share of what stays, it is said who keeps it beside names.
const WORTH_A_NAME: (i64, f64) = (1 << 20, 0.05);

/// Below this it is not worth a word, whatever its share.
const LITTLE: i64 = 64 << 10;

/// Those that keep what matters: none keeps more than what is left of what stays.
fn keepers_of(held: i64, keepers: &[Keeper]) -> Vec<(i64, &str)> {
    let mut left = held;
    let mut found = Vec::new();
    for keeper in keepers {
        let bytes = i64::try_from(keeper.bytes.0).unwrap_or(i64::MAX).min(left);
        let matters = bytes >= WORTH_A_NAME.0 || bytes as f64 >= WORTH_A_NAME.1 * held as f64;
        if matters && bytes >= LITTLE {
            left -= bytes;
            found.push((bytes, keeper.name.as_str()));
        }
    }
    found
}

/// `118 MiB of the resident set did not come back: ...`
fn kept(end: &Balance, keepers: &[Keeper]) -> Option<String> {
    let [malloc, arenas, libraries] =
        [end.malloc_free, end.arenas, end.pools_free].map(|kept| kept.0.max(0));
    let idle = malloc.saturating_add(arenas).saturating_add(libraries);
    let growth = end.resident.0;
    let held = [end.objects, end.blocks, end.pools, end.earlier]
        .iter()
        .fold(0i64, |sum, part| sum.saturating_add(part.0.max(0)));
    let keepers = keepers_of(held.min(growth.max(0)), keepers);
    let is_idle = idle >= WORTH_WORDS.0 && idle as f64 >= WORTH_WORDS.1 * growth as f64;
    if !is_idle && keepers.is_empty() {
        return None;
    }
    if is_idle && idle > growth {
        // Older memory was freed, and the resident set did not shrink by as much.
        let idle = Bytes(idle.unsigned_abs());
        return Some(format!(
            "{idle} that was freed stays in the resident set: the allocators keep it for later requests."
        ));
    }
    let named: i64 = keepers.iter().map(|(bytes, _)| bytes).sum();
    let rest = if named > 0 { "is held by what else stays" } else { "is held by what stays" };
    let matters = |bytes: i64| bytes > 0 && bytes.saturating_mul(50) >= growth;
    let idle = [
        (malloc, "is free and kept by malloc for later requests"),
        (arenas, "is free in Python’s arenas"),
        (libraries, "is free and kept by libraries with allocators of their own"),
    ];
    let idle = idle.into_iter().filter(|(bytes, _)| matters(*bytes));
    let idle = idle.map(|(bytes, what)| (bytes, what.to_owned()));
    let by_name = keepers.iter().map(|(bytes, name)| (*bytes, format!("is held by {name}")));
    let rest = Some((held - named, rest.to_owned())).filter(|(bytes, _)| matters(*bytes));
    let mut said: Vec<String> = (idle.chain(by_name).chain(rest))
        .map(|(bytes, what)| format!("{} {what}", Bytes(bytes.unsigned_abs())))
        .collect();
    let last = said.pop()?;
    let all = if said.is_empty() { last } else { format!("{} and {last}", said.join(", ")) };
    let growth = Bytes(growth.unsigned_abs());
    Some(format!("{growth} of the resident set did not come back: {all}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: i64 = 1 << 20;

    fn end(parts: [i64; 4], free: u64) -> Balance {
        let [resident, objects, arenas, blocks] = parts.map(|mib| SignedBytes(mib * MIB));
        Balance { resident, objects, arenas, blocks, ..Balance::default() }
            .settled([None, Some(Bytes(free << 20))], Bytes(0))
    }

    #[test]
    fn what_malloc_keeps_is_said() {
        let sentence = kept(&end([118, 0, 0, 22], 500), &[]).unwrap();
        assert_eq!(
            sentence,
            "118 MiB of the resident set did not come back: 96.0 MiB is free and kept by malloc for later requests and 22.0 MiB is held by what stays."
        );
    }

    fn keeper(name: &str, kib: u64) -> Keeper {
        Keeper { name: name.to_owned(), bytes: Bytes(kib << 10) }
    }

    #[test]
    fn a_result_that_the_notebook_keeps_is_named() {
        let end_of = end([118, 0, 0, 22], 500);
        assert_eq!(
            kept(&end_of, &[keeper("Out[3]", 22 << 10)]).unwrap(),
            "118 MiB of the resident set did not come back: 96.0 MiB is free and kept by malloc for later requests and 22.0 MiB is held by Out[3]."
        );
        // What else stays is a part of its own, and a result from before is no part of it.
        assert_eq!(
            kept(&end([50, 0, 0, 50], 0), &[keeper("Out[3]", 20 << 10), keeper("b", 99 << 10)])
                .unwrap(),
            "50.0 MiB of the resident set did not come back: 20.0 MiB is held by Out[3] and 30.0 MiB is held by b."
        );
        assert_eq!(
            kept(&end([50, 0, 0, 50], 0), &[keeper("Out[3]", 1 << 10)]).unwrap(),
            "50.0 MiB of the resident set did not come back: 1.00 MiB is held by Out[3] and 49.0 MiB is held by what else stays."
        );
        assert_eq!(kept(&end([50, 0, 0, 50], 0), &[keeper("Out[3]", 1000)]), None);
        assert_eq!(kept(&end([-5, 0, 0, 0], 0), &[keeper("Out[3]", 9000)]), None);
    }

    #[test]
    fn what_libraries_keep_is_said() {
        let mut end = end([40, 0, 0, 10], 0);
        end.pools_free = SignedBytes(30 * MIB);
        assert_eq!(
            kept(&end, &[]).unwrap(),
            "40.0 MiB of the resident set did not come back: 30.0 MiB is free and kept by libraries with allocators of their own and 10.0 MiB is held by what stays."
        );
    }

    #[test]
    fn older_memory_that_malloc_keeps_is_said() {
        assert_eq!(
            kept(&end([10, 0, 0, -80], 500), &[]).unwrap(),
            "90.0 MiB that was freed stays in the resident set: the allocators keep it for later requests."
        );
    }

    #[test]
    fn what_was_used_again_is_explained_and_rows_add_up() {
        let mut profile =
            crate::profile::Ledger { peak: end([10, 0, 0, 4], 0), end: end([10, 0, 0, 30], 0) };
        let rows = |ledger: &crate::profile::Ledger| {
            let moments = [ledger.peak, ledger.end];
            let rest = moments.map(|balance| balance.rest.0 / MIB);
            (rest, moments.map(|balance| balance.resident.0 / MIB))
        };
        assert_eq!(rows(&profile), ([6, -20], [10, 10]));
        let found = of(&profile, &[]);
        let labels: Vec<&str> = found.rows.iter().map(|row| row.label).collect();
        assert_eq!(labels, ["native blocks and mappings in use", "not attributed", REUSED]);
        for (moment, whole) in found.resident.iter().enumerate() {
            let sum: i64 = found.rows.iter().map(|row| row.bytes[moment].0).sum();
            assert_eq!(sum, whole.0);
        }
        assert_eq!(found.notes.len(), 1);
        profile.end.blocks = SignedBytes(-MIB);
        assert_eq!(of(&profile, &[]).notes.len(), 2);
    }

    #[test]
    fn what_is_held_is_no_news() {
        assert_eq!(kept(&end([118, 60, 10, 44], 500), &[]), None);
        assert_eq!(kept(&end([3, 0, 3, 0], 500), &[]), None);
        assert_eq!(kept(&end([-90, 0, 0, -90], 10), &[]), None);
    }
}
