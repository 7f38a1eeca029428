//! What the cells of a frame's columns hold, and the buffers behind an Arrow stream.

use crate::interpreter::{arrow, cells};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::Mutex;

/// The objects in the cells of columns, each once.
#[pyclass(name = "Cells", module = "memprofile._native", frozen)]
pub(super) struct PyCells {
    /// `None` after the sum; only used with the GIL, so nobody waits for it.
    cells: Mutex<Option<cells::Cells>>,
}

fn finished() -> PyErr {
    PyRuntimeError::new_err("these columns were summed up already; begin with new Cells")
}

#[pymethods]
impl PyCells {
    #[new]
    fn new(nulls: Vec<Bound<'_, PyAny>>) -> PyCells {
        PyCells { cells: Mutex::new(Some(cells::Cells::new(&nulls))) }
    }

    #[pyo3(signature = (array, held=0))]
    fn add(&self, array: &Bound<'_, PyAny>, held: u64) -> PyResult<usize> {
        let mut cells = self.cells.try_lock().map_err(|_| finished())?;
        cells.as_mut().ok_or_else(finished)?.add(array, held)
    }

    fn finish(&self, py: Python<'_>) -> PyResult<(Vec<PyCellColumn>, u64, u64)> {
        let cells = self.cells.try_lock().map_err(|_| finished())?.take().ok_or_else(finished)?;
        let together = cells.finish(py);
        let column = |column: cells::Column| PyCellColumn {
            owned: column.owned,
            within: column.within,
            outside: column.outside,
            objects: column.objects,
            nulls: column.nulls,
            none: column.none,
            nan: column.nan,
            kinds: column
                .kinds
                .into_iter()
                .map(|kind| (kind.of, kind.cells, kind.objects))
                .collect(),
        };
        let columns = together.columns.into_iter().map(column).collect();
        Ok((columns, together.within, together.outside))
    }
}

/// What the cells of one column hold.
#[pyclass(name = "CellColumn", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyCellColumn {
    owned: u64,
    within: u64,
    outside: u64,
    objects: u64,
    nulls: u64,
    none: u64,
    nan: u64,
    kinds: Vec<(Py<PyAny>, u64, u64)>,
}

/// What is in a buffer, its address, and its bytes.
type Found = (&'static str, usize, u64);

/// The buffers of each chunk of an Arrow stream: what is in it, its address, and its bytes.
#[pyfunction]
pub(super) fn arrow_chunks(capsule: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<Found>>> {
    let chunks = arrow::chunks(capsule)?;
    let plain = |chunk: Vec<arrow::Buffer>| {
        chunk.into_iter().map(|buffer| (buffer.role, buffer.address, buffer.bytes)).collect()
    };
    Ok(chunks.into_iter().map(plain).collect())
}
