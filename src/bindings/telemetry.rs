//! Telling the process that started this one how it goes.

use super::self_test;
use crate::hooks::segment;
use crate::interpreter::frames;
use crate::sampling::Paths;
use crate::session;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// From now on the segment that was inherited by this number is written to.
#[pyfunction]
pub(super) fn tell_to(descriptor: i32) -> PyResult<()> {
    Ok(session::tell_to(descriptor)?)
}

/// Whether this process tells how it goes.
#[pyfunction]
pub(super) fn tells() -> bool {
    session::tells()
}

/// A cell begins.
#[pyfunction]
#[pyo3(signature = (message, filename, label, display=None))]
pub(super) fn begin_cell(
    message: String,
    filename: String,
    label: String,
    display: Option<String>,
) {
    session::begin_cell(message, filename, label, display);
}

/// Has the cell that runs be shown in a display, or no more; whether it is that of this request.
#[pyfunction]
#[pyo3(signature = (message, display))]
pub(super) fn show_cell(message: &str, display: Option<String>) -> bool {
    session::show_cell(message, display)
}

/// Whether the black box, or a recording of the user's, goes on from the cell before.
#[pyfunction]
pub(super) fn black_box_goes_on() -> bool {
    session::black_box_goes_on()
}

/// Begins the black box, unless something is recorded already.
#[pyfunction]
pub(super) fn begin_black_box(
    py: Python<'_>,
    library_paths: Vec<String>,
    machinery_paths: Vec<String>,
) {
    if !session::is_recording() {
        if self_test::mismatch(py).is_some() {
            frames::walk_nothing();
        } else {
            frames::stop_nowhere();
        }
        let paths = Paths { library: library_paths, machinery: machinery_paths, profiled: None };
        session::begin_black_box(paths);
    }
}

/// Ends the black box, if it is on.
#[pyfunction]
pub(super) fn end_black_box() {
    session::end_black_box();
}

/// The cell has ended.
#[pyfunction]
pub(super) fn end_cell() {
    session::end_cell();
}

/// Makes a segment for a process that is to be started; its descriptor is inherited.
#[pyfunction]
pub(super) fn make_segment() -> PyResult<i32> {
    #[cfg(target_os = "linux")]
    return Ok(std::os::fd::IntoRawFd::into_raw_fd(segment::create()?));
    #[cfg(not(target_os = "linux"))]
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into())
}

/// What the process wrote there last.
#[pyfunction]
pub(super) fn read_segment(
    py: Python<'_>,
    path: std::path::PathBuf,
) -> PyResult<Option<Py<PyBytes>>> {
    let letter = segment::Reader::new(std::fs::File::open(path)?)?.read()?;
    Ok(letter.map(|letter| PyBytes::new(py, &letter).unbind()))
}
