//! Large blocks, by what of them is in use.
//!
//! A large block is often a reservation: `np.zeros` of 2 GB costs nothing until it is written to, and a
//! parser asks for more than it fills. So a block of [`LARGE`] bytes or more counts by its resident
//! pages. These are looked up when it matters: before a large block goes, if the footprint could be
//! larger than its peak so far; when the resident set has grown or blocks have come; and at the end. What is
//! known to be resident is not looked up again: neither a whole block nor its front, since blocks are filled from
//! there. So all looks at a block together cost about as much as one at its end.

use std::collections::BTreeMap;

/// From this size on a block counts by its resident pages.
pub const LARGE: u64 = 1 << 20;

/// A large block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeBlock {
    /// Bytes that were asked for.
    pub size: u64,
    /// How many of them were resident when it was last looked up.
    pub touched: u64,
    /// The site that allocated it.
    pub site: u32,
    /// How many were resident once and given back since.
    pub returned: u64,
    /// So many bytes from its start on are in use without a gap.
    front: u64,
}

/// A block of which some may not be in use, for a look at what lies behind its front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    address: usize,
    size: u64,
    front: u64,
}

impl Partial {
    /// Where it begins.
    pub fn address(&self) -> usize {
        self.address
    }

    /// What is to be looked at: the first address and the bytes.
    pub fn range(&self) -> (usize, u64) {
        (self.address + self.front as usize, self.size - self.front)
    }
}

/// What of a range is resident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Bytes in all.
    pub bytes: u64,
    /// Those from its start on without a gap; never more than there are, and it may be less.
    pub front: u64,
}

impl LargeBlock {
    /// A block of which so many bytes are in use.
    pub fn new(size: u64, touched: u64, site: u32) -> LargeBlock {
        LargeBlock { size, touched, site, returned: 0, front: 0 }
    }

    /// Bytes that were never in use, as far as is known.
    pub fn never_touched(&self) -> u64 {
        self.size.saturating_sub(self.touched + self.returned)
    }
}

/// The live large blocks by address.
#[derive(Debug, Default)]
pub struct LargeBlocks {
    blocks: BTreeMap<usize, LargeBlock>,
    /// Bytes of all of them that are not in use.
    untouched: u64,
    /// How many there were ever.
    count: u64,
}

impl LargeBlocks {
    /// Bytes asked for that are not in use.
    pub fn untouched(&self) -> u64 {
        self.untouched
    }

    /// How many blocks there were since the start, whether they are live or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The live ones, with their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (usize, LargeBlock)> + '_ {
        self.blocks.iter().map(|(&address, &block)| (address, block))
    }

    /// The block at an address.
    pub fn get(&self, address: usize) -> Option<LargeBlock> {
        self.blocks.get(&address).copied()
    }

    /// Adds a block.
    pub fn insert(&mut self, address: usize, block: LargeBlock) {
        self.untouched += block.size - block.touched;
        self.count += 1;
        self.blocks.insert(address, block);
    }

    /// Removes the block at an address.
    pub fn remove(&mut self, address: usize) -> Option<LargeBlock> {
        let block = self.blocks.remove(&address)?;
        self.untouched -= block.size - block.touched;
        Some(block)
    }

    /// The addresses of blocks that share bytes with a range.
    pub fn overlapping(&self, start: usize, length: usize) -> Vec<usize> {
        let end = start.saturating_add(length);
        self.blocks
            .range(..end)
            .rev()
            .take_while(|(at, block)| *at + block.size as usize > start)
            .map(|(at, _)| *at)
            .collect()
    }

    /// The blocks that are not known to be wholly in use.
    pub fn partial(&self) -> Vec<Partial> {
        let partial = self.blocks.iter().filter(|(_, b)| b.touched < b.size);
        partial.map(|(&address, b)| Partial { address, size: b.size, front: b.front }).collect()
    }

    /// The one at an address, if it is such a block.
    pub fn partial_at(&self, address: usize) -> Option<Partial> {
        let block = self.blocks.get(&address).filter(|b| b.touched < b.size)?;
        Some(Partial { address, size: block.size, front: block.front })
    }

    /// The size of the block at an address.
    pub fn size(&self, address: usize) -> Option<u64> {
        self.blocks.get(&address).map(|b| b.size)
    }

    /// Pages of a block were given back, and so many bytes of it are resident still. Returns its site
    /// and how many it has lost.
    pub fn given_back(&mut self, address: usize, resident: u64) -> Option<(u32, u64)> {
        let block = self.blocks.get_mut(&address)?;
        let lost = block.touched.checked_sub(resident).filter(|&lost| lost > 0)?;
        block.touched -= lost;
        block.returned += lost;
        // Which of its pages went is not known.
        block.front = 0;
        self.untouched += lost;
        Some((block.site, lost))
    }

    /// What of the blocks was never in use, by site.
    pub fn never_touched_by_site(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.blocks.values().map(|b| (b.site, b.never_touched()))
    }

    /// A block was looked up behind its front. Returns its site and by how much it grew in use; a block that
    /// is gone, another one by now, or one that has given back pages meanwhile is passed over. What was in use
    /// stays so.
    pub fn measured(&mut self, looked_at: Partial, found: Filled) -> Option<(u32, u64)> {
        let Partial { address, size, front } = looked_at;
        let block = self.blocks.get_mut(&address).filter(|b| b.size == size && b.front >= front)?;
        block.front = block.front.max((front + found.front).min(size));
        let in_use = (front + found.bytes).min(size);
        let growth = in_use.checked_sub(block.touched).filter(|&growth| growth > 0)?;
        block.touched += growth;
        self.untouched -= growth;
        Some((block.site, growth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: u64) -> LargeBlock {
        LargeBlock::new(size, 0, 1)
    }

    #[test]
    fn a_block_is_in_use_as_far_as_it_was_touched() {
        let mut blocks = LargeBlocks::default();
        blocks.insert(0x10_0000, block(1000));
        blocks.insert(0x20_0000, block(500));
        assert_eq!(blocks.untouched(), 1500);
        let look = blocks.partial()[0];
        assert_eq!(look, blocks.partial_at(0x10_0000).unwrap());
        let filled = |bytes| Filled { bytes, front: 0 };
        assert_eq!(blocks.measured(look, filled(400)), Some((1, 400)));
        assert_eq!(blocks.measured(look, filled(300)), None);
        assert_eq!(blocks.measured(Partial { size: 999, ..look }, filled(900)), None);
        assert_eq!(blocks.measured(look, filled(4096)), Some((1, 600)));
        assert_eq!(blocks.partial(), [blocks.partial_at(0x20_0000).unwrap()]);
        assert_eq!(blocks.partial_at(0x10_0000), None);
        assert_eq!(blocks.remove(0x20_0000), Some(block(500)));
        assert_eq!(blocks.untouched(), 0);
    }

    #[test]
    fn what_was_given_back_was_in_use_once() {
        let mut blocks = LargeBlocks::default();
        blocks.insert(0x10_0000, block(1000));
        let look = blocks.partial()[0];
        blocks.measured(look, Filled { bytes: 600, front: 600 });
        assert_eq!(blocks.given_back(0x10_0000, 250), Some((1, 350)));
        assert_eq!(blocks.given_back(0x10_0000, 250), None);
        assert_eq!(blocks.untouched(), 750);
        assert_eq!(blocks.never_touched_by_site().collect::<Vec<_>>(), [(1, 400)]);
    }

    #[test]
    fn what_is_in_use_from_the_start_on_is_not_looked_at_again() {
        let mut blocks = LargeBlocks::default();
        blocks.insert(0x10_0000, block(1000));
        let first = blocks.partial()[0];
        assert_eq!(first.range(), (0x10_0000, 1000));
        blocks.measured(first, Filled { bytes: 500, front: 400 });
        let second = blocks.partial()[0];
        assert_eq!(second.range(), (0x10_0000 + 400, 600));
        assert_eq!(blocks.measured(second, Filled { bytes: 300, front: 150 }), Some((1, 200)));
        let third = blocks.partial()[0];
        assert_eq!(third.range(), (0x10_0000 + 550, 450));
        // A look that was under way when pages were given back counts nothing.
        assert_eq!(blocks.given_back(0x10_0000, 250), Some((1, 450)));
        assert_eq!(blocks.measured(third, Filled { bytes: 450, front: 450 }), None);
        assert_eq!(blocks.partial()[0].range(), (0x10_0000, 1000));
    }

    #[test]
    fn a_range_finds_what_it_overlaps() {
        let mut blocks = LargeBlocks::default();
        blocks.insert(1000, block(100));
        blocks.insert(2000, block(100));
        assert_eq!(blocks.overlapping(1099, 901), [1000]);
        assert_eq!(blocks.overlapping(1099, 902), [2000, 1000]);
        assert!(blocks.overlapping(1100, 900).is_empty());
    }
}
