//! Blocks by their size.

use super::{Bytes, Estimate};
use serde::{Deserialize, Serialize};

/// The blocks of one range of sizes: from `from` up to, and without, that of the next class.
/// The classes of a profile add up to its sites: by `count`, and by `allocated` in bytes as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SizeClass {
    /// The smallest size of the class; a power of two, or 0 for the first.
    pub from: Bytes,
    /// The number of allocations.
    pub count: Estimate,
    /// Bytes of all of them, those freed again too.
    pub allocated: Estimate,
}

impl SizeClass {
    /// The power of two below which the first class ends: no allocator has smaller blocks.
    pub const FIRST: u32 = 4;
    /// The power of two with which the last class begins.
    pub const LAST: u32 = 30;
    /// How many classes there are: up to 31 B, 32 to 63 B, and so on; the last from 1 GiB on.
    pub const COUNT: usize = (SizeClass::LAST - SizeClass::FIRST + 1) as usize;

    /// Which class a size belongs to, from 0.
    pub fn index(size: u64) -> usize {
        let power = size.max(1).ilog2().clamp(SizeClass::FIRST, SizeClass::LAST);
        (power - SizeClass::FIRST) as usize
    }

    /// The smallest size of a class.
    pub fn from(index: usize) -> Bytes {
        Bytes(if index == 0 { 0 } else { 1 << (SizeClass::FIRST + index as u32) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_its_class() {
        for (size, from) in [
            (0, 0),
            (31, 0),
            (32, 32),
            (63, 32),
            (64, 64),
            ((1 << 30) - 1, 1 << 29),
            (1 << 30, 1 << 30),
            (u64::MAX, 1 << 30),
        ] {
            assert_eq!(SizeClass::from(SizeClass::index(size)), Bytes(from), "{size}");
        }
        assert_eq!(SizeClass::index(u64::MAX) + 1, SizeClass::COUNT);
    }
}
