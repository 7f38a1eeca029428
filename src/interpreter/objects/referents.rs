//! What an object refers to, as its own structures tell it.
//!
//! `tp_traverse` is what the collector itself calls; `referents.c` adds what it leaves out. Where the
//! references lie side by side they are read where they are.

use super::measure::{Measure, RawNumpy};
use super::types::{Refers, TypeInfo};
use pyo3::ffi;
use std::ffi::{c_int, c_void};
use std::slice;

type Object = *mut ffi::PyObject;

unsafe extern "C" {
    fn memprofile_dict_referents(dict: Object, out: *mut Object, room: usize) -> usize;
    fn memprofile_more_referents(object: Object, visit: ffi::visitproc, arg: *mut c_void);
    fn memprofile_dict_beside_values(object: Object) -> Object;
    fn memprofile_array_referents(
        array: Object,
        numpy: *const RawNumpy,
        few: *mut [Object; 2],
        count: *mut usize,
    ) -> *const Object;
}

/// What `memprofile_dict_referents` says of a dict whose values lie in an instance: whether the collector comes
/// to them by the dict or by the instance has changed from 3.13.0 to 3.14 (GH-130327), so CPython is asked.
const VALUES_OF_AN_INSTANCE: usize = usize::MAX;

/// Referents of one object, in two pieces: those that were collected, and those that lie side by side.
#[derive(Debug, Clone, Copy)]
pub struct Referents<'a> {
    /// Collected ones; null where there is none.
    pub some: &'a [Object],
    /// Those in the object's own table; null where there is none.
    pub table: &'a [Object],
}

impl Measure<'_> {
    /// The referents of an object, once for each reference. `buffer` is for those that have to be collected.
    ///
    /// # Safety
    ///
    /// The object is alive and of this type, and nothing runs while the answer is used: it shows the
    /// object's own memory.
    pub unsafe fn referents<'a>(
        &self,
        object: Object,
        info: &TypeInfo,
        buffer: &'a mut Vec<Object>,
    ) -> Referents<'a> {
        buffer.clear();
        let mut table: &[Object] = &[];
        // SAFETY: as the caller says. A table has as many entries as it says, and an empty one may be null.
        unsafe {
            match info.refers {
                Refers::Nowhere => {}
                Refers::List => {
                    let items = (*object.cast::<ffi::PyListObject>()).ob_item;
                    if !items.is_null() {
                        table = slice::from_raw_parts(items, ffi::Py_SIZE(object) as usize);
                    }
                }
                Refers::Tuple => {
                    let items = &raw const (*object.cast::<ffi::PyTupleObject>()).ob_item;
                    table = slice::from_raw_parts(items.cast(), ffi::Py_SIZE(object) as usize);
                }
                Refers::Dict => of_dict(object, buffer),
                Refers::Array => table = self.of_array(object, buffer),
                Refers::Anywhere { traverse, array } => {
                    anywhere(object, traverse, buffer);
                    if array {
                        table = self.of_array(object, buffer);
                    }
                }
            }
        }
        Referents { some: buffer, table }
    }

    unsafe fn of_array<'a>(&self, array: Object, found: &mut Vec<Object>) -> &'a [Object] {
        let (mut few, mut count) = ([std::ptr::null_mut(); 2], 0);
        // SAFETY: the caller gives a live array of numpy's, with as many elements as it says.
        unsafe {
            let items =
                memprofile_array_referents(array, self.numpy(), &raw mut few, &raw mut count);
            found.extend(few);
            if count > 0 { slice::from_raw_parts(items, count) } else { &[] }
        }
    }
}

unsafe fn of_dict(dict: Object, buffer: &mut Vec<Object>) {
    // SAFETY: the caller gives a live dict; what was written is as much as was said.
    unsafe {
        let count = memprofile_dict_referents(dict, buffer.as_mut_ptr(), buffer.capacity());
        if count == VALUES_OF_AN_INSTANCE {
            let traverse = ffi::PyDict_Type.tp_traverse;
            return anywhere(dict, traverse, buffer);
        }
        if count > buffer.capacity() {
            buffer.reserve(count);
            memprofile_dict_referents(dict, buffer.as_mut_ptr(), buffer.capacity());
        }
        buffer.set_len(count);
    }
}

unsafe fn anywhere(object: Object, traverse: Option<ffi::traverseproc>, found: &mut Vec<Object>) {
    let arg: *mut c_void = (&raw mut *found).cast();
    // SAFETY: the caller gives a live object, whose own type's tp_traverse is called as the collector calls
    // it. `note` adds to the vector, of which nothing else is used until all have returned.
    unsafe {
        if let Some(traverse) = traverse {
            let is_gc = (*ffi::Py_TYPE(object)).tp_is_gc;
            if is_gc.is_none_or(|is_gc| is_gc(object) != 0) {
                traverse(object, note, arg);
            }
        }
        let dict = memprofile_dict_beside_values(object);
        if !dict.is_null() && !(*arg.cast::<Vec<Object>>()).contains(&dict) {
            note(dict, arg);
        }
        memprofile_more_referents(object, note, arg);
    }
}

extern "C" fn note(object: Object, found: *mut c_void) -> c_int {
    // SAFETY: `anywhere` gives its vector, and uses nothing of it while this runs.
    unsafe { (*found.cast::<Vec<Object>>()).push(object) };
    0
}
