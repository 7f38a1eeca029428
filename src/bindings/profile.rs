//! A finished profile for Python.

use crate::profile::Profile;
use pyo3::prelude::*;

/// A finished recording.
#[pyclass(name = "Profile", module = "memprofile._native", frozen)]
pub(super) struct PyProfile {
    profile: Profile,
}

impl PyProfile {
    pub(super) fn new(profile: Profile) -> PyProfile {
        PyProfile { profile }
    }
}

#[pymethods]
impl PyProfile {
    /// Reads what `to_json` wrote.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<PyProfile> {
        Ok(PyProfile::new(Profile::from_json(text)?))
    }

    /// The profile as JSON.
    fn to_json(&self) -> String {
        self.profile.to_json()
    }
}
