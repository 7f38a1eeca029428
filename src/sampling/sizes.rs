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

#[cfg(test)]
mod tests {
    use super::super::{Block, Frames, Memory, Moved, Origin, Place, Recorder, Settings};
    use super::*;
    use crate::profile::Allocator;
    use proptest::prelude::*;

    struct Line(u64);

    impl Frames for Line {
        fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
            std::iter::once(self.0)
        }
        fn place(&self, _index: usize) -> Place {
            Place { function: "f".into(), file: "/home/me/a.py".into(), line: self.0 as u32 }
        }
        fn gap(&self) -> Option<usize> {
            None
        }
    }

    /// Half of every range is in use, and every free is told.
    struct Half;

    impl Memory for Half {
        fn watch(&mut self, _address: usize) {}
        fn unwatch(&mut self, _address: usize) {}
        fn clock(&mut self) -> u64 {
            0
        }
        fn resident(&mut self, _start: usize, length: u64) -> u64 {
            length / 2
        }
    }

    proptest! {
        /// Over sites and over size classes the same is added up, exact or sampled, thinned or not.
        #[test]
        fn the_classes_add_up_to_the_sites(
            seed: u64,
            thinned in prop_oneof![Just(None), (0..12usize).prop_map(Some)],
            steps in prop::collection::vec((0..300usize, 1..3_000_000u64, 0..6u8), 1..2000)
        ) {
            let mut recorder = Recorder::new(Settings { seed, ..Settings::default() });
            let mut draw = recorder.draw();
            for (index, (slot, size, what)) in steps.into_iter().enumerate() {
                let (address, now) = (0x10_0000 + slot * 4096, index as u64);
                let allocator = [Allocator::Pymalloc, Allocator::Malloc][slot % 2];
                // Mostly small ones: these are the ones that are sampled.
                let size = if what == 0 { size } else { size % 700 + 1 };
                draw.countdown -= size as i64;
                if what > 3 {
                    recorder.freed(address, 0, now, &mut Half);
                } else if draw.countdown < 0 || size >= recorder.always_from() {
                    let block = Block { address, size, allocator, epoch: draw.epoch, moved: Moved::default() };
                    let line = Line(u64::from(what) + 1);
                    let origin = Origin { frames: Some(&line), recording_thread: true, library: None };
                    recorder.allocated(block, 0, origin, now, &mut Half);
                    draw = recorder.draw();
                }
                if thinned.is_some_and(|t| index % 20 == t) && recorder.interval() < 4096.0 {
                    recorder.coarsen(1, &mut Half);
                }
            }
            let recorded = recorder.finish(1 << 20, 0, &mut Half);
            let [.., allocated, count] = recorded.sums;
            let sum = |of: fn(&SizeClass) -> Estimate| {
                recorded.sizes.iter().map(of).fold(Estimate::default(), |mut sum, part| {
                    sum += part;
                    sum
                })
            };
            // What is less than half a byte is dropped, of each site and figure.
            let room = 2.0 * recorded.sites.len() as f64;
            for (part, whole) in [(sum(|c| c.allocated), allocated), (sum(|c| c.count), count)] {
                prop_assert!((part.value - whole.value).abs() <= room + 1e-9 * whole.value);
                let error = (part.variance - whole.variance).abs();
                prop_assert!(error <= room + 1e-6 * whole.variance, "{part:?} of {whole:?}");
            }
        }
    }
}
