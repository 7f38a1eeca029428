//! By allocator and by size: two ways to take the whole apart, each of which adds up to it.

use super::tally::Figures;
use crate::profile::{Allocator, Bytes, Estimate, Profile};
use std::collections::BTreeMap;

/// A block of this many intervals is always recorded.
const ALWAYS: f64 = 8.0;
/// The smallest block that allocators give.
const SMALLEST: f64 = 16.0;

/// The blocks of one range of sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeRow {
    /// The smallest size; `None` for allocations whose size is not known.
    pub from: Option<Bytes>,
    /// The largest size; `None` where there is no limit.
    pub to: Option<Bytes>,
    /// The number of allocations.
    pub count: Estimate,
    /// Bytes of all of them.
    pub allocated: Estimate,
}

impl SizeRow {
    /// What one sample of the class weighs, in bytes and in blocks, for [`super::relative_error`] of the two
    /// figures: 0 for blocks that are all recorded. `step` is the sample interval.
    pub fn steps(&self, step: f64) -> (f64, f64) {
        let size = self.from.map_or(0.0, Bytes::as_f64).max(SMALLEST);
        if size >= ALWAYS * step { (0.0, 0.0) } else { (step.max(size), step.max(size) / size) }
    }

    /// `up to 31 B`, `32 to 63 B`, `1 to 2 MiB`, `1 GiB or more`.
    pub fn label(&self) -> String {
        match (self.from, self.to) {
            (None, _) => "of a size that is not known".to_owned(),
            (Some(Bytes(0)), Some(to)) => format!("up to {to}"),
            (Some(from), None) => format!("{} or more", whole(from)),
            (Some(from), Some(to)) if from.0 < 1024 && to.0 < 1024 => {
                format!("{} to {to}", from.0)
            }
            (Some(from), Some(to)) => format!("{} to {}", whole(from), whole(Bytes(to.0 + 1))),
        }
    }
}

/// A power of two without a fraction.
fn whole(size: Bytes) -> String {
    size.to_string().replace(".00", "").replace(".0", "")
}

/// Every allocator that was asked, in the order of [`Allocator`].
pub fn by_allocator(profile: &Profile) -> Vec<(Allocator, Figures)> {
    let mut allocators: BTreeMap<Allocator, Figures> = BTreeMap::new();
    for site in &profile.sites {
        allocators.entry(site.allocator).or_default().add_site(site);
    }
    allocators.into_iter().filter(|(_, figures)| !figures.is_empty()).collect()
}

/// The classes, smallest first. What the sites have beyond them, as of a library that tells its
/// bytes alone, is a last row; so the rows add up to the sites.
pub fn by_size(profile: &Profile) -> Vec<SizeRow> {
    let mut rows: Vec<SizeRow> = profile
        .sizes
        .iter()
        .map(|class| SizeRow {
            from: Some(class.from),
            to: match class.from.0 {
                0 => Some(Bytes(31)),
                from if from >= 1 << crate::profile::SizeClass::LAST => None,
                from => Some(Bytes(2 * from - 1)),
            },
            count: class.count,
            allocated: class.allocated,
        })
        .collect();
    let mut missing = (Estimate::default(), Estimate::default());
    for site in &profile.sites {
        missing.0 += site.count;
        missing.1 += site.allocated;
    }
    for row in &rows {
        missing.0 = minus(missing.0, row.count);
        missing.1 = minus(missing.1, row.allocated);
    }
    let (count, allocated) = missing;
    // Half a byte of each site may be lost to rounding.
    if allocated.value > 1.0 + 0.5 * profile.sites.len() as f64 || count.value >= 1.0 {
        rows.push(SizeRow { from: None, to: None, count, allocated });
    }
    rows
}

fn minus(whole: Estimate, part: Estimate) -> Estimate {
    Estimate {
        value: (whole.value - part.value).max(0.0),
        variance: (whole.variance - part.variance).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::SizeClass;

    #[test]
    fn a_sample_weighs_as_many_blocks_as_fit_into_the_interval() {
        let zero = Estimate::default();
        let row =
            |from| SizeRow { from: Some(Bytes(from)), to: None, count: zero, allocated: zero };
        assert_eq!(row(0).steps(0.0), (0.0, 0.0));
        assert_eq!(row(0).steps(1600.0), (1600.0, 100.0));
        assert_eq!(row(64).steps(6400.0), (6400.0, 100.0));
        assert_eq!(row(4096).steps(1024.0), (4096.0, 1.0));
        assert_eq!(row(8192).steps(1024.0), (0.0, 0.0));
    }

    #[test]
    fn a_class_says_its_sizes() {
        let label = |from, to: Option<u64>| {
            let zero = Estimate::default();
            let (from, to) = (Some(Bytes(from)), to.map(Bytes));
            SizeRow { from, to, count: zero, allocated: zero }.label()
        };
        assert_eq!(label(0, Some(31)), "up to 31 B");
        assert_eq!(label(32, Some(63)), "32 to 63 B");
        assert_eq!(label(512, Some(1023)), "512 to 1023 B");
        assert_eq!(label(1024, Some(2047)), "1 KiB to 2 KiB");
        assert_eq!(label(512 << 10, Some((1 << 20) - 1)), "512 KiB to 1 MiB");
        assert_eq!(label(1 << SizeClass::LAST, None), "1 GiB or more");
    }
}
