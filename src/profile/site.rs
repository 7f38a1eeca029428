//! Allocation sites: what each stack allocated, from which allocator, and how well
//! that is known.

use super::{Bytes, LineKey, StackId};
use serde::{Deserialize, Serialize};

/// Which allocator gave the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocator {
    /// CPython's small-object allocator: up to 512 bytes, inside of arenas.
    Pymalloc,
    /// The C library's heap: `malloc` and its family.
    Malloc,
    /// Pages straight from the kernel: anonymous `mmap`, and regions that a library reserved.
    Mmap,
    /// Arrow's memory pools.
    Arrow,
    /// The allocator of polars.
    Polars,
    /// None: pages of memory from before the start, which the code was the first to write to.
    Earlier,
}

impl Allocator {
    /// All of them, in their order.
    pub const ALL: [Allocator; 6] = [
        Allocator::Pymalloc,
        Allocator::Malloc,
        Allocator::Mmap,
        Allocator::Arrow,
        Allocator::Polars,
        Allocator::Earlier,
    ];
}

impl Allocator {
    /// Its name in files and in Python, such as `pymalloc`.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).expect("a variant without fields is a string");
        name.as_str().unwrap_or_default().to_owned()
    }
}

/// Which kind of thread allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadKind {
    /// One that runs Python: it has a Python stack.
    Python,
    /// One that a library made: no Python frame is its own.
    Native,
}

/// A figure and how well it is known.
///
/// Where every allocation was recorded the variance is 0. Where they were sampled, the
/// value is the Horvitz-Thompson estimate Σ s/p over the sampled blocks (s the size, p
/// the probability that a block of that size is sampled), which is unbiased, and the
/// variance its unbiased estimate Σ s²(1-p)/p².
/// Source: Horvitz and Thompson, JASA 47 (1952) 663-685.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure, in bytes or a count.
    pub value: f64,
    /// Its variance, in the square of that unit; 0 when the figure is exact.
    #[serde(default)]
    pub variance: f64,
}

impl Estimate {
    /// A figure that is known exactly.
    pub fn exact(value: f64) -> Estimate {
        Estimate { value, variance: 0.0 }
    }

    /// Half the width of the 95% interval around `value`, in its unit.
    ///
    /// `step` is the weight of one sample: about the sample interval for blocks smaller than
    /// it, 0 when nothing was sampled. The interval is the score interval of a Poisson count
    /// (value/step samples), made symmetric by its wider side, so that it also covers a line
    /// whose few blocks were all missed: with no sample at all it is z²·step = 3.84 intervals.
    /// Source: Barker, The American Statistician 56 (2002) 85-89, "score" interval.
    pub fn margin(&self, step: f64) -> f64 {
        const Z: f64 = 1.959_964;
        let half = Z * Z * step / 2.0;
        Z * (self.variance + half * half / (Z * Z)).sqrt() + half
    }
}

impl std::ops::AddAssign for Estimate {
    fn add_assign(&mut self, other: Estimate) {
        self.value += other.value;
        self.variance += other.variance;
    }
}

/// What one stack allocated from one allocator. Bytes are as requested; blocks of 1 MiB and more
/// count by what of them was in use (resident).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The stack; `None` where the thread has no Python frame. That of a native thread has one row,
    /// which names the library that asked, where it is known.
    pub stack: Option<StackId>,
    /// Where the memory came from.
    pub allocator: Allocator,
    /// Who asked for it.
    pub thread: ThreadKind,
    /// Live when the footprint was largest.
    pub peak: Estimate,
    /// Live at the end.
    pub surviving: Estimate,
    /// All of it: `surviving + temporary + untouched`.
    pub allocated: Estimate,
    /// Freed before the end.
    pub temporary: Estimate,
    /// Bytes of large blocks that were asked for and never in use.
    #[serde(default)]
    pub untouched: Bytes,
    /// The number of allocations.
    pub count: Estimate,
    /// Of a native thread: the line of the user's own that ran meanwhile, where it is known.
    #[serde(default)]
    pub waiting: Option<LineKey>,
}
