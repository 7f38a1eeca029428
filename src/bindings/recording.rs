//! Starting and stopping a recording.

use super::profile::PyProfile;
use super::{pools, self_test};
use crate::error::Error;
use crate::interpreter::frames;
use crate::profile::FileKind;
use crate::sampling::Paths;
use crate::session::{self, Described, Options, Session};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyModule, PyString};
use std::collections::BTreeMap;

/// Whether a recording is running in this process.
#[pyfunction]
pub(super) fn is_recording() -> bool {
    session::is_recording()
}

/// Installs the hooks and starts recording this process.
#[pyfunction]
#[pyo3(signature = (*, title, main_file, exact, library_paths, machinery_paths, whole_stacks=false))]
pub(super) fn start(
    py: Python<'_>,
    title: String,
    main_file: Option<String>,
    exact: bool,
    library_paths: Vec<String>,
    machinery_paths: Vec<String>,
    whole_stacks: bool,
) -> PyResult<PyRecording> {
    if session::is_recording() {
        return Err(Error::AlreadyRecording.into());
    }
    let no_stacks = self_test::mismatch(py);
    let version = py.version_info();
    let interpreter = format!("CPython {}.{}.{}", version.major, version.minor, version.patch);
    let collector = Collector::watch(py)?;
    if no_stacks.is_some() {
        frames::walk_nothing();
    } else if whole_stacks {
        frames::stop_nowhere();
    } else {
        frames::stop_here();
    }
    let paths =
        Paths { library: library_paths, machinery: machinery_paths, profiled: main_file.clone() };
    let (pools, ask) = (pools::begin(py), Some(pools::ask as fn() -> bool));
    let options = Options { title, main_file, exact, paths, interpreter, no_stacks, pools, ask };
    match Session::start(options) {
        Ok(session) => Ok(PyRecording { session, collector }),
        Err(error) => {
            collector.unwatch(py)?;
            Err(error.into())
        }
    }
}

/// A running recording.
#[pyclass(name = "Recording", module = "memprofile._native")]
pub(super) struct PyRecording {
    session: Session,
    collector: Collector,
}

#[pymethods]
impl PyRecording {
    /// Seconds since the start.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.session.elapsed().seconds()
    }

    /// Takes the hooks off and returns what was recorded.
    #[pyo3(signature = (describe, exception=None))]
    fn stop(
        &mut self,
        py: Python<'_>,
        describe: &Bound<'_, PyAny>,
        exception: Option<String>,
    ) -> PyResult<PyProfile> {
        let mut failed = None;
        if session::is_recording() {
            self.session.say(pools::end(py));
        }
        let profile = self.session.stop(exception, |file, lines| {
            describe_file(describe, file, lines).map_err(|error| failed = Some(error)).ok()
        })?;
        self.collector.unwatch(py)?;
        match failed {
            Some(error) => Err(error),
            None => Ok(PyProfile::new(profile)),
        }
    }
}

fn describe_file(describe: &Bound<'_, PyAny>, file: &str, lines: &[u32]) -> PyResult<Described> {
    let (label, kind, lines): (String, String, BTreeMap<u32, String>) =
        describe.call1((file, lines.to_vec()))?.extract()?;
    let kind = match kind.as_str() {
        "cell" => FileKind::Cell,
        "user" => FileKind::User,
        other => {
            let text = format!("describe() says kind {other:?}; return \"cell\" or \"user\"");
            return Err(PyValueError::new_err(text));
        }
    };
    Ok(Described { label, kind, lines })
}

/// Our function in `gc.callbacks`. Names are interned here and in `pools`: CPython's cache of methods
/// holds each string that an attribute was looked up by, and loses an entry of the program's for it.
struct Collector {
    callbacks: Py<PyAny>,
    ours: Py<PyAny>,
}

impl Collector {
    fn watch(py: Python<'_>) -> PyResult<Collector> {
        let callbacks = PyModule::import(py, "gc")?.getattr(intern!(py, "callbacks"))?;
        let ours = wrap_pyfunction!(collected, py)?.into_any();
        callbacks.call_method1(intern!(py, "append"), (&ours,))?;
        Ok(Collector { callbacks: callbacks.unbind(), ours: ours.unbind() })
    }

    fn unwatch(&self, py: Python<'_>) -> PyResult<()> {
        let callbacks = self.callbacks.bind(py);
        if callbacks.contains(&self.ours)? {
            callbacks.call_method1(intern!(py, "remove"), (&self.ours,))?;
        }
        Ok(())
    }
}

/// A recording may be lost without a stop: by an interrupt between the start and its assignment.
impl Drop for Collector {
    fn drop(&mut self) {
        // None: the interpreter is going away, and its list of callbacks with it.
        Python::try_attach(|py| {
            if let Err(error) = self.unwatch(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// What `gc` calls before and after a run (library reference, `gc.callbacks`). A program that makes
/// cycles calls it ten thousand times a second.
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
    Ok(())
}
