//! Objects and their references, from some of them on, as an [`ObjectGraph`].
//!
//! `tp_traverse` is what the collector itself calls; `referents.c` adds what it leaves out. From the
//! first object to the last the GIL is held, nothing is allocated that the collector counts, and so
//! nothing is collected: an address stays that of its object.

use super::dicts::{each_item, item_of_str};
use super::measure::{ByAddress, Measure};
use crate::error::{Error, Result};
use crate::profile::{Bytes, Kind, ObjectGraph, Role};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::ffi::{CStr, c_int, c_void};

unsafe extern "C" {
    fn memprofile_references(object: *mut ffi::PyObject) -> ffi::Py_ssize_t;
    fn memprofile_more_referents(
        object: *mut ffi::PyObject,
        visit: ffi::visitproc,
        arg: *mut c_void,
    );
    fn memprofile_dict_beside_values(object: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// A name and the references that it stands for, each of them one that is counted. Python has given
/// them in lists of their own, see [`BORROWED`].
#[derive(Debug)]
pub struct Name<'py> {
    /// How it is called.
    pub label: String,
    /// What it refers to.
    pub objects: Vec<Bound<'py, PyAny>>,
    /// Whether it will be gone by itself, so that it keeps nothing.
    pub passing: bool,
}

/// How far a graph goes.
#[derive(Debug, Default)]
pub struct Scope {
    /// Objects that are rows without referents, of no size.
    border: ByAddress<()>,
    /// Objects that are no rows.
    left_out: ByAddress<()>,
    /// Whether types, modules and code are no rows.
    without_program: bool,
    /// Instances of these types are no rows.
    left_out_types: Vec<usize>,
    /// The bytes that a graph may take.
    room: u64,
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
}

/// A graph, and the address of each of its objects; 0 of a name.
#[derive(Debug)]
pub struct Gathered {
    /// The columns.
    pub graph: ObjectGraph,
    addresses: Vec<usize>,
}

struct Gathering<'a, 'py> {
    measure: Measure<'py>,
    scope: &'a Scope,
    graph: ObjectGraph,
    addresses: Vec<usize>,
    rows: ByAddress<u32>,
    kinds: ByAddress<KindOfType>,
    /// How often each object was visited: references from inside of the graph.
    visits: Vec<u32>,
    /// Rows from which on the room is looked at again.
    look_again: usize,
    full: bool,
    program_kept: bool,
}

#[derive(Debug, Clone, Copy)]
struct KindOfType {
    id: u32,
    left_out: bool,
}

/// References that there are to an object only because it is asked for: the `Bound`, and the list in
/// which Python gave it.
const BORROWED: u32 = 2;

/// What an object in the graph, its names and its columns take for each row and each reference.
const ROW_BYTES: u64 = 64;
const REFERENCE_BYTES: u64 = 4;

impl Gathered {
    /// All that an object reaches within the scope; its row is 0.
    pub fn from_object(object: &Bound<'_, PyAny>, scope: &Scope) -> Result<Gathered> {
        let mut gathering = Gathering::new(object.py(), scope);
        gathering.program_kept = true;
        gathering.intern(object.as_ptr());
        gathering.program_kept = false;
        gathering.run(&[])
    }

    /// Every object that the collector knows, and all that they and the names reach within the scope. The
    /// rows of names are the first ones, in their order.
    pub fn whole_heap(py: Python<'_>, names: &[Name<'_>], scope: &Scope) -> PyResult<Gathered> {
        let list = py.import("gc")?.call_method0("get_objects")?.cast_into::<PyList>()?;
        let addresses: Vec<*mut ffi::PyObject> = list.iter().map(|o| o.as_ptr()).collect();
        // Its references go with it; no object does, since each was alive before.
        drop(list);
        let mut gathering = Gathering::new(py, scope);
        gathering.graph.kinds.push(Kind { name: "name".into(), role: Role::Name });
        for _ in names {
            gathering.add(0, 0);
        }
        for object in addresses {
            gathering.intern(object);
        }
        let mut gathered = gathering.run(names)?;
        for (row, name) in names.iter().enumerate() {
            gathered.graph.held[row] = !name.passing;
        }
        Ok(gathered)
    }

    /// The row of an object, if it is in the graph.
    pub fn row(&self, object: &Bound<'_, PyAny>) -> Option<u32> {
        let address = object.as_ptr().expose_provenance();
        self.addresses.iter().position(|&at| at == address).map(|row| row as u32)
    }

    /// The address of an object, which is valid as long as the GIL has not been let go.
    pub(super) fn address(&self, row: u32) -> *mut ffi::PyObject {
        std::ptr::with_exposed_provenance_mut(self.addresses[row as usize])
    }
}

impl<'a, 'py> Gathering<'a, 'py> {
    fn new(py: Python<'py>, scope: &'a Scope) -> Gathering<'a, 'py> {
        Gathering {
            measure: Measure::new(py),
            scope,
            graph: ObjectGraph { starts: vec![0], ..ObjectGraph::default() },
            addresses: Vec::new(),
            rows: ByAddress::default(),
            kinds: ByAddress::default(),
            visits: Vec::new(),
            look_again: 100_000,
            full: false,
            program_kept: false,
        }
    }

    fn add(&mut self, address: usize, kind: u32) -> u32 {
        let row = self.addresses.len() as u32;
        self.addresses.push(address);
        self.graph.kind.push(kind);
        self.visits.push(0);
        row
    }

    /// The row of an object, made where there is none yet; `None` where it is left out.
    fn intern(&mut self, object: *mut ffi::PyObject) -> Option<u32> {
        let address = object.expose_provenance();
        if let Some(&row) = self.rows.get(&address) {
            return Some(row);
        }
        if self.scope.left_out.contains_key(&address) {
            return None;
        }
        let kind = self.kind_of(object);
        if kind.left_out && !self.program_kept {
            return None;
        }
        let row = self.add(address, kind.id);
        self.rows.insert(address, row);
        Some(row)
    }

    fn kind_of(&mut self, object: *mut ffi::PyObject) -> KindOfType {
        // SAFETY: the object is alive, and so is its type; the names are read, not looked up.
        let (type_, address) = unsafe {
            let type_ = ffi::Py_TYPE(object);
            (type_, type_.expose_provenance())
        };
        if let Some(&kind) = self.kinds.get(&address) {
            return kind;
        }
        // SAFETY: as above.
        let (name, role) = unsafe { (type_name(type_), role_of(type_)) };
        let id = self.graph.kinds.len() as u32;
        self.graph.kinds.push(Kind { name, role });
        let left_out = (self.scope.without_program && role == Role::Program)
            || self.scope.left_out_types.iter().any(|&other| {
                let other = std::ptr::with_exposed_provenance_mut(other);
                // SAFETY: both are live types.
                unsafe { ffi::PyType_IsSubtype(type_, other) != 0 }
            });
        let kind = KindOfType { id, left_out };
        self.kinds.insert(address, kind);
        kind
    }

    fn run(mut self, names: &[Name<'_>]) -> Result<Gathered> {
        let mut row = 0;
        while row < self.addresses.len() && !self.full {
            let address = self.addresses[row];
            if address == 0 {
                self.graph.bytes.push(0);
                for object in &names[row].objects {
                    refer(object.as_ptr(), (&raw mut self).cast());
                    if let Some(&row) = self.rows.get(&object.as_ptr().expose_provenance()) {
                        self.visits[row as usize] += BORROWED;
                    }
                }
            } else {
                self.look_into(std::ptr::with_exposed_provenance_mut(address));
            }
            self.graph.starts.push(self.graph.referents.len() as u64);
            row += 1;
            if row >= self.look_again {
                self.look_again += self.look_again / 4;
                self.full = self.taken() > self.scope.room;
            }
        }
        let taken = self.taken();
        if taken > self.scope.room {
            let [needed, left] = [taken, self.scope.room].map(|bytes| Bytes(bytes).to_string());
            return Err(Error::NoRoom { needed, left });
        }
        self.graph.held = (0..self.addresses.len()).map(|row| self.is_held(row)).collect();
        Ok(Gathered { graph: self.graph, addresses: self.addresses })
    }

    /// Bytes of the columns, those of the rows to come too.
    fn taken(&self) -> u64 {
        self.addresses.len() as u64 * ROW_BYTES
            + self.graph.referents.len() as u64 * REFERENCE_BYTES
    }

    fn look_into(&mut self, object: *mut ffi::PyObject) {
        let address = object.expose_provenance();
        if self.scope.border.contains_key(&address) {
            self.graph.bytes.push(0);
            return;
        }
        // SAFETY: the object is alive: it was one of the seeds or is referred to by a live one, and
        // nothing has run since. Its own type's tp_traverse is called as the collector calls it,
        // and `refer` keeps nothing but numbers.
        unsafe {
            self.graph.bytes.push(self.measure.shallow_of(object).bytes().0);
            let type_ = ffi::Py_TYPE(object);
            let arg: *mut c_void = (&raw mut *self).cast();
            let collected = (*type_).tp_flags & ffi::Py_TPFLAGS_HAVE_GC != 0
                && (*type_).tp_is_gc.is_none_or(|is_gc| is_gc(object) != 0);
            if let (true, Some(traverse)) = (collected, (*type_).tp_traverse) {
                traverse(object, visit, arg);
            }
            let dict = memprofile_dict_beside_values(object);
            if !dict.is_null() && !self.was_visited(dict) {
                visit(dict, arg);
            }
            memprofile_more_referents(object, visit, arg);
            Measure::array_referents(
                &raw const (*arg.cast::<Gathering<'_, '_>>()).measure,
                object,
                visit,
                arg,
            );
        }
    }

    /// Whether the object that is looked into has shown this one already.
    fn was_visited(&self, object: *mut ffi::PyObject) -> bool {
        let own = self.graph.starts.last().map_or(0, |&start| start as usize);
        let row = self.rows.get(&object.expose_provenance());
        row.is_some_and(|row| self.graph.referents[own..].contains(row))
    }

    /// Whether more refer to an object than those of the graph.
    fn is_held(&self, row: usize) -> bool {
        let address = self.addresses[row];
        if address == 0 {
            return true;
        }
        // SAFETY: the object is alive, see `look_into`.
        let references =
            unsafe { memprofile_references(std::ptr::with_exposed_provenance_mut(address)) };
        self.scope.border.contains_key(&address)
            || usize::try_from(references).map_or(true, |count| count > self.visits[row] as usize)
    }
}

fn refer(object: *mut ffi::PyObject, gathering: *mut c_void) {
    // SAFETY: `run` and `look_into` give themselves, and use nothing of it while this runs.
    let gathering = unsafe { &mut *gathering.cast::<Gathering<'_, '_>>() };
    if let Some(row) = gathering.intern(object) {
        gathering.visits[row as usize] = gathering.visits[row as usize].saturating_add(1);
        gathering.graph.referents.push(row);
    }
}

extern "C" fn visit(object: *mut ffi::PyObject, arg: *mut c_void) -> c_int {
    refer(object, arg);
    0
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

unsafe fn role_of(type_: *mut ffi::PyTypeObject) -> Role {
    // SAFETY: the caller gives a live type; the others are static.
    unsafe {
        let is = |other: *mut ffi::PyTypeObject| ffi::PyType_IsSubtype(type_, other) != 0;
        let program = (*type_).tp_flags & ffi::Py_TPFLAGS_TYPE_SUBCLASS != 0
            || is(&raw mut ffi::PyModule_Type)
            || is(&raw mut ffi::PyCode_Type)
            || is(&raw mut ffi::PyCFunction_Type)
            || is(&raw mut ffi::PyMethodDescr_Type)
            || is(&raw mut ffi::PyGetSetDescr_Type)
            || is(&raw mut ffi::PyMemberDescr_Type)
            || is(&raw mut ffi::PyWrapperDescr_Type);
        if program { Role::Program } else { Role::Data }
    }
}
