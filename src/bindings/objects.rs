//! Sizes of objects for Python.

use crate::interpreter::objects::Measure;
use pyo3::prelude::*;

/// The bytes of the blocks that are an object's own.
#[pyfunction]
pub(super) fn shallow_size(object: &Bound<'_, PyAny>) -> u64 {
    Measure::new(object.py()).shallow(object).bytes().0
}
