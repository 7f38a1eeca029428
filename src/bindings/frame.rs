//! What a frame holds, for Python to draw.

use crate::error::{Error, Result};
use crate::render;
use crate::report::frames::Frame;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A frame as Python found it.
#[pyclass(name = "FrameReport", module = "memprofile._native", frozen)]
pub(super) struct PyFrameReport {
    frame: Frame,
}

impl PyFrameReport {
    /// Without the GIL; a panic in a drawing is an error of ours and no end of the cell.
    fn draw<T: Send>(
        &self,
        py: Python<'_>,
        ink: impl FnOnce(&Frame) -> Result<T> + Send,
    ) -> PyResult<T> {
        let drawn = py.detach(|| catch_unwind(AssertUnwindSafe(|| ink(&self.frame))));
        let internal = |_| Error::Drawing { reason: "an internal error".to_owned() };
        Ok(drawn.map_err(internal)??)
    }
}

#[pymethods]
impl PyFrameReport {
    #[new]
    fn new(text: &str) -> PyResult<PyFrameReport> {
        Ok(PyFrameReport { frame: Frame::from_json(text)? })
    }

    fn to_text(&self, py: Python<'_>, color: bool) -> PyResult<String> {
        self.draw(py, |frame| Ok(render::frame_text(frame, color)))
    }

    fn to_line(&self, py: Python<'_>) -> PyResult<String> {
        self.draw(py, |frame| Ok(render::frame_line(frame)))
    }

    fn to_html(&self, py: Python<'_>) -> PyResult<String> {
        self.draw(py, render::frame_html)
    }

    fn to_png<'py>(
        &self,
        py: Python<'py>,
        largest: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, u32, u32)> {
        let png = self.draw(py, |frame| render::frame_png(frame, largest))?;
        Ok((PyBytes::new(py, &png.bytes), png.width, png.height))
    }

    fn alt_text(&self, py: Python<'_>) -> PyResult<String> {
        self.draw(py, |frame| Ok(render::frame_alt_text(frame)))
    }
}
