//! How a recording goes while it runs.

use crate::hooks::reentrancy::Pause;
use crate::report::Live;
use crate::{render, session};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyModule;

/// How the recording that is on goes, as HTML and as text.
#[pyfunction]
#[pyo3(signature = (title, place=None, source=None))]
pub(super) fn live(
    py: Python<'_>,
    title: String,
    place: Option<String>,
    source: Option<String>,
) -> PyResult<Option<(String, String)>> {
    let drawn = py.detach(|| {
        let _pause = Pause::new();
        let Some(mut live) = session::now() else { return Ok(None) };
        live.title = title;
        live.line = place.map(|place| (place, source.unwrap_or_default()));
        render::live_html(&live).map(|html| Some((html, render::live_text(&live))))
    });
    Ok(drawn?)
}

/// How the cell that has just ended went, as HTML and as text.
#[pyfunction]
pub(super) fn live_end(py: Python<'_>, code: &str) -> PyResult<Option<(String, String)>> {
    let drawn = py.detach(|| {
        let _pause = Pause::new();
        let live = session::told().and_then(|told| Live::told(&told, code));
        let Some(live) = live.filter(|live| live.ended) else { return Ok(None) };
        render::live_html(&live).map(|html| Some((html, render::live_text(&live))))
    });
    Ok(drawn?)
}

/// The display goes on after a fork, where the module that has it was imported.
pub(super) fn returned_from_fork() {
    // None: the interpreter is going away.
    Python::try_attach(|py| {
        let resume = || -> PyResult<()> {
            let modules =
                PyModule::import(py, intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
            if modules.contains(intern!(py, "memprofile.live"))? {
                modules
                    .get_item(intern!(py, "memprofile.live"))?
                    .call_method0(intern!(py, "resume"))?;
            }
            Ok(())
        };
        if let Err(error) = resume() {
            error.write_unraisable(py, None);
        }
    });
}
