//! How far a look at objects goes.

use super::dicts::each_item;
use super::kinds::is_program;
use super::types::ByAddress;
use pyo3::ffi;
use pyo3::prelude::*;

/// Which objects are looked at, and in how much memory.
#[derive(Debug, Default)]
pub struct Scope {
    /// Objects that are not gone into, of no size.
    pub(super) border: ByAddress<()>,
    /// Objects that are not looked at.
    pub(super) left_out: ByAddress<()>,
    /// Whether types, modules and code are not looked at either.
    without_program: bool,
    /// Instances of these types are not.
    left_out_types: Vec<usize>,
    /// Types whose instances hold memory that only their library knows.
    foreign: Vec<usize>,
    /// The bytes that the look may take.
    pub(super) room: u64,
}

impl Scope {
    /// Everything, in at most `room` bytes.
    pub fn everything(room: u64) -> Scope {
        Scope { room, ..Scope::default() }
    }

    /// All but what lives as long as the program: modules and their names are its border.
    pub fn of_data(py: Python<'_>, room: u64) -> Scope {
        let mut scope = Scope::everything(room);
        // SAFETY: `py` says that the GIL is held; each is borrowed from what is alive, and nothing is called.
        unsafe {
            let modules = ffi::PyImport_GetModuleDict();
            scope.border.insert(modules.expose_provenance(), ());
            if ffi::PyDict_Check(modules) != 0 {
                each_item(modules, |_, module| {
                    scope.border.insert(module.expose_provenance(), ());
                    if ffi::PyModule_Check(module) != 0 {
                        let names = ffi::PyModule_GetDict(module);
                        scope.border.insert(names.expose_provenance(), ());
                    }
                    true
                });
            }
            scope.border.insert(ffi::PyEval_GetBuiltins().expose_provenance(), ());
        }
        let _held = py;
        scope
    }

    /// Adds an object to the border.
    #[must_use]
    pub fn up_to(mut self, object: &Bound<'_, PyAny>) -> Scope {
        self.border.insert(object.as_ptr().expose_provenance(), ());
        self
    }

    /// Goes into an object that may be on the border, and into its names where it is a module.
    #[must_use]
    pub fn into_object(mut self, object: &Bound<'_, PyAny>) -> Scope {
        self.border.remove(&object.as_ptr().expose_provenance());
        // SAFETY: a bound object is alive and means that the GIL is held; the dict is borrowed.
        unsafe {
            if ffi::PyModule_Check(object.as_ptr()) != 0 {
                let names = ffi::PyModule_GetDict(object.as_ptr());
                self.border.remove(&names.expose_provenance());
            }
        }
        self
    }

    /// Leaves out types, modules, functions and code.
    #[must_use]
    pub fn without_program(mut self) -> Scope {
        self.without_program = true;
        self
    }

    /// Leaves out an object, or all instances of a type.
    #[must_use]
    pub fn without(mut self, object: &Bound<'_, PyAny>) -> Scope {
        let address = object.as_ptr().expose_provenance();
        // SAFETY: a bound object is alive and means that the GIL is held.
        if unsafe { ffi::PyType_Check(object.as_ptr()) } != 0 {
            self.left_out_types.push(address);
        }
        self.left_out.insert(address, ());
        self
    }

    /// Notes the instances of some types, since their library is to be asked for what they hold.
    #[must_use]
    pub fn with_foreign(mut self, types: &[Bound<'_, PyAny>]) -> Scope {
        self.foreign = types.iter().map(|type_| type_.as_ptr().expose_provenance()).collect();
        self
    }

    /// Whether some are noted.
    pub(super) fn asks_libraries(&self) -> bool {
        !self.foreign.is_empty()
    }

    /// Whether the instances of a type are noted.
    ///
    /// # Safety
    ///
    /// The caller has the GIL, and the type is alive.
    pub(super) unsafe fn is_foreign(&self, type_: *mut ffi::PyTypeObject) -> bool {
        // SAFETY: as the caller says; the others were alive when they were given, and nothing has run since.
        self.foreign.iter().any(|&other| unsafe {
            ffi::PyType_IsSubtype(type_, std::ptr::with_exposed_provenance_mut(other)) != 0
        })
    }

    /// Whether what is looked at depends on types.
    pub(super) fn asks_for_types(&self) -> bool {
        self.without_program || !self.left_out_types.is_empty()
    }

    /// Whether the instances of a type are not looked at.
    ///
    /// # Safety
    ///
    /// The caller has the GIL, and the type is alive.
    pub(super) unsafe fn leaves_out(&self, type_: *mut ffi::PyTypeObject) -> bool {
        // SAFETY: as the caller says; the others were alive when they were given, and nothing has run since.
        unsafe {
            (self.without_program && is_program(type_))
                || self.left_out_types.iter().any(|&other| {
                    let other = std::ptr::with_exposed_provenance_mut(other);
                    ffi::PyType_IsSubtype(type_, other) != 0
                })
        }
    }
}
