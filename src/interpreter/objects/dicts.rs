//! Reading dicts without hashing or comparing anything of the user's.

use pyo3::ffi;
use std::ptr;

/// Calls `look` with each key and value, both borrowed, until it returns false.
///
/// # Safety
///
/// The caller has the GIL, `dict` is a live dict, and `look` runs no Python code.
pub unsafe fn each_item(
    dict: *mut ffi::PyObject,
    mut look: impl FnMut(*mut ffi::PyObject, *mut ffi::PyObject) -> bool,
) {
    let mut position = 0;
    let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: as the caller says; nothing changes the dict between two calls.
    while unsafe { ffi::PyDict_Next(dict, &raw mut position, &raw mut key, &raw mut value) } != 0 {
        if !look(key, value) {
            return;
        }
    }
}

/// The value of a key that is exactly this str, borrowed.
///
/// # Safety
///
/// The caller has the GIL and `dict` is alive or null.
pub unsafe fn item_of_str(dict: *mut ffi::PyObject, wanted: &str) -> Option<*mut ffi::PyObject> {
    // SAFETY: as the caller says; each key is alive while its dict is, and comparing two exact
    // strs by their characters calls nothing.
    unsafe {
        if dict.is_null() || ffi::PyDict_Check(dict) == 0 {
            return None;
        }
        let mut found = None;
        each_item(dict, |key, value| {
            if ffi::PyUnicode_CheckExact(key) != 0 && is_ascii(key, wanted) {
                found = Some(value);
            }
            found.is_none()
        });
        found
    }
}

unsafe fn is_ascii(string: *mut ffi::PyObject, wanted: &str) -> bool {
    // SAFETY: the caller gives a live str; its length and characters are read in its bounds.
    unsafe {
        ffi::PyUnicode_GetLength(string) == wanted.len() as ffi::Py_ssize_t
            && wanted
                .bytes()
                .enumerate()
                .all(|(at, byte)| ffi::PyUnicode_ReadChar(string, at as _) == u32::from(byte))
    }
}
