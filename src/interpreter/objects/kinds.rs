//! Types by name, and what they are to someone who looks for memory.

use super::dicts::item_of_str;
use crate::profile::{Kind, Role};
use pyo3::ffi;
use std::ffi::CStr;

/// A type as a graph of objects has it.
///
/// # Safety
///
/// The caller has the GIL, and the type is alive.
pub unsafe fn kind_of(type_: *mut ffi::PyTypeObject) -> Kind {
    // SAFETY: as the caller says.
    let (name, program) = unsafe { (type_name(type_), is_program(type_)) };
    Kind { name, role: if program { Role::Program } else { Role::Data } }
}

/// A type's full name without `builtins.`, read from its own fields.
unsafe fn type_name(type_: *mut ffi::PyTypeObject) -> String {
    // SAFETY: the caller gives a live type; its name is a C string that lives as long.
    unsafe {
        let name = CStr::from_ptr((*type_).tp_name).to_string_lossy().into_owned();
        if (*type_).tp_flags & ffi::Py_TPFLAGS_HEAPTYPE == 0 {
            return name;
        }
        match item_of_str((*type_).tp_dict, "__module__").and_then(|m| super::labels::text(m)) {
            Some(module) if module != "builtins" && !name.starts_with(&module) => {
                format!("{module}.{name}")
            }
            _ => name,
        }
    }
}

/// Whether its instances are what the program consists of.
///
/// # Safety
///
/// The caller has the GIL, and the type is alive.
pub unsafe fn is_program(type_: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: the caller gives a live type; the others are static.
    unsafe {
        let is = |other: *mut ffi::PyTypeObject| ffi::PyType_IsSubtype(type_, other) != 0;
        (*type_).tp_flags & ffi::Py_TPFLAGS_TYPE_SUBCLASS != 0
            || is(&raw mut ffi::PyModule_Type)
            || is(&raw mut ffi::PyCode_Type)
            || is(&raw mut ffi::PyCFunction_Type)
            || is(&raw mut ffi::PyMethodDescr_Type)
            || is(&raw mut ffi::PyGetSetDescr_Type)
            || is(&raw mut ffi::PyMemberDescr_Type)
            || is(&raw mut ffi::PyWrapperDescr_Type)
    }
}
