//! Where the growth of the resident set went, in rows that add up to it.

use crate::profile::{Balance, Bytes, Profile, SignedBytes};

/// The rows of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// What it went into; rows without any bytes are left out.
    pub rows: Vec<LedgerRow>,
    /// The growth itself at the peak and at the end: the sums of the rows.
    pub resident: [SignedBytes; 2],
    /// What did not come back and who keeps it, when that is worth its words.
    pub kept: Option<String>,
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

const PARTS: [Part; 7] = [
    ("Python’s small objects", |b| b.objects),
    ("free places in Python’s arenas", |b| b.arenas),
    ("native blocks and mappings in use", |b| b.blocks),
    ("libraries with allocators of their own", |b| b.pools),
    ("files mapped into memory", |b| b.files),
    ("memprofile’s own tables", |b| b.recorder),
    ("freed, and kept by malloc", |b| b.malloc_free),
];

/// From this size on, and for this share of the growth, kept memory is worth a sentence.
const WORTH_WORDS: (i64, f64) = (4 << 20, 0.25);

/// The ledger of a profile; `None` where the resident set was not read.
pub(super) fn ledger(profile: &Profile) -> Option<Ledger> {
    let ledger = profile.ledger.as_ref()?;
    let moments = [&ledger.peak, &ledger.end];
    let rest = moments.map(|balance| balance.rest);
    let rows = PARTS
        .iter()
        .map(|(label, part)| LedgerRow { label, bytes: moments.map(part) })
        .chain([LedgerRow { label: rest_label(rest), bytes: rest }])
        .filter(|row| row.bytes.iter().any(|bytes| bytes.0 != 0))
        .collect();
    let resident = moments.map(|balance| balance.resident);
    Some(Ledger { rows, resident, kept: kept(&ledger.end) })
}

fn rest_label(rest: [SignedBytes; 2]) -> &'static str {
    if rest.iter().all(|bytes| bytes.0 <= 0) {
        "less: in memory from before, or not touched yet"
    } else {
        "not attributed"
    }
}

/// `118 MiB of the resident set did not come back: ...`
fn kept(end: &Balance) -> Option<String> {
    let (malloc, arenas) = (end.malloc_free.0.max(0), end.arenas.0.max(0));
    let idle = malloc.saturating_add(arenas);
    let growth = end.resident.0;
    if idle < WORTH_WORDS.0 || (idle as f64) < WORTH_WORDS.1 * growth as f64 {
        return None;
    }
    if idle > growth {
        // Older memory was freed, and the resident set did not shrink by as much.
        let idle = Bytes(idle.unsigned_abs());
        return Some(format!(
            "{idle} that was freed stays in the resident set: the allocators keep it for later requests."
        ));
    }
    let held = [end.objects, end.blocks, end.pools]
        .iter()
        .fold(0i64, |sum, part| sum.saturating_add(part.0.max(0)));
    let mut said: Vec<String> = [
        (malloc, "is free and kept by malloc for later requests"),
        (arenas, "is free in Python’s arenas"),
        (held, "is held by what stays"),
    ]
    .into_iter()
    .filter(|(bytes, _)| *bytes > 0 && bytes.saturating_mul(50) >= growth)
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
            .settled(Some(Bytes(free << 20)))
    }

    #[test]
    fn what_malloc_keeps_is_said() {
        let sentence = kept(&end([118, 0, 0, 22], 500)).unwrap();
        assert_eq!(
            sentence,
            "118 MiB of the resident set did not come back: 96.0 MiB is free and kept by malloc for later requests and 22.0 MiB is held by what stays."
        );
    }

    #[test]
    fn older_memory_that_malloc_keeps_is_said() {
        assert_eq!(
            kept(&end([10, 0, 0, -80], 500)).unwrap(),
            "90.0 MiB that was freed stays in the resident set: the allocators keep it for later requests."
        );
    }

    #[test]
    fn what_is_held_is_no_news() {
        assert_eq!(kept(&end([118, 60, 10, 44], 500)), None);
        assert_eq!(kept(&end([3, 0, 3, 0], 500)), None);
        assert_eq!(kept(&end([-90, 0, 0, -90], 10)), None);
    }
}
