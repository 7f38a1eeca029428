//! By allocator and by size, for Python.

use crate::profile::{Allocator, Bytes, Profile};
use crate::report::{Figures, SizeRow, relative_error, sizes};
use pyo3::prelude::*;

/// What one allocator gave.
#[pyclass(name = "AllocatorFigures", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyAllocator {
    allocator: String,
    peak_bytes: u64,
    surviving_bytes: u64,
    allocated_bytes: u64,
    allocation_count: u64,
    temporary_bytes: u64,
}

pub(super) fn allocators(profile: &Profile) -> Vec<PyAllocator> {
    let bytes = |figure: crate::profile::Estimate| Bytes::from_f64(figure.value).0;
    let row = |(allocator, figures): (Allocator, Figures)| PyAllocator {
        allocator: allocator.name(),
        peak_bytes: bytes(figures.peak),
        surviving_bytes: bytes(figures.surviving),
        allocated_bytes: bytes(figures.allocated),
        allocation_count: bytes(figures.count),
        temporary_bytes: bytes(figures.temporary),
    };
    sizes::by_allocator(profile).into_iter().map(row).collect()
}

#[pymethods]
impl PyAllocator {
    fn __repr__(&self) -> String {
        let (peak, all) = (Bytes(self.peak_bytes), Bytes(self.allocated_bytes));
        format!("<AllocatorFigures {}: {peak} at the peak, {all} allocated>", self.allocator)
    }
}

/// The blocks of one range of sizes.
#[pyclass(name = "SizeClass", module = "memprofile._native", frozen, get_all)]
pub(super) struct PySizeClass {
    smallest: Option<u64>,
    largest: Option<u64>,
    allocation_count: u64,
    allocated_bytes: u64,
    relative_error: f64,
    label: String,
}

pub(super) fn size_classes(profile: &Profile) -> Vec<PySizeClass> {
    let step = profile.recording.sample_interval.as_f64();
    let row = |row: SizeRow| PySizeClass {
        smallest: row.from.map(|size| size.0),
        largest: row.to.map(|size| size.0),
        allocation_count: Bytes::from_f64(row.count.value).0,
        allocated_bytes: Bytes::from_f64(row.allocated.value).0,
        relative_error: relative_error(row.allocated, row.steps(step).0).unwrap_or(0.0),
        label: row.label(),
    };
    sizes::by_size(profile).into_iter().map(row).collect()
}

#[pymethods]
impl PySizeClass {
    fn __repr__(&self) -> String {
        let bytes = Bytes(self.allocated_bytes);
        format!("<SizeClass {}: {} blocks, {bytes}>", self.label, self.allocation_count)
    }
}
