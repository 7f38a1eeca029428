//! numpy, found without importing it or asking it anything.

use super::dicts::item_of_str;
use pyo3::ffi;
use std::ffi::c_int;

/// The type of numpy's arrays (borrowed) and its major version, which its layouts depend on.
///
/// # Safety
///
/// The caller has the GIL.
pub unsafe fn find() -> Option<(*mut ffi::PyTypeObject, c_int)> {
    // SAFETY: all of these are borrowed from live objects, and nothing here runs Python code.
    unsafe {
        let numpy = item_of_str(ffi::PyImport_GetModuleDict(), "numpy")?;
        if ffi::PyModule_Check(numpy) == 0 {
            return None;
        }
        let names = ffi::PyModule_GetDict(numpy);
        let ndarray = item_of_str(names, "ndarray")?;
        let version = item_of_str(names, "__version__")?;
        if ffi::PyType_Check(ndarray) == 0 || ffi::PyUnicode_CheckExact(version) == 0 {
            return None;
        }
        let first = ffi::PyUnicode_ReadChar(version, 0);
        let major = char::from_u32(first).and_then(|c| c.to_digit(10))?;
        Some((ndarray.cast(), c_int::try_from(major).ok()?))
    }
}
