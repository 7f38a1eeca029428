//! The recorded blocks that are live, by address.
//!
//! Open addressing with linear probing. A removal moves the entries behind it back instead of
//! leaving a tombstone, so that a loop which frees and allocates the same block for ever does not
//! slow down. The table is made once, and grows only when it is asked to record everything. Its entries are
//! of a type that is known to be made of zeros, so that a page of it is taken when its first entry is.

/// A live sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Where the block is; 0 marks a free entry.
    pub address: usize,
    /// Bytes that were asked for.
    pub size: u64,
    /// The site that allocated it.
    pub site: u32,
}

/// A sample as it stands in the table: its fields in their order.
type Entry = [u64; 3];

const FREE: Entry = [0; 3];

impl Sample {
    fn of(entry: Entry) -> Sample {
        let [address, size, site] = entry;
        Sample { address: address as usize, size, site: site as u32 }
    }

    fn entry(self) -> Entry {
        [self.address as u64, self.size, u64::from(self.site)]
    }
}

/// See the module.
#[derive(Debug)]
pub struct LiveSet {
    entries: Vec<Entry>,
    count: usize,
}

impl LiveSet {
    /// A table for up to half as many samples as `slots`, a power of two.
    pub fn new(slots: usize) -> LiveSet {
        LiveSet { entries: vec![FREE; slots.next_power_of_two().max(64)], count: 0 }
    }

    /// How many samples are live.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Where the table is, and its bytes.
    pub fn table(&self) -> (usize, usize) {
        (self.entries.as_ptr() as usize, size_of_val(&*self.entries))
    }

    /// Whether no sample is live.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether half of the table is used: from there on probing gets slow.
    pub fn is_full(&self) -> bool {
        self.count * 2 >= self.entries.len()
    }

    fn address(&self, at: usize) -> usize {
        self.entries[at][0] as usize
    }

    fn home(&self, address: usize) -> usize {
        // Blocks of the same KiB of memory stand side by side, so that objects which are made and
        // freed one after the other share cache lines here as they do there. Where the KiB goes is
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the high bits of the product are well mixed.
        let product = (address as u64 >> 10).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let group = (product >> (64 - self.entries.len().trailing_zeros())) as usize;
        (group & !63) | (address >> 4 & 63)
    }

    fn find(&self, address: usize) -> Option<usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(address);
        while self.address(at) != address {
            if self.address(at) == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
        Some(at)
    }

    /// The sample at an address.
    pub fn get(&self, address: usize) -> Option<Sample> {
        if address == 0 { None } else { self.find(address).map(|at| Sample::of(self.entries[at])) }
    }

    /// Adds a sample. One at the same address, whose free was not seen, is replaced and returned.
    ///
    /// # Panics
    /// When the address is 0 or the table has no free entry left.
    pub fn insert(&mut self, sample: Sample) -> Option<Sample> {
        assert!(sample.address != 0 && self.count + 1 < self.entries.len());
        let mask = self.entries.len() - 1;
        let mut at = self.home(sample.address);
        loop {
            let there = Sample::of(self.entries[at]);
            if there.address == sample.address {
                self.entries[at] = sample.entry();
                return Some(there);
            }
            if there.address == 0 {
                self.entries[at] = sample.entry();
                self.count += 1;
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Removes the sample at an address.
    pub fn remove(&mut self, address: usize) -> Option<Sample> {
        if address == 0 {
            return None;
        }
        let mut hole = self.find(address)?;
        let mask = self.entries.len() - 1;
        let removed = Sample::of(self.entries[hole]);
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if self.address(at) == 0 {
                break;
            }
            // An entry may move back to the hole unless its home lies behind the hole.
            let from_home = at.wrapping_sub(self.home(self.address(at))) & mask;
            if from_home >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = FREE;
        self.count -= 1;
        Some(removed)
    }

    /// Keeps the samples that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&Sample) -> bool) {
        let dropped: Vec<usize> =
            self.iter().filter(|sample| !keep(sample)).map(|sample| sample.address).collect();
        for address in dropped {
            self.remove(address);
        }
    }

    /// The live samples, in no order. Where all were found, the rest of the table is not looked at.
    pub fn iter(&self) -> impl Iterator<Item = Sample> {
        let used = self.entries.iter().filter(|entry| entry[0] != 0);
        used.take(self.count).map(|&entry| Sample::of(entry))
    }

    /// Doubles the table.
    pub fn grow(&mut self) {
        let mut larger = LiveSet::new(self.entries.len() * 2);
        for sample in self.iter() {
            larger.insert(sample);
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few addresses and a small table: long probe chains, wrap-around, many removals.
        #[test]
        fn it_behaves_as_a_map(steps in proptest::collection::vec((any::<bool>(), 1usize..40), 0..400)) {
            let mut set = LiveSet::new(64);
            let mut map = HashMap::new();
            for (step, (insert, address)) in steps.into_iter().enumerate() {
                let sample = Sample { address, size: step as u64, site: 1 };
                if insert {
                    prop_assert_eq!(set.insert(sample), map.insert(address, sample));
                } else {
                    prop_assert_eq!(set.remove(address), map.remove(&address));
                }
                prop_assert_eq!(set.len(), map.len());
            }
            set.grow();
            let mut left: Vec<_> = set.iter().map(|s| s.address).collect();
            let mut expected: Vec<_> = map.keys().copied().collect();
            left.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(left, expected);
        }

        #[test]
        fn retain_drops_what_is_not_wanted(addresses in proptest::collection::hash_set(1usize..5000, 0..100)) {
            let mut set = LiveSet::new(256);
            for &address in &addresses {
                set.insert(Sample { address, size: 1, site: 0 });
            }
            set.retain(|s| s.address % 3 == 0);
            for address in addresses {
                prop_assert_eq!(set.remove(address).is_some(), address % 3 == 0);
            }
        }
    }
}
