//! What a frame holds, for Python to draw.

use super::profile::{PyBundle, drawn, py_bundle, wanted};
use crate::error::Result;
use crate::render;
use crate::report::frames::Frame;
use pyo3::prelude::*;

/// A frame as Python found it.
#[pyclass(name = "FrameReport", module = "memprofile._native", frozen)]
pub(super) struct PyFrameReport {
    frame: Frame,
}

impl PyFrameReport {
    fn draw<T: Send>(
        &self,
        py: Python<'_>,
        ink: impl FnOnce(&Frame) -> Result<T> + Send,
    ) -> PyResult<T> {
        drawn(py, &self.frame, ink)
    }
}

#[pymethods]
impl PyFrameReport {
    #[new]
    fn new(text: &str) -> PyResult<PyFrameReport> {
        Ok(PyFrameReport { frame: Frame::from_json(text)? })
    }

    fn to_text(&self, py: Python<'_>, width: usize, color: bool) -> PyResult<String> {
        self.draw(py, |frame| Ok(render::frame_text(frame, width, color)))
    }

    fn to_line(&self, py: Python<'_>) -> PyResult<String> {
        self.draw(py, |frame| Ok(render::frame_line(frame)))
    }

    fn to_html(&self, py: Python<'_>) -> PyResult<String> {
        self.draw(py, render::frame_html)
    }

    fn bundle<'py>(
        &self,
        py: Python<'py>,
        forms: (bool, bool, bool),
        width: usize,
        color: bool,
    ) -> PyResult<PyBundle<'py>> {
        let wanted = wanted(forms, width, color);
        Ok(py_bundle(py, self.draw(py, |frame| render::frame_bundle(frame, wanted))?))
    }
}
