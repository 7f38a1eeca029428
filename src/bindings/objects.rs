//! Sizes of objects for Python, and what keeps them.

use crate::error::Error;
use crate::graph::{self, Marks, Part};
use crate::interpreter::objects::{self, Gathered, Measure, Scope};
use crate::process::memory_left;
use crate::profile::Bytes;
use pyo3::prelude::*;

/// The deepest tree of parts.
const DEEPEST: u32 = 30;

/// What a graph of objects may take: half of what is left, since what is measured should stay as it is.
pub(super) fn room() -> u64 {
    memory_left().map_or(u64::MAX, |left| left.bytes.0 / 2)
}

/// Bytes for people.
#[pyfunction]
pub(super) fn bytes_text(count: u64) -> String {
    Bytes(count).to_string()
}

/// The bytes of the blocks that are an object's own.
#[pyfunction]
pub(super) fn shallow_size(obj: &Bound<'_, PyAny>) -> u64 {
    Measure::new(obj.py()).shallow(obj).bytes().0
}

/// An object with what it reaches, as a tree.
#[pyclass(name = "SizeTree", module = "memprofile._native", frozen, get_all)]
pub(super) struct PySizeTree {
    label: String,
    r#type: String,
    size: u64,
    shallow: u64,
    count: u64,
    parts: Vec<Py<PySizeTree>>,
}

fn data_scope(obj: &Bound<'_, PyAny>, exclude: &[Bound<'_, PyAny>], code: bool) -> Scope {
    let mut scope = Scope::of_data(obj.py(), room()).into_object(obj);
    if !code {
        scope = scope.without_program();
    }
    exclude.iter().fold(scope, Scope::without)
}

/// The deep size of an object, in bytes.
#[pyfunction]
#[pyo3(signature = (obj, exclude, code, most=None))]
pub(super) fn deep_size(
    obj: &Bound<'_, PyAny>,
    exclude: Vec<Bound<'_, PyAny>>,
    code: bool,
    most: Option<usize>,
) -> Result<u64, Error> {
    let scope = data_scope(obj, &exclude, code);
    Ok(objects::deep_bytes(obj, &scope, most.unwrap_or(usize::MAX))?.0)
}

/// The deep size of an object, with its parts down to `detail` levels.
#[pyfunction]
#[pyo3(signature = (obj, detail, exclude, code, limit))]
pub(super) fn size_tree(
    py: Python<'_>,
    obj: &Bound<'_, PyAny>,
    detail: u32,
    exclude: Vec<Bound<'_, PyAny>>,
    code: bool,
    limit: Option<u32>,
) -> PyResult<PySizeTree> {
    let gathered = Gathered::from_object(obj, &data_scope(obj, &exclude, code))?;
    let whole = graph::parts(&gathered.graph, 0, detail.min(DEEPEST), limit);
    tree(py, &gathered, None, &whole)
}

fn tree(
    py: Python<'_>,
    gathered: &Gathered,
    within: Option<u32>,
    part: &Part,
) -> PyResult<PySizeTree> {
    let graph = &gathered.graph;
    let mut parts: Vec<&Part> = part.parts.iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let label = within.map_or_else(String::new, |from| gathered.label(from, part.row));
    let parts = parts
        .into_iter()
        .map(|inner| Py::new(py, tree(py, gathered, Some(part.row), inner)?))
        .collect::<PyResult<_>>()?;
    Ok(PySizeTree {
        label,
        r#type: graph.kinds[graph.kind[part.row as usize] as usize].name.clone(),
        size: part.bytes,
        shallow: graph.bytes[part.row as usize],
        count: part.count,
        parts,
    })
}

/// The bytes that are free once an object is gone.
#[pyfunction]
pub(super) fn retained_size(py: Python<'_>, obj: &Bound<'_, PyAny>) -> Result<u64, Error> {
    let scope = Scope::of_data(py, room()).into_object(obj);
    let gathered = Gathered::from_object(obj, &scope)?;
    let mut bytes = 0;
    let mut marks = Marks::new(&gathered.graph);
    graph::retained(&gathered.graph, 0, &mut marks, |row| {
        bytes += gathered.graph.bytes[row as usize];
    });
    Ok(bytes)
}

/// Whether the function that calls this has no reference of its own to its first argument (CPython 3.14).
#[pyfunction]
pub(super) fn argument_is_lent(py: Python<'_>) -> bool {
    objects::argument_is_lent(py)
}

/// Whether an object lives for ever, and whether it is an interned str.
#[pyfunction]
pub(super) fn immortal_and_interned(obj: &Bound<'_, PyAny>) -> (bool, bool) {
    objects::immortal_and_interned(obj)
}
