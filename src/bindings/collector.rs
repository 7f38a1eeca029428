//! The runs of Python's cyclic garbage collector, by `gc.callbacks` (library reference, `gc`).
//!
//! The collector makes a dictionary for each call, before and after a run. A program that makes cycles
//! has thousands of runs a second, and pays 3% for being told of them. So our function is taken off
//! again where there are so many: from then on they are counted, by the collector itself, and not timed.

use crate::hooks::reentrancy::Pause;
use crate::interpreter::pending::Pending;
use crate::session;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyModule, PyString};

/// Our function, one for the life of the process. Names are interned here and in `pools`: CPython's
/// cache of methods holds each string that an attribute was looked up by, and loses an entry of the
/// program's for it.
static OURS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn ours(py: Python<'_>) -> PyResult<&Py<PyAny>> {
    OURS.get_or_try_init(py, || Ok(wrap_pyfunction!(collected, py)?.into_any().unbind()))
}

fn callbacks(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let gc = PyModule::import(py, intern!(py, "gc"))?;
    Ok(gc.getattr(intern!(py, "callbacks"))?.cast_into()?)
}

/// What is to be told of the collector's runs, until it is dropped.
pub(super) struct Collector {
    /// How many runs there had been when this began.
    before: u64,
}

impl Collector {
    pub(super) fn watch(py: Python<'_>) -> PyResult<Collector> {
        let before = runs(py)?;
        callbacks(py)?.append(ours(py)?)?;
        Ok(Collector { before })
    }

    /// How many runs there were, timed or not.
    pub(super) fn runs(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(runs(py)?.saturating_sub(self.before))
    }
}

/// A recording may be lost without a stop: by an interrupt between the start and its assignment.
impl Drop for Collector {
    fn drop(&mut self) {
        // None: the interpreter is going away, and its list of callbacks with it.
        Python::try_attach(|py| {
            if let Err(error) = unwatch(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// Takes our function off the list. Compared by identity: what others put there may have an `__eq__`.
fn unwatch(py: Python<'_>) -> PyResult<()> {
    let (callbacks, ours) = (callbacks(py)?, ours(py)?);
    match callbacks.iter().position(|callback| callback.is(ours)) {
        Some(index) => callbacks.del_item(index),
        None => Ok(()),
    }
}

/// How many runs there were in this process.
fn runs(py: Python<'_>) -> PyResult<u64> {
    let gc = PyModule::import(py, intern!(py, "gc"))?;
    let generations = gc.call_method0(intern!(py, "get_stats"))?.cast_into::<PyList>()?;
    let of = |generation: Bound<'_, PyAny>| -> PyResult<u64> {
        generation.get_item(intern!(py, "collections"))?.extract()
    };
    generations.iter().map(of).sum()
}

/// Asked for from within the list's own calls, which must not find it changed. Until it is done another
/// recording may have begun.
static UNWATCH: Pending = Pending::new(|| {
    let _pause = Pause::new();
    if !session::enough_collections() {
        return;
    }
    Python::try_attach(|py| {
        if let Err(error) = unwatch(py) {
            error.write_unraisable(py, None);
        }
    });
});

/// What the collector calls before and after a run.
#[pyfunction]
fn collected(phase: &str, info: &Bound<'_, PyDict>) -> PyResult<()> {
    if phase == "start" {
        session::collection(None);
        return Ok(());
    }
    let py = info.py();
    let number = |key: &Bound<'_, PyString>| -> PyResult<u64> {
        info.get_item(key)?.map_or(Ok(0), |value| value.extract())
    };
    session::collection(Some((
        u8::try_from(number(intern!(py, "generation"))?).unwrap_or(u8::MAX),
        number(intern!(py, "collected"))?,
        number(intern!(py, "uncollectable"))?,
    )));
    if session::enough_collections() {
        UNWATCH.ask();
    }
    Ok(())
}
