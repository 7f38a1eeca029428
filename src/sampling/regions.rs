//! Regions: addresses that an allocator of a library's own reserved, to be used bit by bit.
//!
//! Arrow's mimalloc reserves a gibibyte at once, and polars' jemalloc more each time; neither calls
//! `malloc`, so nobody sees their blocks. A region counts by its resident pages.

use std::collections::BTreeMap;

/// Whose region it is. A region from before the start that has places which nobody has written to counts
/// like one that an allocator has reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The code's own, from before the start.
    Earlier,
    /// Arrow, by one of its memory pools.
    Arrow,
    /// polars.
    Polars,
    /// Any other library.
    Other,
}

/// How many owners are told apart.
pub(super) const OWNERS: usize = 4;

impl Owner {
    /// All of them, in the order of their numbers.
    pub const ALL: [Owner; OWNERS] = [Owner::Earlier, Owner::Arrow, Owner::Polars, Owner::Other];
}

/// A region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its first address.
    pub start: usize,
    /// Bytes.
    pub length: usize,
    /// Whose it is.
    pub owner: Owner,
    /// An address in the code that reserved it, while the owner is not looked up yet; else 0.
    pub caller: usize,
}

impl Region {
    fn end(&self) -> usize {
        self.start.saturating_add(self.length)
    }
}

/// The regions that there are.
#[derive(Debug, Default)]
pub struct Regions {
    by_start: BTreeMap<usize, Region>,
    /// Goes up whenever what was in a region may have gone, so that an older look is of no use.
    losses: u64,
}

impl Regions {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_start.is_empty()
    }

    /// Whether this owner has any.
    pub fn has(&self, owner: Owner) -> bool {
        self.by_start.values().any(|region| region.owner == owner)
    }

    /// Adds a region.
    pub fn insert(&mut self, region: Region) {
        self.by_start.insert(region.start, region);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.by_start.values()
    }

    /// See [`Regions::lost`].
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// Something that was resident is so no longer.
    pub fn lost(&mut self) {
        self.losses += 1;
    }

    /// The code at this address belongs to this owner.
    pub fn resolve(&mut self, caller: usize, owner: Owner) {
        for region in self.by_start.values_mut().filter(|r| r.caller == caller && caller != 0) {
            region.owner = owner;
            region.caller = 0;
        }
    }

    /// The parts of regions that lie in a range.
    pub fn within(&self, start: usize, length: usize) -> Vec<Region> {
        let end = start.saturating_add(length);
        let first = self.by_start.range(..=start).next_back().map_or(start, |(&at, _)| at);
        let parts = self.by_start.range(first..end).map(|(_, region)| {
            let (from, to) = (region.start.max(start), region.end().min(end));
            Region { start: from, length: to.saturating_sub(from), ..*region }
        });
        parts.filter(|part| part.length > 0).collect()
    }

    /// A range is no longer of any region.
    pub fn cut(&mut self, start: usize, length: usize) {
        let end = start.saturating_add(length);
        for part in self.within(start, length) {
            let found = self.by_start.range(..=part.start).next_back().map(|(_, region)| *region);
            let Some(whole) = found else { continue };
            self.by_start.remove(&whole.start);
            if whole.start < start {
                self.insert(Region { length: start - whole.start, ..whole });
            }
            if end < whole.end() {
                self.insert(Region { start: end, length: whole.end() - end, ..whole });
            }
            self.losses += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: usize, length: usize) -> Region {
        Region { start, length, owner: Owner::Other, caller: 7 }
    }

    fn spans(regions: &Regions) -> Vec<(usize, usize)> {
        regions.iter().map(|r| (r.start, r.length)).collect()
    }

    #[test]
    fn a_range_is_cut_out_of_what_it_touches() {
        let mut regions = Regions::default();
        regions.insert(region(1000, 100));
        regions.insert(region(1100, 100));
        let parts: Vec<_> = regions.within(1050, 100).iter().map(|r| (r.start, r.length)).collect();
        assert_eq!(parts, [(1050, 50), (1100, 50)]);
        regions.cut(1050, 100);
        assert_eq!(spans(&regions), [(1000, 50), (1150, 50)]);
        regions.cut(1010, 10);
        assert_eq!(spans(&regions), [(1000, 10), (1020, 30), (1150, 50)]);
        let losses = regions.losses();
        regions.cut(2000, 100);
        regions.cut(1010, 10);
        assert_eq!(spans(&regions).len(), 3);
        assert_eq!(regions.losses(), losses);
    }

    #[test]
    fn the_owner_is_looked_up_once() {
        let mut regions = Regions::default();
        regions.insert(region(1000, 100));
        regions.resolve(7, Owner::Polars);
        let found: Vec<_> = regions.iter().map(|r| (r.owner, r.caller)).collect();
        assert_eq!(found, [(Owner::Polars, 0)]);
    }
}
