//! What does not change of an object while it lives: its fingerprint.
//!
//! The collector's lists are in no order that lasts, and a mark on the object would change it. So it is its
//! type, and the value where its type has one that never changes.

use super::gather::Gathered;
use pyo3::ffi;

type Object = *mut ffi::PyObject;

/// Characters, bytes and items that are looked at from either end.
const LOOKED_AT: isize = 8;

impl Gathered {
    /// The fingerprint of an object. Two of one type have the same where the type's values can change, and
    /// may have where they are long.
    ///
    /// The GIL must not have been let go since the graph was gathered.
    pub fn fingerprint(&self, row: u32) -> u32 {
        // SAFETY: alive, as the caller promises; nothing is called or changed.
        unsafe { fingerprint(self.address(row)) }
    }
}

/// FNV-1a (Fowler, Noll, Vo) by words instead of bytes, with the high bits mixed in at the end.
struct Mix(u64);

impl Mix {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}

/// The first and the last few of so many.
fn ends(length: isize) -> impl Iterator<Item = isize> {
    let last = LOOKED_AT.max(length - LOOKED_AT);
    (0..LOOKED_AT.min(length)).chain(last..length)
}

unsafe fn fingerprint(object: Object) -> u32 {
    // SAFETY: the caller gives a live object and has the GIL; what is read is of exact types of CPython's own,
    // within their lengths.
    unsafe {
        let type_ = ffi::Py_TYPE(object);
        let mut mix = Mix(0xcbf2_9ce4_8422_2325);
        mix.add(type_.addr() as u64);
        if ffi::PyUnicode_CheckExact(object) != 0 {
            let length = ffi::PyUnicode_GetLength(object);
            mix.add(length as u64);
            ends(length).for_each(|at| mix.add(u64::from(ffi::PyUnicode_ReadChar(object, at))));
        } else if ffi::PyLong_CheckExact(object) != 0 {
            let mut overflow = 0;
            mix.add(ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow) as u64);
            mix.add(overflow as u64);
        } else if ffi::PyFloat_CheckExact(object) != 0 {
            mix.add(ffi::PyFloat_AS_DOUBLE(object).to_bits());
        } else if ffi::PyBytes_CheckExact(object) != 0 {
            let (start, length) = (ffi::PyBytes_AsString(object), ffi::PyBytes_Size(object));
            mix.add(length as u64);
            ends(length).for_each(|at| mix.add(*start.offset(at) as u64));
        } else if ffi::PyTuple_CheckExact(object) != 0 {
            let length = ffi::PyTuple_Size(object);
            mix.add(length as u64);
            ends(length).for_each(|at| mix.add(ffi::PyTuple_GetItem(object, at).addr() as u64));
        }
        (mix.0 ^ (mix.0 >> 32)) as u32
    }
}
