//! Child processes for Python.

use crate::profile::{Bytes, Child, Forked};
use pyo3::prelude::*;

/// A process that the profiled code started.
#[pyclass(name = "Child", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyChild {
    pid: u32,
    parent: u32,
    command: String,
    started: Option<f64>,
    ended: Option<f64>,
    exit_status: Option<i32>,
    start_rss: u64,
    peak_rss: u64,
    peak_pss: Option<u64>,
    peak_private: u64,
    seconds: Vec<f64>,
    rss: Vec<u64>,
    private: Vec<u64>,
}

impl PyChild {
    pub(super) fn new(child: &Child) -> PyChild {
        PyChild {
            pid: child.pid,
            parent: child.parent,
            command: child.command.clone(),
            started: child.started.map(|at| at.seconds()),
            ended: child.ended.map(|at| at.seconds()),
            exit_status: child.status,
            start_rss: child.start_rss.0,
            peak_rss: child.peak_rss.0,
            peak_pss: child.peak_pss.map(|bytes| bytes.0),
            peak_private: child.peak_private.0,
            seconds: child.points.iter().map(|point| point.at.seconds()).collect(),
            rss: child.points.iter().map(|point| point.rss.0).collect(),
            private: child.points.iter().map(|point| point.private.0).collect(),
        }
    }
}

#[pymethods]
impl PyChild {
    fn __repr__(&self) -> String {
        format!("<Child {} {}: {} at most>", self.pid, self.command, Bytes(self.peak_rss))
    }
}

/// What a line of the user's own did in a process that was forked.
#[pyclass(name = "ForkedLine", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyForkedLine {
    pid: u32,
    filename: String,
    lineno: u32,
    function: String,
    source: String,
    peak_bytes: u64,
    surviving_bytes: u64,
    allocated_bytes: u64,
    allocation_count: u64,
    sample_interval: u64,
}

impl PyForkedLine {
    /// The lines of a process.
    pub(super) fn all(forked: &Forked) -> impl Iterator<Item = PyForkedLine> + '_ {
        forked.lines.iter().map(|line| PyForkedLine {
            pid: forked.pid,
            filename: line.file.clone(),
            lineno: line.line,
            function: line.function.clone(),
            source: line.source.clone(),
            peak_bytes: line.peak.0,
            surviving_bytes: line.surviving.0,
            allocated_bytes: line.allocated.0,
            allocation_count: line.count,
            sample_interval: forked.sample_interval.0,
        })
    }
}

#[pymethods]
impl PyForkedLine {
    fn __repr__(&self) -> String {
        let peak = Bytes(self.peak_bytes);
        format!("<ForkedLine {}: {}:{}: {peak} at its peak>", self.pid, self.filename, self.lineno)
    }
}
