//! Where the growth of the resident set went.

use super::{Bytes, SignedBytes};
use serde::{Deserialize, Serialize};

/// The growth of the resident set since the start, at one moment, by what it went into.
///
/// All are bytes above the start; negative where there was more of it then. `resident` is the sum of
/// the others: what no part explains is `rest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The resident set size at this moment less that at the start.
    pub resident: SignedBytes,
    /// Python's small objects in arenas that were taken since. Objects in places of older arenas are
    /// live as well, but took no new memory.
    pub objects: SignedBytes,
    /// What of the arenas taken since holds none of them.
    pub arenas: SignedBytes,
    /// Native blocks by usable size, and anonymous mappings; the large ones by what is in use.
    pub blocks: SignedBytes,
    /// Allocators of libraries' own, as those of Arrow and polars: what is in use, where they tell.
    pub pools: SignedBytes,
    /// What they keep free beyond that, in pages that are resident. Below 0 where they use pages that they had
    /// kept.
    #[serde(default)]
    pub pools_free: SignedBytes,
    /// Memory from before the start that was written to for the first time.
    #[serde(default)]
    pub earlier: SignedBytes,
    /// Files mapped into memory: data, and the libraries that were loaded.
    pub files: SignedBytes,
    /// What libraries that were loaded since have written of themselves: pages that are of no file any longer.
    #[serde(default)]
    pub libraries: SignedBytes,
    /// The tables of the recorder itself.
    pub recorder: SignedBytes,
    /// Free memory that the C library's allocator keeps: what is left of the growth, and never more than
    /// it holds free. Below 0 where blocks lie in what it had kept. 0 where that is not known.
    pub malloc_free: SignedBytes,
    /// What is left. Above 0: memory that no hook sees. Below 0: what the parts took without a growth of
    /// the resident set, in places that were there before or that nobody has touched yet.
    pub rest: SignedBytes,
}

impl Balance {
    /// Completes a balance: what the parts leave of `resident` goes to free memory in malloc, as far as
    /// there is some, and else to `rest`. What they take beyond `resident` comes out of what malloc had free at
    /// the start, as far as it has that no longer. `free_in_malloc`: at the start, and now; of the latter
    /// `absent` bytes at most are not resident.
    pub fn settled(mut self, free_in_malloc: [Option<Bytes>; 2], absent: Bytes) -> Balance {
        let known = [
            self.objects,
            self.arenas,
            self.blocks,
            self.pools,
            self.pools_free,
            self.earlier,
            self.files,
            self.libraries,
            self.recorder,
        ];
        let left = known.iter().fold(self.resident.0, |left, part| left.saturating_sub(part.0));
        let signed = |bytes: Bytes| i64::try_from(bytes.0).unwrap_or(i64::MAX);
        let [before, free] = free_in_malloc.map(|bytes| bytes.map_or(0, signed));
        let least = (free - signed(absent)).max(0) - before;
        self.malloc_free = SignedBytes(left.clamp(least.min(0), free));
        self.rest = SignedBytes(left.saturating_sub(self.malloc_free.0));
        self
    }
}

/// The two moments that a reader asks about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The peak: the kernel's high-water mark of the resident set against the parts at the largest
    /// footprint.
    pub peak: Balance,
    /// The end.
    pub end: Balance,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_add_up(
            resident in -1i64 << 40..1 << 40, parts in proptest::array::uniform9(-1i64 << 40..1 << 40),
            free in proptest::array::uniform2(proptest::option::of(0u64..1 << 41)),
            absent in 0u64..1 << 41
        ) {
            let [objects, arenas, blocks, pools, pools_free, earlier, files, libraries, recorder] =
                parts.map(SignedBytes);
            let resident = SignedBytes(resident);
            let balance = Balance {
                resident,
                objects,
                arenas,
                blocks,
                pools,
                pools_free,
                earlier,
                files,
                libraries,
                recorder,
                ..Balance::default()
            };
            let done = balance.settled(free.map(|bytes| bytes.map(Bytes)), Bytes(absent));
            let sum: i64 = parts.iter().sum::<i64>() + done.malloc_free.0 + done.rest.0;
            prop_assert_eq!(sum, done.resident.0);
            let [before, free] = free.map(|bytes| bytes.unwrap_or(0) as i64);
            let least = ((free - absent as i64).max(0) - before).min(0);
            prop_assert!((least..=free).contains(&done.malloc_free.0));
            // Only where malloc explains all that it can is anything left.
            prop_assert!(done.rest.0 <= 0 || done.malloc_free.0 == free);
            prop_assert!(done.rest.0 >= 0 || done.malloc_free.0 == least);
        }
    }
}
