//! Child processes for Python.

use crate::profile::{Bytes, Child};
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
