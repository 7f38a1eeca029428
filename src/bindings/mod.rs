//! The `_native` Python module: conversions only. `python/memprofile/_native.pyi` is its contract.

mod breakdown;
mod cells;
mod child;
mod collector;
mod diff;
mod frame;
mod heap;
mod kernel;
mod ledger;
mod limit;
mod listing;
mod live;
mod names;
mod namespace;
mod objects;
mod pools;
mod profile;
mod recording;
mod roll;
mod self_test;
mod telemetry;

use crate::error::Error;
use pyo3::prelude::*;

pyo3::create_exception!(
    memprofile,
    MemprofileError,
    pyo3::exceptions::PyException,
    "Base of every error that memprofile raises; its message says what to do next."
);

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        MemprofileError::new_err(error.to_string())
    }
}

/// The Rust engine of memprofile.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::MemprofileError;
    #[pymodule_export]
    use super::breakdown::{PyAllocator, PySizeClass};
    #[pymodule_export]
    use super::cells::{PyCellColumn, PyCells, arrow_chunks};
    #[pymodule_export]
    use super::child::{PyChild, PyForkedLine};
    #[pymodule_export]
    use super::diff::{PyDiff, PyDiffLine};
    #[pymodule_export]
    use super::frame::PyFrameReport;
    #[pymodule_export]
    use super::heap::{PyHeapCensus, garbage_knots, heap_census, ways};
    #[pymodule_export]
    use super::kernel::{end_with_parent, run_kernel};
    #[pymodule_export]
    use super::ledger::{PyBalance, PyLedger};
    #[pymodule_export]
    use super::limit::{
        PyLimitHandler, arm_limit, disarm_limit, limit_in_force, memory_needed, memory_now,
        next_limit,
    };
    #[pymodule_export]
    use super::listing::PyListing;
    #[pymodule_export]
    use super::live::{live, live_end};
    #[pymodule_export]
    use super::names::{PyNameShare, name_shares};
    #[pymodule_export]
    use super::namespace::{PyNameChange, PyNameChanges, PyNamesBefore};
    #[pymodule_export]
    use super::objects::{
        PySizeTree, allocated_at, argument_is_lent, bytes_text, collector_runs, deep_size,
        immortal_and_interned, retained_size, shallow_size, size_tree,
    };
    #[pymodule_export]
    use super::profile::{PyLine, PyProfile, PySite, PyTimeline};
    #[pymodule_export]
    use super::recording::{PyRecording, is_recording, start};
    #[pymodule_export]
    use super::roll::{PyHeapRoll, PyRollChange};
    #[pymodule_export]
    use super::self_test::stack;
    #[pymodule_export]
    use super::telemetry::{
        begin_black_box, begin_cell, black_box_goes_on, end_black_box, end_cell, make_segment,
        read_segment, show_cell, tell_to, tells,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    const LIMIT_SIGNAL: i32 = super::limit::SIGNAL;
    #[pymodule_export]
    const TELEMETRY_FD: &str = crate::profile::telemetry::VARIABLE;
}
