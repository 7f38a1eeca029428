//! A finished profile for Python: figures as attributes, tables as lists, drawings as text.

use super::breakdown::{self, PyAllocator, PySizeClass};
use super::child::{PyChild, PyForkedLine};
use super::diff::PyDiff;
use super::ledger::PyLedger;
use super::namespace::PyNameChange;
use crate::error::{Error, Result};
use crate::profile::{Allocator, Bytes, FileKind, Profile, Site, ThreadKind};
use crate::render;
use crate::report::{self, Diff, Report};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The file, the width and the height to show it at, and what it shows.
type PyPicture<'py> = (Bound<'py, PyBytes>, u32, u32, String);

/// A finished recording.
#[pyclass(name = "Profile", module = "memprofile._native", frozen)]
pub(super) struct PyProfile {
    profile: Profile,
}

impl PyProfile {
    pub(super) fn new(profile: Profile) -> PyProfile {
        PyProfile { profile }
    }

    /// Draws without the GIL, so that other threads of the notebook go on. A panic in a drawing
    /// must not reach Python: there it would be no `Exception` and end the cell.
    fn draw<T: Send>(
        &self,
        py: Python<'_>,
        top: usize,
        ink: impl FnOnce(&Report) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.guarded(py, |profile| ink(&Report::new(profile, &report::Options { top })))
    }

    fn guarded<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Profile) -> Result<T> + Send,
    ) -> PyResult<T> {
        drawn(py, &self.profile, work)
    }
}

/// Draws something without the GIL; a panic in a drawing is an error of ours and no end of the cell.
pub(super) fn drawn<S: Sync, T: Send>(
    py: Python<'_>,
    subject: &S,
    work: impl FnOnce(&S) -> Result<T> + Send,
) -> PyResult<T> {
    let drawn = py.detach(|| catch_unwind(AssertUnwindSafe(|| work(subject))));
    let internal = |_| Error::Drawing { reason: "an internal error".to_owned() };
    Ok(drawn.map_err(internal)??)
}

#[pymethods]
impl PyProfile {
    /// Reads what `to_json` wrote, in this or an older version.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<PyProfile> {
        Ok(PyProfile::new(Profile::from_json(text)?))
    }

    #[getter]
    fn title(&self) -> &str {
        &self.profile.recording.title
    }

    #[getter]
    fn exact(&self) -> bool {
        self.profile.recording.exact()
    }

    #[getter]
    fn sample_interval(&self) -> u64 {
        self.profile.recording.sample_interval.0
    }

    #[getter]
    fn peak_footprint(&self) -> u64 {
        self.profile.totals.peak_footprint.0
    }

    #[getter]
    fn footprint_delta(&self) -> i64 {
        self.profile.totals.footprint_delta.0
    }

    #[getter]
    fn start_rss(&self) -> u64 {
        self.profile.totals.start_rss.0
    }

    #[getter]
    fn peak_rss(&self) -> u64 {
        self.profile.totals.peak_rss.0
    }

    #[getter]
    fn peak_rss_exact(&self) -> bool {
        self.profile.totals.peak_rss_exact
    }

    #[getter]
    fn rss_delta(&self) -> i128 {
        i128::from(self.profile.totals.end_rss.0) - i128::from(self.profile.totals.start_rss.0)
    }

    #[getter]
    fn total_allocated(&self) -> u64 {
        Bytes::from_f64(self.profile.totals.allocated.value).0
    }

    #[getter]
    fn touched_bytes(&self) -> u64 {
        let untouched: u64 = self.profile.sites.iter().map(|site| site.untouched.0).sum();
        self.total_allocated().saturating_sub(untouched)
    }

    #[getter]
    fn file_backed_bytes(&self) -> u64 {
        self.profile.totals.of_files.grown().0
    }

    #[getter]
    fn allocation_count(&self) -> u64 {
        Bytes::from_f64(self.profile.totals.allocation_count.value).0
    }

    #[getter]
    fn surviving_bytes(&self) -> u64 {
        Bytes::from_f64(self.profile.totals.surviving.value).0
    }

    #[getter]
    fn duration(&self) -> f64 {
        self.profile.recording.duration.seconds()
    }

    #[getter]
    fn overhead(&self) -> f64 {
        let recording = &self.profile.recording;
        match recording.duration.0 {
            0 => 0.0,
            duration => recording.overhead.0 as f64 / duration as f64,
        }
    }

    #[getter]
    fn gaps(&self) -> Vec<String> {
        self.profile.gaps.clone()
    }

    #[getter]
    fn lines(&self, py: Python<'_>) -> Vec<PyLine> {
        let rows = py.detach(|| report::lines::all_lines(&self.profile));
        rows.into_iter()
            .map(|row| PyLine {
                filename: row.filename,
                lineno: row.lineno,
                function: row.function,
                source: row.source,
                peak_bytes: row.peak.0,
                surviving_bytes: row.surviving.0,
                allocated_bytes: row.allocated.0,
                allocation_count: row.count,
                temporary_bytes: row.temporary.0,
                relative_error: row.relative_error,
                touched_bytes: row.touched.0,
            })
            .collect()
    }

    #[getter]
    fn sites(&self) -> Vec<PySite> {
        let mut sites: Vec<PySite> =
            self.profile.sites.iter().map(|site| PySite::new(&self.profile, site)).collect();
        sites.sort_by_key(|site| std::cmp::Reverse((site.peak_bytes, site.allocated_bytes)));
        sites
    }

    #[getter]
    fn allocators(&self) -> Vec<PyAllocator> {
        breakdown::allocators(&self.profile)
    }

    #[getter]
    fn sizes(&self) -> Vec<PySizeClass> {
        breakdown::size_classes(&self.profile)
    }

    #[getter]
    fn children(&self) -> Vec<PyChild> {
        self.profile.children.iter().map(PyChild::new).collect()
    }

    #[getter]
    fn forked_lines(&self) -> Vec<PyForkedLine> {
        self.profile.forked.iter().flat_map(PyForkedLine::all).collect()
    }

    #[getter]
    fn names(&self) -> Vec<PyNameChange> {
        self.profile.names.changed.iter().map(PyNameChange::new).collect()
    }

    #[getter]
    fn timeline(&self) -> PyTimeline {
        let points = &self.profile.timeline.points;
        PyTimeline {
            seconds: points.iter().map(|point| point.at.seconds()).collect(),
            footprint: points.iter().map(|point| point.footprint.0).collect(),
            rss: points.iter().map(|point| point.rss.0).collect(),
            held: report::held_by_line(&self.profile),
        }
    }

    #[getter]
    fn ledger(&self) -> Option<PyLedger> {
        self.profile.ledger.map(PyLedger::from)
    }

    fn to_json(&self, py: Python<'_>) -> String {
        py.detach(|| self.profile.to_json())
    }

    fn to_text(&self, py: Python<'_>, top: usize, width: usize, color: bool) -> PyResult<String> {
        self.draw(py, top, |report| Ok(render::text(report, width, color)))
    }

    fn to_line(&self, py: Python<'_>) -> PyResult<String> {
        self.draw(py, 1, |report| Ok(render::line(report)))
    }

    fn to_html(&self, py: Python<'_>, top: usize) -> PyResult<String> {
        self.draw(py, top, render::html)
    }

    fn to_page(&self, py: Python<'_>, top: usize) -> PyResult<String> {
        let options = report::Options { top };
        self.guarded(py, |profile| render::page(&Report::unfolded(profile, &options)))
    }

    fn to_speedscope(&self, py: Python<'_>) -> PyResult<String> {
        self.guarded(py, |profile| Ok(render::speedscope(profile)))
    }

    fn to_collapsed(&self, py: Python<'_>) -> PyResult<String> {
        self.guarded(py, |profile| Ok(render::collapsed(profile)))
    }

    fn diff(&self, py: Python<'_>, other: &PyProfile) -> PyResult<PyDiff> {
        self.guarded(py, |profile| Ok(PyDiff::new(Diff::new(profile, &other.profile))))
    }

    fn to_svg(&self, py: Python<'_>, top: usize) -> PyResult<String> {
        self.draw(py, top, render::svg)
    }

    fn to_png<'py>(&self, py: Python<'py>, top: usize) -> PyResult<Bound<'py, PyBytes>> {
        let png = self.draw(py, top, |report| render::png(report, usize::MAX))?;
        Ok(PyBytes::new(py, &png.bytes))
    }

    fn bundle<'py>(
        &self,
        py: Python<'py>,
        top: usize,
        forms: (bool, bool, bool),
        width: usize,
        color: bool,
    ) -> PyResult<PyBundle<'py>> {
        let wanted = wanted(forms, width, color);
        Ok(py_bundle(py, self.draw(py, top, |report| render::bundle(report, wanted))?))
    }
}

/// Text, HTML and picture, as far as they were wanted.
pub(super) type PyBundle<'py> = (Option<String>, Option<String>, Option<PyPicture<'py>>);

/// `forms` says which of text, HTML and picture are wanted.
pub(super) fn wanted(forms: (bool, bool, bool), width: usize, color: bool) -> render::Wanted {
    let (text, html, png) = forms;
    render::Wanted { text: text.then_some(width), color, html, png }
}

pub(super) fn py_bundle(py: Python<'_>, made: render::Bundle) -> PyBundle<'_> {
    let picture =
        made.png.map(|(png, alt)| (PyBytes::new(py, &png.bytes), png.width, png.height, alt));
    (made.text, made.html, picture)
}

/// What one line of the user's own code allocated.
#[pyclass(name = "Line", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyLine {
    filename: String,
    lineno: u32,
    function: String,
    source: String,
    peak_bytes: u64,
    surviving_bytes: u64,
    allocated_bytes: u64,
    allocation_count: u64,
    temporary_bytes: u64,
    relative_error: f64,
    touched_bytes: u64,
}

#[pymethods]
impl PyLine {
    fn __repr__(&self) -> String {
        format!(
            "<Line {}:{} {} at the peak, {} allocated>",
            self.filename,
            self.lineno,
            Bytes(self.peak_bytes),
            Bytes(self.allocated_bytes)
        )
    }
}

/// What one whole stack allocated from one allocator.
#[pyclass(name = "Site", module = "memprofile._native", frozen, get_all)]
pub(super) struct PySite {
    stack: Vec<(String, String, u32)>,
    allocator: &'static str,
    native_thread: bool,
    waiting: Option<(String, u32)>,
    peak_bytes: u64,
    surviving_bytes: u64,
    allocated_bytes: u64,
    allocation_count: u64,
    temporary_bytes: u64,
}

impl PySite {
    fn new(profile: &Profile, site: &Site) -> PySite {
        let stacks = &profile.stacks;
        let frames = site.stack.into_iter().flat_map(|stack| stacks.walk(stack));
        PySite {
            stack: frames
                .map(|frame| (frame, stacks.file(frame)))
                .filter(|(_, file)| file.kind != FileKind::Machinery)
                .map(|(frame, file)| (frame.function.clone(), file.name.clone(), frame.line))
                .collect(),
            allocator: match site.allocator {
                Allocator::Pymalloc => "pymalloc",
                Allocator::Malloc => "malloc",
                Allocator::Mmap => "mmap",
                Allocator::Arrow => "arrow",
                Allocator::Polars => "polars",
                Allocator::Earlier => "earlier",
            },
            native_thread: site.thread == ThreadKind::Native,
            waiting: site
                .waiting
                .map(|line| (stacks.files[line.file.0 as usize].name.clone(), line.line)),
            peak_bytes: Bytes::from_f64(site.peak.value).0,
            surviving_bytes: Bytes::from_f64(site.surviving.value).0,
            allocated_bytes: Bytes::from_f64(site.allocated.value).0,
            allocation_count: Bytes::from_f64(site.count.value).0,
            temporary_bytes: Bytes::from_f64(site.temporary.value).0,
        }
    }
}

#[pymethods]
impl PySite {
    fn __repr__(&self) -> String {
        let place = match self.stack.first() {
            Some((function, file, line)) => format!("{function} ({file}:{line})"),
            None => "no Python".to_owned(),
        };
        let peak = Bytes(self.peak_bytes);
        format!("<Site {place} {}: {peak} at the peak>", self.allocator)
    }
}

/// Memory over time, as columns of equal length.
#[pyclass(name = "Timeline", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyTimeline {
    seconds: Vec<f64>,
    footprint: Vec<i64>,
    rss: Vec<u64>,
    held: Vec<(String, Vec<u64>)>,
}

#[pymethods]
impl PyTimeline {
    fn __repr__(&self) -> String {
        format!("<Timeline of {} points>", self.seconds.len())
    }
}
