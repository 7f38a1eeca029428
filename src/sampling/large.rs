//! Large blocks, by what of them is in use.
//!
//! A large block is often a reservation: `np.zeros` of 2 GB costs nothing until it is written to, and a
//! parser asks for more than it fills. So a block of [`LARGE`] bytes or more counts by its resident
//! pages. These are looked up when it matters: before a large block goes, if the footprint could be
//! larger than its peak so far; when the resident set has grown or blocks have come; and at the end. A block
//! that is wholly resident is not looked up again.

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
}

impl LargeBlock {
    /// A block of which so many bytes are in use.
    pub fn new(size: u64, touched: u64, site: u32) -> LargeBlock {
        LargeBlock { size, touched, site, returned: 0 }
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

    /// The blocks that are not known to be wholly in use: (address, size).
    pub fn partial(&self) -> Vec<(usize, u64)> {
        let partial = self.blocks.iter().filter(|(_, b)| b.touched < b.size);
        partial.map(|(&at, b)| (at, b.size)).collect()
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
        self.untouched += lost;
        Some((block.site, lost))
    }

    /// What of the blocks was never in use, by site.
    pub fn never_touched_by_site(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.blocks.values().map(|b| (b.site, b.never_touched()))
    }

    /// A block was looked up. Returns its site and by how much it grew in use; a block that is gone, or
    /// another one by now, is passed over. What was in use stays so.
    pub fn measured(&mut self, address: usize, size: u64, resident: u64) -> Option<(u32, u64)> {
        let block = self.blocks.get_mut(&address).filter(|b| b.size == size)?;
        let growth = resident.min(size).checked_sub(block.touched).filter(|&growth| growth > 0)?;
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
        assert_eq!(blocks.measured(0x10_0000, 1000, 400), Some((1, 400)));
        assert_eq!(blocks.measured(0x10_0000, 1000, 300), None);
        assert_eq!(blocks.measured(0x10_0000, 999, 900), None);
        assert_eq!(blocks.measured(0x10_0000, 1000, 4096), Some((1, 600)));
        assert_eq!(blocks.partial(), [(0x20_0000, 500)]);
        assert_eq!(blocks.remove(0x20_0000), Some(block(500)));
        assert_eq!(blocks.untouched(), 0);
    }

    #[test]
    fn what_was_given_back_was_in_use_once() {
        let mut blocks = LargeBlocks::default();
        blocks.insert(0x10_0000, block(1000));
        blocks.measured(0x10_0000, 1000, 600);
        assert_eq!(blocks.given_back(0x10_0000, 250), Some((1, 350)));
        assert_eq!(blocks.given_back(0x10_0000, 250), None);
        assert_eq!(blocks.untouched(), 750);
        assert_eq!(blocks.never_touched_by_site().collect::<Vec<_>>(), [(1, 400)]);
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
