//! By which name, key or index one object refers to another, in words.

use super::dicts::each_item;
use super::gather::Gathered;
use super::measure::Measure;
use pyo3::ffi;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};

type Look = extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject, *mut c_void) -> c_int;

unsafe extern "C" {
    fn memprofile_attributes(
        object: *mut ffi::PyObject,
        look: Look,
        arg: *mut c_void,
    ) -> *mut ffi::PyObject;
    fn memprofile_member(
        object: *mut ffi::PyObject,
        child: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn memprofile_is_interned(object: *mut ffi::PyObject) -> c_int;
    fn memprofile_references(object: *mut ffi::PyObject) -> ffi::Py_ssize_t;
    fn memprofile_variable(
        holder: *mut ffi::PyObject,
        child: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
    fn memprofile_running_name(holder: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn memprofile_array_base(array: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn memprofile_argument_is_lent() -> c_int;
    fn memprofile_function_name(function: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

const AS_A_KEY: &str = " as a key";
/// The longest text of a key.
const LONGEST: usize = 40;

impl Gathered {
    /// How row `from` refers to row `to`, as one would write it after `from`: `['key']`, `[3]`,
    /// `.attribute`, or in words.
    ///
    /// The GIL must not have been let go since the graph was gathered.
    pub fn label(&self, from: u32, to: u32) -> String {
        let (from, to) = (self.address(from), self.address(to));
        if to.is_null() {
            return " buffer".to_owned();
        }
        // SAFETY: both are alive, as the caller promises; nothing is called or changed.
        unsafe { label(from, to) }
    }

    /// How row `from` refers to each of some rows: in one look at it, of whatever length it is.
    ///
    /// As for `label`.
    pub fn labels(&self, from: u32, to: &[u32]) -> Vec<String> {
        let holder = self.address(from);
        let mut found: HashMap<usize, Option<String>> =
            to.iter().map(|&row| (self.address(row).addr(), None)).collect();
        let mut note = |object: *mut ffi::PyObject, label: &dyn Fn() -> String| {
            if let Some(unknown @ None) = found.get_mut(&object.addr()) {
                *unknown = Some(label());
            }
        };
        // SAFETY: as in `label`; indexes are within the length, which does not change.
        unsafe {
            if ffi::PyDict_Check(holder) != 0 {
                each_item(holder, |key, value| {
                    note(value, &|| format!("[{}]", key_text(key)));
                    note(key, &|| AS_A_KEY.to_owned());
                    true
                });
            } else if ffi::PyList_Check(holder) != 0 {
                (0..ffi::PyList_Size(holder))
                    .for_each(|at| note(ffi::PyList_GetItem(holder, at), &|| format!("[{at}]")));
            } else if ffi::PyTuple_Check(holder) != 0 {
                (0..ffi::PyTuple_Size(holder))
                    .for_each(|at| note(ffi::PyTuple_GetItem(holder, at), &|| format!("[{at}]")));
            }
        }
        let mut known = |row: u32| found.get_mut(&self.address(row).addr()).and_then(Option::take);
        to.iter().map(|&row| known(row).unwrap_or_else(|| self.label(from, row))).collect()
    }

    /// Whether row `to` is the dict of attributes of row `from`.
    ///
    /// As for `label`.
    pub fn is_attributes(&self, from: u32, to: u32) -> bool {
        let (from, to) = (self.address(from), self.address(to));
        // SAFETY: as in `label`; the function that is given uses nothing.
        unsafe {
            !to.is_null()
                && ffi::PyDict_CheckExact(to) != 0
                && memprofile_attributes(from, no_more, std::ptr::null_mut()) == to
        }
    }

    /// The names by which a dict refers to an object, `most` of them at most.
    ///
    /// As for `label`.
    pub fn names(&self, dict: u32, of: u32, most: usize) -> Vec<String> {
        let (dict, of) = (self.address(dict), self.address(of));
        let mut names = Vec::new();
        // SAFETY: as in `label`.
        unsafe {
            if ffi::PyDict_Check(dict) != 0 {
                each_item(dict, |key, value| {
                    if value == of {
                        names.extend(text(key));
                    }
                    names.len() < most
                });
            }
        }
        names
    }

    /// What an object says of itself, where that calls nothing of the user's: the name of a module, type or
    /// function, or of what a generator or frame runs, a short str, a number.
    pub fn word(&self, row: u32) -> Option<String> {
        let object = self.address(row);
        // SAFETY: as in `label`.
        if object.is_null() { None } else { unsafe { word(object) } }
    }
}

/// Whether the Python function that calls us has no reference of its own to its first argument.
pub fn argument_is_lent(_py: Python<'_>) -> bool {
    // SAFETY: with the GIL; it only reads the frames of this thread.
    unsafe { memprofile_argument_is_lent() != 0 }
}

/// Whether an object lives for ever, and whether it is an interned str. For ever lives what is not counted
/// (PEP 683), and what lies in a library's own data, as `None` does before that.
pub fn immortal_and_interned(object: &Bound<'_, PyAny>) -> (bool, bool) {
    let allocated = Measure::new(object.py()).shallow(object).object > 0;
    let object = object.as_ptr();
    // SAFETY: a bound object is alive; both only read it.
    let (uncounted, interned) =
        unsafe { (memprofile_references(object) < 0, memprofile_is_interned(object) != 0) };
    (uncounted || !allocated, interned)
}

unsafe fn label(from: *mut ffi::PyObject, to: *mut ffi::PyObject) -> String {
    // SAFETY: the caller gives two live objects.
    unsafe {
        if ffi::PyDict_Check(from) != 0 {
            let mut found = None;
            each_item(from, |key, value| {
                if value == to {
                    found = Some(format!("[{}]", key_text(key)));
                } else if key == to {
                    found = Some(AS_A_KEY.to_owned());
                }
                found.is_none()
            });
            if let Some(found) = found {
                return found;
            }
        }
        if ffi::PyList_Check(from) != 0 {
            let size = ffi::PyList_Size(from);
            if let Some(at) = (0..size).find(|&at| ffi::PyList_GetItem(from, at) == to) {
                return format!("[{at}]");
            }
        }
        if ffi::PyTuple_Check(from) != 0 {
            let size = ffi::PyTuple_Size(from);
            if let Some(at) = (0..size).find(|&at| ffi::PyTuple_GetItem(from, at) == to) {
                return format!("[{at}]");
            }
        }
        let variable = memprofile_variable(from, to);
        if !variable.is_null() {
            return format!(" {}", text(variable).unwrap_or_default());
        }
        if ffi::Py_TYPE(from) == &raw mut ffi::PyCell_Type {
            return ".cell_contents".to_owned();
        }
        if ffi::Py_TYPE(from).cast() == to {
            return ".__class__".to_owned();
        }
        if let Some((ndarray, _)) = super::numpy::find()
            && ffi::PyObject_TypeCheck(from, ndarray) != 0
            && memprofile_array_base(from) == to
        {
            return ".base".to_owned();
        }
        if ffi::PyTraceBack_Check(to) != 0 {
            if ffi::PyTraceBack_Check(from) != 0 {
                return ".tb_next".to_owned();
            }
            if ffi::PyExceptionInstance_Check(from) != 0 {
                return ".__traceback__".to_owned();
            }
        }
        let mut wanted = Wanted { value: to, name: None };
        let dict = memprofile_attributes(from, attribute, (&raw mut wanted).cast());
        if dict == to {
            return ".__dict__".to_owned();
        }
        if ffi::PyModule_Check(from) != 0 && ffi::PyModule_GetDict(from) == to {
            return ".__dict__".to_owned();
        }
        let member = memprofile_member(from, to);
        let name = wanted.name.or_else(|| if member.is_null() { None } else { text(member) });
        name.map_or_else(|| " inside".to_owned(), |name| format!(".{name}"))
    }
}

struct Wanted {
    value: *mut ffi::PyObject,
    name: Option<String>,
}

extern "C" fn no_more(_: *mut ffi::PyObject, _: *mut ffi::PyObject, _: *mut c_void) -> c_int {
    0
}

extern "C" fn attribute(
    name: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: `label` gives its own, for this call only; the name is a live str.
    let wanted = unsafe { &mut *arg.cast::<Wanted>() };
    if value == wanted.value {
        // SAFETY: as above.
        wanted.name = unsafe { text(name) };
    }
    c_int::from(wanted.name.is_none())
}

unsafe fn key_text(key: *mut ffi::PyObject) -> String {
    // SAFETY: the caller gives a live object.
    unsafe {
        match word(key) {
            Some(word) => word,
            None if ffi::PyTuple_CheckExact(key) != 0 && ffi::PyTuple_Size(key) <= 4 => {
                let items: Vec<String> = (0..ffi::PyTuple_Size(key))
                    .map(|at| word(ffi::PyTuple_GetItem(key, at)).unwrap_or_else(|| "...".into()))
                    .collect();
                format!("({})", items.join(", "))
            }
            None => "...".to_owned(),
        }
    }
}

unsafe fn word(object: *mut ffi::PyObject) -> Option<String> {
    // SAFETY: the caller gives a live object; only fields of CPython's own types are read.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) != 0 {
            return text(object).map(|text| format!("'{}'", shortened(&text)));
        }
        if ffi::PyLong_CheckExact(object) != 0 {
            let mut overflow = 0;
            let number = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
            return (overflow == 0).then(|| number.to_string());
        }
        if object == ffi::Py_None() {
            return Some("None".to_owned());
        }
        if ffi::PyModule_Check(object) != 0 {
            let names = ffi::PyModule_GetDict(object);
            return super::dicts::item_of_str(names, "__name__").and_then(|name| text(name));
        }
        if ffi::PyType_Check(object) != 0 {
            let name = (*object.cast::<ffi::PyTypeObject>()).tp_name;
            return Some(std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned());
        }
        if ffi::PyFunction_Check(object) != 0 {
            return text(memprofile_function_name(object));
        }
        let running = memprofile_running_name(object);
        if running.is_null() { None } else { text(running) }
    }
}

fn shortened(text: &str) -> String {
    let one_line = text.replace('\n', " ");
    if one_line.chars().count() <= LONGEST {
        return one_line;
    }
    one_line.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// The characters of an exact str.
///
/// # Safety
///
/// The caller has the GIL and the object is alive.
pub unsafe fn text(object: *mut ffi::PyObject) -> Option<String> {
    // SAFETY: as the caller says. Read character by character: nothing is kept in the str.
    unsafe {
        if ffi::PyUnicode_CheckExact(object) == 0 {
            return None;
        }
        let length = ffi::PyUnicode_GetLength(object).min(1000);
        let read = |at| char::from_u32(ffi::PyUnicode_ReadChar(object, at));
        Some((0..length).map(|at| read(at).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }
}
