//! The supervisor kernel for Python: `python/memprofile/kernel.py` is its door.

use super::MemprofileError;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// Runs the kernel of a connection file until it is shut down; gives the exit code.
#[pyfunction]
pub(super) fn run_kernel(
    py: Python<'_>,
    connection_file: PathBuf,
    command: Vec<OsString>,
) -> PyResult<i32> {
    #[cfg(target_os = "linux")]
    return Ok(py.detach(|| crate::kernel::run(&connection_file, command))?);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (py, connection_file, command);
        Err(elsewhere())
    }
}

/// Has this process end when the one that started it does, which must be `parent`.
#[pyfunction]
pub(super) fn end_with_parent(parent: i32) -> PyResult<()> {
    #[cfg(target_os = "linux")]
    return crate::kernel::end_with_parent(parent).map_err(|error| {
        MemprofileError::new_err(format!("the kernel cannot be followed: {error}"))
    });
    #[cfg(not(target_os = "linux"))]
    {
        let _ = parent;
        Err(elsewhere())
    }
}

#[cfg(not(target_os = "linux"))]
fn elsewhere() -> PyErr {
    MemprofileError::new_err(
        "the memprofile kernel runs on Linux only; choose the kernel \"Python 3 (ipykernel)\", in which %load_ext memprofile works",
    )
}
