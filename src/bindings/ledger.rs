//! The ledger for Python.

use crate::profile::{Balance, Ledger, SignedBytes};
use pyo3::prelude::*;

/// Where the growth of the resident set went.
#[pyclass(name = "Ledger", module = "memprofile._native", frozen, get_all)]
pub(super) struct PyLedger {
    peak: PyBalance,
    end: PyBalance,
}

/// The growth at one moment, by what it went into.
#[pyclass(name = "Balance", module = "memprofile._native", frozen, get_all)]
#[derive(Clone, Copy)]
pub(super) struct PyBalance {
    resident: i64,
    objects: i64,
    arenas: i64,
    blocks: i64,
    pools: i64,
    pools_free: i64,
    earlier: i64,
    files: i64,
    libraries: i64,
    recorder: i64,
    malloc_free: i64,
    rest: i64,
}

impl From<Balance> for PyBalance {
    fn from(balance: Balance) -> PyBalance {
        PyBalance {
            resident: balance.resident.0,
            objects: balance.objects.0,
            arenas: balance.arenas.0,
            blocks: balance.blocks.0,
            pools: balance.pools.0,
            pools_free: balance.pools_free.0,
            earlier: balance.earlier.0,
            files: balance.files.0,
            libraries: balance.libraries.0,
            recorder: balance.recorder.0,
            malloc_free: balance.malloc_free.0,
            rest: balance.rest.0,
        }
    }
}

impl From<Ledger> for PyLedger {
    fn from(ledger: Ledger) -> PyLedger {
        PyLedger { peak: ledger.peak.into(), end: ledger.end.into() }
    }
}

#[pymethods]
impl PyBalance {
    fn __repr__(&self) -> String {
        let (resident, rest) = (SignedBytes(self.resident), SignedBytes(self.rest));
        format!("<Balance {resident}, {rest} of it not attributed>")
    }
}

#[pymethods]
impl PyLedger {
    fn __repr__(&self) -> String {
        format!("<Ledger peak {} end {}>", self.peak.__repr__(), self.end.__repr__())
    }
}
