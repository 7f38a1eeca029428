//! What the names of a notebook hold before and after a cell, for Python.

use super::objects::{Libraries, ask, room};
use crate::interpreter::objects::{Before, Look, Namespace, Scope};
use crate::profile::{NameChange, Names};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::time::Duration;

/// What the names held before a cell.
#[pyclass(name = "NamesBefore", module = "memprofile._native", frozen)]
pub(super) struct PyNamesBefore(Before);

/// What has changed of them, as a recording takes it.
#[pyclass(name = "NameChanges", module = "memprofile._native", frozen)]
pub(super) struct PyNameChanges(pub(super) Names);

/// Data alone, up to what the shell has for itself.
fn scope(py: Python<'_>, border: &[Bound<'_, PyAny>], libraries: &Libraries<'_>) -> Scope {
    let scope = border.iter().fold(Scope::of_data(py, room()), Scope::up_to);
    scope.without_program().with_foreign(&libraries.0)
}

#[pymethods]
impl PyNamesBefore {
    #[new]
    fn new<'py>(
        names: &Bound<'py, PyDict>,
        hidden: &Bound<'py, PyDict>,
        border: Vec<Bound<'py, PyAny>>,
        libraries: Libraries<'py>,
    ) -> PyResult<PyNamesBefore> {
        let scope = scope(names.py(), &border, &libraries);
        let look = Look::before(Namespace { names, hidden }, &scope)?;
        let held = ask(&libraries, look.foreign())?;
        Ok(PyNamesBefore(Before::new(look, &held)))
    }

    /// Looks again, after a cell that took so many seconds.
    fn changes<'py>(
        &self,
        seconds: f64,
        names: &Bound<'py, PyDict>,
        hidden: &Bound<'py, PyDict>,
        border: Vec<Bound<'py, PyAny>>,
        libraries: Libraries<'py>,
    ) -> PyResult<PyNameChanges> {
        let scope = scope(names.py(), &border, &libraries);
        let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let look = Look::after(Namespace { names, hidden }, &scope, &self.0, took)?;
        let held = ask(&libraries, look.foreign())?;
        Ok(PyNameChanges(self.0.changes(look, &held)))
    }
}

/// What one name holds more than before, in bytes.
#[pyclass(name = "NameChange", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyNameChange {
    name: String,
    r#type: String,
    before_bytes: Option<u64>,
    after_bytes: Option<u64>,
    grown_bytes: i64,
    at_least: bool,
}

impl PyNameChange {
    pub(super) fn new(change: &NameChange) -> PyNameChange {
        PyNameChange {
            name: change.name.clone(),
            r#type: change.kind.clone(),
            before_bytes: change.before.map(|bytes| bytes.0),
            after_bytes: change.after.map(|bytes| bytes.0),
            grown_bytes: change.grown().0,
            at_least: change.at_least,
        }
    }
}

#[pymethods]
impl PyNameChange {
    fn __repr__(&self) -> String {
        let grown = crate::profile::SignedBytes(self.grown_bytes);
        format!("<NameChange {} ({}): {grown}>", self.name, self.r#type)
    }
}
