//! A limit on memory: setting it, and raising the exception.

use crate::hooks::{reentrancy::Pause, wake};
use crate::interpreter::pending::is_main_thread;
use crate::process::{memory_in_all, memory_left};
use crate::profile::Bytes;
use crate::profile::telemetry::Whose;
use crate::session::{self, Bounds, Due};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyModule, PyTuple};

/// The number of the signal that a limit sends.
pub(super) const SIGNAL: i32 = wake::SIGNAL;

/// The number that the next limit will have.
#[pyfunction]
pub(super) fn next_limit() -> u64 {
    session::next_limit()
}

/// Sets a limit for what this thread does in frames of `code`, and raises only in what `caller` has called there.
/// Both must live until it is lifted.
#[pyfunction]
#[pyo3(signature = (code, limit, raises, caller))]
pub(super) fn arm_limit(
    code: &Bound<'_, PyCode>,
    limit: Option<u64>,
    raises: bool,
    caller: Option<&Bound<'_, PyCode>>,
) {
    let raises = raises && is_main_thread();
    let (code, caller) = (code.as_ptr() as usize, caller.map(|caller| caller.as_ptr() as usize));
    session::arm(Bounds { bytes: limit.map(Bytes), code, caller, raises });
}

/// Lifts it, with those that were set after it. The last request that it has refused: the limit, what was
/// held, what was asked for, and where.
#[pyfunction]
pub(super) fn disarm_limit(number: u64) -> Option<(u64, u64, u64, String, u32)> {
    session::disarm(number).map(|r| (r.limit.0, r.held.0, r.requested.0, r.file, r.line))
}

/// The limit that is in force, and whose it is.
#[pyfunction]
pub(super) fn limit_in_force() -> Option<(u64, &'static str)> {
    session::in_force().map(|(limit, whose)| {
        let whose = match whose {
            Whose::User => "user",
            Whose::Machine => "machine",
            Whose::ControlGroup => "control group",
        };
        (limit.0, whose)
    })
}

/// What this process holds, what it may still take, and the most that there is; whose that is.
#[pyfunction]
pub(super) fn memory_now() -> Option<(u64, u64, u64, bool)> {
    let held = session::held()?;
    let (left, all) = (memory_left()?, memory_in_all()?);
    Some((held.0, left.bytes.0, all.0, left.of_group))
}

/// What this process holds when malloc has given back what nobody uses.
#[pyfunction]
pub(super) fn memory_needed() -> Option<u64> {
    session::held_at_least().map(|held| held.0)
}

/// The handler of the signal. A signal that is none of ours goes to the one before.
#[pyclass(name = "LimitHandler", module = "memprofile._native", frozen)]
pub(super) struct PyLimitHandler {
    #[pyo3(get)]
    previous: Py<PyAny>,
}

#[pymethods]
impl PyLimitHandler {
    #[new]
    fn new(previous: Py<PyAny>) -> PyLimitHandler {
        PyLimitHandler { previous }
    }

    /// Called by Python between two instructions. It raises by itself, so that the traceback ends at the line
    /// that was running.
    #[pyo3(signature = (*args))]
    fn __call__(&self, args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = args.py();
        let due = {
            let _pause = Pause::new();
            session::due()
        };
        match due {
            Due::Raise { limit, held } => {
                let errors = PyModule::import(py, intern!(py, "memprofile.errors"))?;
                let class = errors.getattr(intern!(py, "MemoryLimitExceeded"))?;
                Err(PyErr::from_value(class.call1((limit.0, held.0))?))
            }
            Due::Nothing => Ok(()),
            Due::NotOurs => {
                let previous = self.previous.bind(py);
                if previous.is_callable() {
                    previous.call1(args)?;
                }
                Ok(())
            }
        }
    }
}
