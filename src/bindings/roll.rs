//! Which objects of a heap are new and gone, for Python.

use super::heap::module_of;
use super::objects::{Libraries, room, with_buffers};
use crate::graph::{Entry, Fate, Roll};
use crate::interpreter::objects::{Gathered, Scope};
use pyo3::prelude::*;
use std::collections::BTreeMap;

/// The objects of a heap and the buffers of libraries by their places: 24 bytes each. It keeps none of them
/// alive.
#[pyclass(name = "HeapRoll", module = "memprofile._native", frozen)]
pub(super) struct PyHeapRoll {
    roll: Roll,
    kinds: Vec<String>,
}

/// Name; new ones and their bytes; those that are gone and theirs; what the others grew by.
type Row = (String, u64, u64, u64, u64, i64);

/// What became of the objects of a roll.
#[pyclass(name = "RollChange", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyRollChange {
    types: Vec<Row>,
    modules: Vec<Row>,
}

impl PyHeapRoll {
    /// Of what was gathered, which comes back with the buffers.
    pub(super) fn of<'py>(
        py: Python<'py>,
        gathered: Gathered,
        libraries: &Libraries<'py>,
    ) -> PyResult<(Gathered, PyHeapRoll)> {
        let entry = |gathered: &Gathered, row: u32, print: u32| Entry {
            place: gathered.place(row),
            print,
            kind: gathered.graph.kind[row as usize],
            bytes: gathered.graph.bytes[row as usize],
        };
        // Objects are read before libraries run.
        let objects = gathered.graph.len() as u32;
        let print = |row| entry(&gathered, row, gathered.fingerprint(row));
        let mut entries: Vec<Entry> = (0..objects).map(print).collect();
        let gathered = with_buffers(py, gathered, libraries)?;
        let graph = &gathered.graph;
        entries.extend((objects..graph.len() as u32).map(|row| entry(&gathered, row, 0)));
        let kinds = graph.kinds.iter().map(|kind| kind.name.clone()).collect();
        Ok((gathered, PyHeapRoll { roll: Roll::new(entries), kinds }))
    }
}

#[pymethods]
impl PyHeapRoll {
    /// Looks at the heap again.
    fn since<'py>(&self, py: Python<'py>, libraries: Libraries<'py>) -> PyResult<PyRollChange> {
        let scope = Scope::everything(room()).with_foreign(&libraries.0);
        let gathered = Gathered::whole_heap(py, &[], &scope)?;
        let (_, now) = PyHeapRoll::of(py, gathered, &libraries)?;
        let mut types: BTreeMap<&str, [i64; 5]> = BTreeMap::new();
        self.roll.compare(&now.roll, |fate| {
            let (kinds, entry, change) = match fate {
                Fate::New(entry) => (&now.kinds, entry, [1, entry.bytes as i64, 0, 0, 0]),
                Fate::Gone(entry) => (&self.kinds, entry, [0, 0, 1, entry.bytes as i64, 0]),
                Fate::Stayed(old, entry) => {
                    let grown = entry.bytes as i64 - old.bytes as i64;
                    if grown == 0 {
                        return;
                    }
                    (&now.kinds, entry, [0, 0, 0, 0, grown])
                }
            };
            add(types.entry(&kinds[entry.kind as usize]).or_default(), change);
        });
        let mut modules: BTreeMap<&str, [i64; 5]> = BTreeMap::new();
        for (name, &change) in &types {
            add(modules.entry(module_of(name)).or_default(), change);
        }
        Ok(PyRollChange { types: rows(types), modules: rows(modules) })
    }
}

fn add(sum: &mut [i64; 5], change: [i64; 5]) {
    sum.iter_mut().zip(change).for_each(|(sum, change)| *sum += change);
}

fn rows(sums: BTreeMap<&str, [i64; 5]>) -> Vec<Row> {
    let mut rows: Vec<Row> = sums
        .into_iter()
        .map(|(name, [new, bytes, gone, lost, grown])| {
            let [new, bytes, gone, lost] = [new, bytes, gone, lost].map(i64::unsigned_abs);
            (name.to_owned(), new, bytes, gone, lost, grown)
        })
        .collect();
    rows.sort_by(|a, b| (b.2, b.4).cmp(&(a.2, a.4)).then_with(|| a.0.cmp(&b.0)));
    rows
}
