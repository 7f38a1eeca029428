//! What the names of a namespace hold, for Python.

use super::objects::{Libraries, room, with_buffers};
use crate::graph;
use crate::interpreter::objects::{Gathered, Name, Scope};
use pyo3::prelude::*;
use pyo3::types::PyList;

/// What one name holds, in bytes.
#[pyclass(name = "NameShare", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyNameShare {
    name: String,
    r#type: String,
    shallow: u64,
    deep: u64,
    retained: u64,
    kept: u64,
    shared_with: Vec<(String, u64)>,
}

/// The shares of names, each given with the objects that its references are for. What is in `passing`
/// goes by itself and keeps nothing; `border` are objects that are not gone into. The first `together` names
/// are one group for what is kept in turn. With them, what that group keeps, and how many objects and bytes
/// are in cycles that nobody refers to.
#[pyfunction]
pub(super) fn name_shares<'py>(
    py: Python<'py>,
    names: Vec<(String, Bound<'py, PyList>)>,
    passing: Bound<'py, PyList>,
    border: Vec<Bound<'py, PyAny>>,
    together: usize,
    libraries: Libraries<'py>,
) -> PyResult<(Vec<PyNameShare>, u64, u64, u64)> {
    let count = names.len();
    // The lists are the question's own, and would be referrers like any other.
    let lists = names.iter().map(|(_, list)| list).chain([&passing]);
    let scope = border.iter().fold(Scope::of_data(py, room()), Scope::up_to);
    let scope = lists.fold(scope, |scope, list| scope.without(list.as_any()));
    let scope = scope.with_foreign(&libraries.0);
    let mut all: Vec<Name<'_>> =
        names.into_iter().map(|(label, list)| name(label, &list, false)).collect();
    all.push(name(String::new(), &passing, true));
    let gathered = Gathered::whole_heap(py, &all.iter().collect::<Vec<_>>(), &scope)?;
    let graph = with_buffers(py, gathered, &libraries)?.graph;
    let shares = graph::shares(&graph, all.len());
    let together = together.min(count);
    let turns = (together..count).map(|name| name as u32..name as u32 + 1);
    let groups: Vec<_> = std::iter::once(0..together as u32).chain(turns).collect();
    let kept = graph::kept_in_turn(&graph, &groups);
    let kind = |row: u32| graph.kinds[graph.kind[row as usize] as usize].name.clone();
    let (mut lost, mut lost_bytes) = (0, 0);
    graph::garbage(&graph, |row| {
        lost += u64::from(row as usize >= all.len());
        lost_bytes += graph.bytes[row as usize];
    });
    let found = (0..count)
        .map(|row| PyNameShare {
            name: all[row].label.clone(),
            r#type: graph.of(row as u32).first().map_or_else(String::new, |&to| kind(to)),
            shallow: shares[row].shallow,
            deep: shares[row].deep,
            retained: shares[row].retained,
            kept: row.checked_sub(together).map_or(0, |turn| kept[turn + 1]),
            shared_with: shares[row]
                .with
                .iter()
                .filter(|(name, _)| (*name as usize) < count)
                .map(|&(name, bytes)| (all[name as usize].label.clone(), bytes))
                .collect(),
        })
        .collect();
    Ok((found, kept[0], lost, lost_bytes))
}

fn name<'py>(label: String, list: &Bound<'py, PyList>, passing: bool) -> Name<'py> {
    Name { label, objects: list.iter().collect(), borrowed: 2, passing }
}
