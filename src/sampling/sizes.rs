//! Allocations by the size of their blocks.
//!
//! Filled at samples alone: each adds to its class what it adds to its site, and a thinning changes
//! both alike. So the classes add up to the sites.

use super::sites::Worth;
use crate::profile::{Estimate, SizeClass};

/// See the module.
#[derive(Debug)]
pub struct Sizes {
    /// Count and bytes.
    classes: [(Estimate, Estimate); SizeClass::COUNT],
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { classes: [Default::default(); SizeClass::COUNT] }
    }
}

impl Sizes {
    /// A block was recorded, with this probability.
    pub fn allocated(&mut self, size: u64, worth: Worth, probability: f64) {
        let (count, bytes) = &mut self.classes[SizeClass::index(size)];
        count.value += 1.0 / probability;
        count.variance += (1.0 - probability) / (probability * probability);
        bytes.value += worth.bytes;
        bytes.variance += worth.variance;
    }

    /// What a recorded block stands for changed by this.
    pub fn change(&mut self, size: u64, bytes: f64, variance: f64) {
        let (_, sum) = &mut self.classes[SizeClass::index(size)];
        sum.value += bytes;
        sum.variance += variance;
    }

    /// The classes that have any block.
    pub fn finish(self) -> Vec<SizeClass> {
        let class = |(index, (count, mut allocated)): (usize, (Estimate, Estimate))| {
            // Sums of differences: what rounding leaves of zero is zero.
            allocated.value = allocated.value.max(0.0);
            allocated.variance = allocated.variance.max(0.0);
            SizeClass { from: SizeClass::from(index), count, allocated }
        };
        let any = |class: &SizeClass| class.count.value > 0.0;
        self.classes.into_iter().enumerate().map(class).filter(any).collect()
    }
}
