//! Starting and stopping a recording.

use super::collector::Collector;
use super::namespace::PyNameChanges;
use super::profile::PyProfile;
use super::{live, pools, self_test};
use crate::error::Error;
use crate::interpreter::frames;
use crate::profile::{Bytes, FileKind, Keeper, Names};
use crate::sampling::Paths;
use crate::session::{self, Described, Options, Session};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyAny;
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
    session::when_returned_from_fork(live::returned_from_fork);
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
    Ok(PyRecording { session: Session::start(options)?, collector: Some(collector) })
}

/// A running recording.
#[pyclass(name = "Recording", module = "memprofile._native")]
pub(super) struct PyRecording {
    session: Session,
    collector: Option<Collector>,
}

#[pymethods]
impl PyRecording {
    /// Seconds since the start.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.session.elapsed().seconds()
    }

    /// Takes the hooks off and returns what was recorded, with what `keepers` and `names` say since.
    #[pyo3(signature = (describe, exception=None, keepers=None, names=None))]
    fn stop(
        &mut self,
        py: Python<'_>,
        describe: &Bound<'_, PyAny>,
        exception: Option<String>,
        keepers: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyProfile> {
        let mut failed = None;
        if session::is_recording() {
            self.session.say(pools::end(py));
            let collector = self.collector.take();
            session::collections(collector.map_or(Ok(0), |collector| collector.runs(py))?);
        }
        let mut profile = self.session.stop(exception, |file, lines| {
            describe_file(describe, file, lines).map_err(|error| failed = Some(error)).ok()
        })?;
        if session::is_limited() {
            // Of the cell around it: what follows in that cell is limited, too.
            frames::stop_nowhere();
            session::go_on_in_black_box(self.session.paths());
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(keepers) = keepers {
            let found: Vec<(String, u64)> = keepers.call0()?.extract()?;
            let keeper = |(name, bytes)| Keeper { name, bytes: Bytes(bytes) };
            profile.keepers = found.into_iter().map(keeper).collect();
        }
        let took = profile.recording.duration.seconds();
        match names.map(|names| name_changes(names, took)) {
            None => {}
            Some(Ok(changes)) => profile.names = changes,
            // An interrupt is none of ours to keep.
            Some(Err(error)) if !error.is_instance_of::<PyException>(py) => return Err(error),
            Some(Err(error)) => {
                profile.gaps.push(format!("What the names hold could not be compared: {error}."));
            }
        }
        Ok(PyProfile::new(profile))
    }
}

fn name_changes(names: &Bound<'_, PyAny>, seconds: f64) -> PyResult<Names> {
    let changes = names.call1((seconds,))?;
    Ok(changes.cast::<PyNameChanges>()?.get().0.clone())
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
