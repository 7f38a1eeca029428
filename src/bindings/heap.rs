//! The whole heap for Python: counted, and searched for what keeps an object.

use super::objects::{Libraries, room, with_buffers};
use super::roll::PyHeapRoll;
use crate::graph::{self, Row};
use crate::interpreter::objects::{Gathered, Name, Scope, running};
use crate::profile::{Bytes, ObjectGraph, SizeClass};
use pyo3::prelude::*;
use std::collections::BTreeMap;

/// What no object of the heap refers to.
const NOBODY: u32 = u32::MAX;
/// What objects of several types refer to.
const SEVERAL: u32 = u32::MAX - 1;

type Group = (String, u64, u64);

/// All objects, counted: (name, objects, bytes) by what they share, the largest first.
#[pyclass(name = "HeapCensus", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyHeapCensus {
    objects: u64,
    bytes: u64,
    types: Vec<Group>,
    modules: Vec<Group>,
    referrers: Vec<Group>,
    sizes: Vec<Group>,
    garbage: Vec<Group>,
    roll: Option<Py<PyHeapRoll>>,
}

fn groups(rows: Vec<Row>) -> Vec<Group> {
    rows.into_iter().map(|row| (row.name, row.count, row.bytes)).collect()
}

/// The package that a type is from.
pub(super) fn module_of(name: &str) -> &str {
    name.split_once('.').map_or("builtins", |(top, _)| top)
}

/// Counts all objects that the collector knows and all that they reach, with the buffers of libraries; with a
/// roll of them if it is asked for.
#[pyfunction]
pub(super) fn heap_census<'py>(
    py: Python<'py>,
    with_roll: bool,
    libraries: Libraries<'py>,
) -> PyResult<PyHeapCensus> {
    let scope = Scope::everything(room()).with_foreign(&libraries.0);
    let gathered = Gathered::whole_heap(py, &[], &scope)?;
    let (gathered, roll) = if with_roll {
        let (gathered, roll) = PyHeapRoll::of(py, gathered, &libraries)?;
        (gathered, Some(roll))
    } else {
        (with_buffers(py, gathered, &libraries)?, None)
    };
    let graph = gathered.graph;
    let name = |kind: usize| graph.kinds[kind].name.clone();
    let kind = |row: usize| graph.kind[row] as usize;
    let by_name = |bytes: &[u64], kind: &dyn Fn(usize) -> usize| {
        // Types of one name are one group.
        merged(graph::census(bytes, graph.kinds.len(), kind, name))
    };
    let module = |kind: usize| module_of(&graph.kinds[kind].name).to_owned();
    let mut garbage = Vec::new();
    graph::garbage(&graph, |row| garbage.push(row as usize));
    let unreached: Vec<u64> = garbage.iter().map(|&row| graph.bytes[row]).collect();
    Ok(PyHeapCensus {
        objects: graph.len() as u64,
        bytes: graph.bytes.iter().sum(),
        types: by_name(&graph.bytes, &kind),
        modules: merged(graph::census(&graph.bytes, graph.kinds.len(), kind, module)),
        referrers: by_referrer(&graph),
        sizes: by_size(&graph),
        garbage: by_name(&unreached, &|at| kind(garbage[at])),
        roll: roll.map(|roll| Py::new(py, roll)).transpose()?,
    })
}

fn merged(rows: Vec<Row>) -> Vec<Group> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.name).or_default();
        *sum = (sum.0 + row.count, sum.1 + row.bytes);
    }
    let mut rows: Vec<Group> =
        sums.into_iter().map(|(name, (n, bytes))| (name, n, bytes)).collect();
    rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    rows
}

/// By the type of what refers to an object, where that is one type.
fn by_referrer(graph: &ObjectGraph) -> Vec<Group> {
    let mut referrer = vec![NOBODY; graph.len()];
    for row in 0..graph.len() as u32 {
        let kind = graph.kind[row as usize];
        for &to in graph.of(row) {
            let known = &mut referrer[to as usize];
            *known = if *known == NOBODY || *known == kind { kind } else { SEVERAL };
        }
    }
    let kinds = graph.kinds.len();
    let group = |row: usize| match referrer[row] {
        NOBODY => kinds,
        SEVERAL => kinds + 1,
        kind => kind as usize,
    };
    let name = |at: usize| match graph.kinds.get(at) {
        Some(kind) => kind.name.clone(),
        None if at == kinds => "no object: running code or C".to_owned(),
        None => "several types".to_owned(),
    };
    merged(graph::census(&graph.bytes, kinds + 2, group, name))
}

fn by_size(graph: &ObjectGraph) -> Vec<Group> {
    let class = |row: usize| SizeClass::index(graph.bytes[row]);
    let name = |at: usize| {
        let from = SizeClass::from(at);
        if at + 1 == SizeClass::COUNT {
            return format!("{from} and more");
        }
        format!("{from} to {}", Bytes(SizeClass::from(at + 1).0 - 1))
    };
    groups(graph::census(&graph.bytes, SizeClass::COUNT, class, name))
}

/// One object on a way: how it is reached, its type, what it says of itself.
type Step = (String, String, Option<String>);

/// The bytes that are free once an object is gone, and what keeps it: the ways to it, `most` of them at most.
/// Nothing where no object that the collector knows refers to it, and no variable of a function that runs and is
/// of no file below `machinery`.
#[pyfunction]
pub(super) fn ways<'py>(
    py: Python<'py>,
    obj: &Bound<'py, PyAny>,
    namespace: Option<&Bound<'py, PyAny>>,
    most: usize,
    machinery: &str,
    libraries: Libraries<'py>,
) -> PyResult<Option<(u64, Vec<Vec<Step>>)>> {
    let running = running(py, machinery);
    let frames: Vec<&Name<'_>> = running.iter().map(|running| &running.name).collect();
    let scope = Scope::everything(room()).with_foreign(&libraries.0);
    let gathered = Gathered::whole_heap(py, &frames, &scope)?;
    let graph = &gathered.graph;
    let Some(target) = gathered.row(obj) else { return Ok(None) };
    let names = namespace.and_then(|namespace| gathered.row(namespace));
    let modules = py.import("sys")?.getattr("modules")?;
    let modules = gathered.row(&modules);
    let first = frames.len() as u32;
    let roots: Vec<u32> = names.into_iter().chain(modules).chain(0..first).collect();
    let mut found = graph::paths(graph, &roots, target, most);
    if found.is_empty() {
        let held: Vec<u32> =
            (first..graph.len() as u32).filter(|&row| graph.held[row as usize]).collect();
        found = graph::paths(graph, &held, target, most);
    }
    let step = |way: &[u32], at: usize| -> Step {
        let row = way[at];
        if row < first {
            let label = running[row as usize].name.label.clone();
            return ("running".to_owned(), String::new(), Some(label));
        }
        let label = match at {
            0 if names == Some(row) => "names".to_owned(),
            0 if modules == Some(row) => "modules".to_owned(),
            0 => "held".to_owned(),
            _ if Some(way[at - 1]) == names => gathered.names(way[at - 1], row, 4).join(", "),
            _ if way[at - 1] < first => {
                running[way[at - 1] as usize].variables_of(gathered.place(row)).join(", ")
            }
            _ => gathered.label(way[at - 1], row),
        };
        let kind = graph.kinds[graph.kind[row as usize] as usize].name.clone();
        (label, kind, gathered.word(row))
    };
    let ways = found.iter().map(|way| (0..way.len()).map(|at| step(way, at)).collect()).collect();
    // The words are read while nothing has run: what libraries say comes last.
    let graph = with_buffers(py, gathered, &libraries)?.graph;
    let mut retained = 0;
    graph::retained_of_many(&graph, target, |row| retained += graph.bytes[row as usize]);
    Ok(Some((retained, ways)))
}

/// An object of a ring: how the one before refers to it, its type, what it says of itself, its bytes.
type Link = (String, String, Option<String>, u64);
/// Objects that keep each other: how many such knots there are of the same types, their objects and bytes
/// together, what hangs on them, and the shortest ring through its largest object.
type RawKnot = (u64, u64, u64, u64, Vec<Link>);

/// What of the heap keeps each other and is kept by nobody, the largest knots first, `most` at most; and how
/// many kinds of them there are.
#[pyfunction]
pub(super) fn garbage_knots(py: Python<'_>, most: usize) -> PyResult<(Vec<RawKnot>, usize)> {
    let gathered = Gathered::whole_heap(py, &[], &Scope::everything(room()))?;
    let graph = &gathered.graph;
    let mut lost = Vec::new();
    graph::garbage(graph, |row| lost.push(row));
    let (knots, kinds) = graph::knots(graph, &lost, most);
    let raw = |knot: graph::Knot| {
        let before = knot.ring.last().into_iter().chain(&knot.ring);
        let links = before.zip(&knot.ring).map(|(&from, &to)| -> Link {
            let kind = graph.kinds[graph.kind[to as usize] as usize].name.clone();
            (gathered.label(from, to), kind, gathered.word(to), graph.bytes[to as usize])
        });
        (knot.alike, knot.objects, knot.bytes, knot.hanging, links.collect())
    };
    Ok((knots.into_iter().map(raw).collect(), kinds))
}
