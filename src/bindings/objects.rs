//! Sizes of objects for Python, and what keeps them.

use crate::graph::{self, Marks, Part};
use crate::interpreter::objects::{self, Deep, Gathered, Measure, Scope, Stretch};
use crate::process::memory_left;
use crate::profile::{Bytes, ObjectGraph};
use crate::session;
use pyo3::prelude::*;
use std::collections::{HashMap, HashSet};

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

/// Types whose instances hold memory that only their library knows, and what says where that is: a list of
/// (address, bytes) for each of some objects, or of the first of them where there was too little time.
pub(super) type Libraries<'py> = (Vec<Bound<'py, PyAny>>, Bound<'py, PyAny>);

/// Asks for what some objects hold.
pub(super) fn ask<'py>(
    (_, stretches): &Libraries<'py>,
    objects: &[Bound<'py, PyAny>],
) -> PyResult<Vec<Vec<Stretch>>> {
    if objects.is_empty() {
        Ok(Vec::new())
    } else {
        stretches.call1((objects.to_vec(),))?.extract()
    }
}

fn data_scope(
    obj: &Bound<'_, PyAny>,
    exclude: &[Bound<'_, PyAny>],
    code: bool,
    libraries: &Libraries<'_>,
) -> Scope {
    let mut scope = Scope::of_data(obj.py(), room()).into_object(obj);
    if !code {
        scope = scope.without_program();
    }
    exclude.iter().fold(scope, Scope::without).with_foreign(&libraries.0)
}

/// The deep size of an object, in bytes.
#[pyfunction]
#[pyo3(signature = (obj, exclude, code, libraries, most=None))]
pub(super) fn deep_size<'py>(
    obj: &Bound<'py, PyAny>,
    exclude: Vec<Bound<'py, PyAny>>,
    code: bool,
    libraries: Libraries<'py>,
    most: Option<usize>,
) -> PyResult<u64> {
    let deep =
        Deep::of(obj, &data_scope(obj, &exclude, code, &libraries), most.unwrap_or(usize::MAX))?;
    let held = ask(&libraries, deep.foreign())?;
    Ok(deep.bytes(&held).0)
}

/// Adds what libraries say of their objects to a graph.
pub(super) fn with_buffers<'py>(
    py: Python<'py>,
    mut gathered: Gathered,
    libraries: &Libraries<'py>,
) -> PyResult<Gathered> {
    let foreign = gathered.foreign(py);
    if !foreign.is_empty() {
        let held = ask(libraries, &foreign)?;
        gathered.add_buffers(py, &held);
    }
    Ok(gathered)
}

/// The deep size of an object, with its parts down to `detail` levels.
#[pyfunction]
#[pyo3(signature = (obj, detail, exclude, code, limit, libraries))]
pub(super) fn size_tree<'py>(
    obj: &Bound<'py, PyAny>,
    detail: u32,
    exclude: Vec<Bound<'py, PyAny>>,
    code: bool,
    limit: Option<u32>,
    libraries: Libraries<'py>,
) -> PyResult<PySizeTree> {
    let py = obj.py();
    let scope = data_scope(obj, &exclude, code, &libraries);
    let gathered = Gathered::from_object(obj, &scope)?;
    let levels = detail.min(DEEPEST);
    // Objects are read before libraries run; what these say adds rows, and changes none.
    let mut words = Words::default();
    let parts = graph::parts(&gathered.graph, 0, levels, limit, &mut |from, to| {
        gathered.is_attributes(from, to) && words.attributes.insert(to)
    });
    words.read(&gathered, &parts);
    let graph = with_buffers(py, gathered, &libraries)?.graph;
    let mut through = |_, to| words.attributes.contains(&to);
    let whole = graph::parts(&graph, 0, levels, limit, &mut through);
    tree(py, &graph, &words, String::new(), &whole)
}

/// How objects of a tree are reached, and which of them are dicts of attributes.
#[derive(Default)]
struct Words {
    labels: HashMap<(u32, u32), String>,
    attributes: HashSet<u32>,
}

impl Words {
    fn read(&mut self, gathered: &Gathered, of: &Part) {
        let rows: Vec<u32> = of.parts.iter().map(|part| part.row).collect();
        let labels = gathered.labels(of.row, &rows);
        self.labels.extend(rows.iter().map(|&row| (of.row, row)).zip(labels));
        of.parts.iter().for_each(|part| self.read(gathered, part));
    }

    fn label(&self, from: u32, to: u32) -> String {
        self.labels.get(&(from, to)).map_or_else(|| " buffer".to_owned(), Clone::clone)
    }
}

fn tree(
    py: Python<'_>,
    graph: &ObjectGraph,
    words: &Words,
    label: String,
    part: &Part,
) -> PyResult<PySizeTree> {
    let mut parts = Vec::new();
    for inner in &part.parts {
        let label = words.label(part.row, inner.row);
        if !words.attributes.contains(&inner.row) {
            parts.push(tree(py, graph, words, label, inner)?);
            continue;
        }
        let only =
            Part { bytes: graph.bytes[inner.row as usize], count: 1, parts: vec![], ..*inner };
        parts.push(tree(py, graph, words, label, &only)?);
        for value in &inner.parts {
            let key = words.label(inner.row, value.row);
            let name = key.strip_prefix("['").and_then(|key| key.strip_suffix("']"));
            let label = name.map_or_else(|| key.clone(), |name| format!(".{name}"));
            parts.push(tree(py, graph, words, label, value)?);
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.size));
    Ok(PySizeTree {
        label,
        r#type: graph.kinds[graph.kind[part.row as usize] as usize].name.clone(),
        size: part.bytes,
        shallow: graph.bytes[part.row as usize],
        count: part.count,
        parts: parts.into_iter().map(|part| Py::new(py, part)).collect::<PyResult<_>>()?,
    })
}

/// The bytes that are free once an object is gone.
#[pyfunction]
pub(super) fn retained_size<'py>(
    obj: &Bound<'py, PyAny>,
    libraries: Libraries<'py>,
) -> PyResult<u64> {
    let py = obj.py();
    let scope = Scope::of_data(py, room()).into_object(obj).with_foreign(&libraries.0);
    let gathered = with_buffers(py, Gathered::from_object(obj, &scope)?, &libraries)?;
    let mut bytes = 0;
    let mut marks = Marks::new(&gathered.graph);
    graph::retained(&gathered.graph, 0, &mut marks, |row| {
        bytes += gathered.graph.bytes[row as usize];
    });
    Ok(bytes)
}

/// Where the last recording says that an object's blocks were allocated, such as `cell [3] line 2`: the block
/// of the object itself, and the largest of its others. `None` of what it does not know.
#[pyfunction]
pub(super) fn allocated_at(obj: &Bound<'_, PyAny>) -> (Option<String>, Option<String>) {
    let blocks = Measure::new(obj.py()).blocks(obj);
    let place = |&(address, size): &(usize, u64)| session::allocated_at(address, size);
    let others = blocks.iter().skip(1).max_by_key(|(_, size)| *size);
    (blocks.first().and_then(place), others.and_then(place))
}

/// How long the collector ran in the last recording: (generation, runs that were timed, seconds of all of them,
/// seconds of the longest). `None` without a recording.
#[pyfunction]
pub(super) fn collector_runs() -> Option<Vec<(u8, u64, f64, f64)>> {
    let row = |(generation, runs): (u8, session::Runs)| {
        (generation, runs.count, runs.took.seconds(), runs.longest.seconds())
    };
    session::collector_runs().map(|runs| runs.into_iter().map(row).collect())
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
