//! A comparison of two profiles for Python.

use crate::render;
use crate::report::{Change, Diff, DiffRow};
use pyo3::prelude::*;

/// What changed from one profile to another.
#[pyclass(name = "Diff", module = "memprofile._native", frozen)]
pub(super) struct PyDiff {
    diff: Diff,
}

impl PyDiff {
    pub(super) fn new(diff: Diff) -> PyDiff {
        PyDiff { diff }
    }
}

fn grown(change: Change) -> i64 {
    change.grown().round() as i64
}

#[pymethods]
impl PyDiff {
    #[getter]
    fn peak_footprint(&self) -> i64 {
        grown(self.diff.total.peak)
    }

    #[getter]
    fn surviving_bytes(&self) -> i64 {
        grown(self.diff.total.surviving)
    }

    #[getter]
    fn total_allocated(&self) -> i64 {
        grown(self.diff.total.allocated)
    }

    #[getter]
    fn peak_rss(&self) -> i64 {
        let [before, after] = self.diff.resident;
        after.0.wrapping_sub(before.0) as i64
    }

    #[getter]
    fn lines(&self) -> Vec<PyDiffLine> {
        self.diff.lines.iter().map(PyDiffLine::new).collect()
    }

    fn to_line(&self) -> String {
        self.diff.sentence()
    }

    fn to_text(&self, top: usize, width: usize) -> String {
        render::diff_text(&self.diff, top, width)
    }

    fn to_html(&self, top: usize) -> String {
        render::diff_html(&self.diff, top)
    }
}

/// What changed of one line of the user's own code; bytes.
#[pyclass(name = "DiffLine", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyDiffLine {
    name: String,
    source: String,
    peak_bytes: i64,
    surviving_bytes: i64,
    allocated_bytes: i64,
    within_error: bool,
}

impl PyDiffLine {
    fn new(row: &DiffRow) -> PyDiffLine {
        let changes = [row.peak, row.surviving, row.allocated];
        PyDiffLine {
            name: row.name.clone(),
            source: row.source.clone(),
            peak_bytes: grown(row.peak),
            surviving_bytes: grown(row.surviving),
            allocated_bytes: grown(row.allocated),
            within_error: changes
                .iter()
                .all(|change| change.grown() == 0.0 || change.within_error()),
        }
    }
}

#[pymethods]
impl PyDiffLine {
    fn __repr__(&self) -> String {
        format!(
            "<DiffLine {}: {} at the peak>",
            self.name,
            crate::report::signed(self.peak_bytes as f64)
        )
    }
}
