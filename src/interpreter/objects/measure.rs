//! The shallow size of an object: the bytes of the blocks that are its own.
//!
//! `measure.c` says which blocks those are (the object with its collector's header, its dict's
//! table, its list's items, its array's data), [`AddressSpace`] what they take. Nothing of the
//! user's runs, so a class's own `__sizeof__` counts for nothing.

use super::blocks::{AddressSpace, typical};
use crate::profile::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};

const ROOM: usize = 6;

/// `struct memprofile_block` of `measure.c`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct RawBlock {
    address: usize,
    request: usize,
    count: usize,
    mapped: u32,
}

/// `struct memprofile_shape` of `measure.c`.
#[repr(C)]
#[derive(Debug)]
struct RawShape {
    count: usize,
    blocks: [RawBlock; ROOM],
}

#[repr(C)]
#[derive(Debug)]
struct RawNumpy {
    ndarray: *mut ffi::PyTypeObject,
    major: c_int,
}

type BySizeof = *const c_void;

unsafe extern "C" {
    fn memprofile_kind(
        kind: *mut ffi::PyTypeObject,
        numpy: *const RawNumpy,
        name: *mut ffi::PyObject,
        by_sizeof: *mut BySizeof,
    ) -> c_int;
    fn memprofile_measure(
        object: *mut ffi::PyObject,
        kind: c_int,
        by_sizeof: BySizeof,
        numpy: *const RawNumpy,
        shape: *mut RawShape,
    );
    fn memprofile_array_referents(
        object: *mut ffi::PyObject,
        numpy: *const RawNumpy,
        visit: ffi::visitproc,
        arg: *mut c_void,
    );
}

/// Addresses are hashed by one multiplication (Knuth, The Art of Computer Programming, 6.4).
#[derive(Debug, Default)]
pub struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte) ^ self.0 as usize);
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }
}

/// Something for each of many addresses.
pub type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

/// Measures objects, all at one moment: it lives as long as the GIL is held.
pub struct Measure<'py> {
    _held: Python<'py>,
    space: AddressSpace,
    numpy: RawNumpy,
    name: *mut ffi::PyObject,
    kinds: ByAddress<(c_int, BySizeof)>,
    shape: RawShape,
}

/// What an object consists of, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shallow {
    /// The object itself, with what stands in front of it; 0 where no allocator gave it.
    pub object: usize,
    /// Blocks that belong to it alone, such as a list's items.
    pub outside: usize,
}

impl Shallow {
    /// Both together.
    pub fn bytes(self) -> Bytes {
        Bytes((self.object + self.outside) as u64)
    }
}

impl<'py> Measure<'py> {
    /// Looks at the address space as it is now.
    pub fn new(py: Python<'py>) -> Measure<'py> {
        // SAFETY: `py` says that the GIL is held; the string is kept by this.
        let (name, numpy) = unsafe {
            (ffi::PyUnicode_InternFromString(c"__sizeof__".as_ptr()), super::numpy::find())
        };
        let (ndarray, major) = numpy.unwrap_or((std::ptr::null_mut(), 0));
        let block = RawBlock { address: 0, request: 0, count: 0, mapped: 0 };
        Measure {
            _held: py,
            space: AddressSpace::read(),
            numpy: RawNumpy { ndarray, major },
            name,
            kinds: ByAddress::default(),
            shape: RawShape { count: 0, blocks: [block; ROOM] },
        }
    }

    /// The blocks of one object.
    pub fn shallow(&mut self, object: &Bound<'py, PyAny>) -> Shallow {
        // SAFETY: a bound object is alive.
        unsafe { self.shallow_of(object.as_ptr()) }
    }

    /// The same by its address.
    ///
    /// # Safety
    ///
    /// `object` is alive.
    pub unsafe fn shallow_of(&mut self, object: *mut ffi::PyObject) -> Shallow {
        let mut shallow = Shallow::default();
        let mut first = true;
        // SAFETY: as the caller says.
        for block in unsafe { self.blocks(object) } {
            let one = match block {
                RawBlock { address: 0, request, .. } => typical(request),
                RawBlock { address, request, mapped: 0, .. } => self.space.block(address, request),
                RawBlock { address, request, .. } => self.space.mapping(address, request),
            };
            if std::mem::take(&mut first) {
                shallow.object = one;
            } else {
                shallow.outside += one * block.count;
            }
        }
        shallow
    }

    /// Visits what an array of numpy's refers to, and of anything else nothing.
    ///
    /// # Safety
    ///
    /// `measure` and `object` are alive, and `visit` does not drop or measure with `measure`.
    pub unsafe fn array_referents(
        measure: *const Measure<'py>,
        object: *mut ffi::PyObject,
        visit: ffi::visitproc,
        arg: *mut c_void,
    ) {
        // SAFETY: as the caller says; the array type is alive, since its module is.
        unsafe {
            let ndarray = (*measure).numpy.ndarray;
            if !ndarray.is_null() && ffi::PyObject_TypeCheck(object, ndarray) != 0 {
                memprofile_array_referents(object, &raw const (*measure).numpy, visit, arg);
            }
        }
    }

    unsafe fn blocks(
        &mut self,
        object: *mut ffi::PyObject,
    ) -> impl Iterator<Item = RawBlock> + use<> {
        let (numpy, name) = (&raw const self.numpy, self.name);
        // SAFETY: the object is alive and so is its type; `py` says that the GIL is held.
        unsafe {
            let kind = ffi::Py_TYPE(object);
            let (kind, by_sizeof) =
                *self.kinds.entry(kind.expose_provenance()).or_insert_with(|| {
                    let mut by_sizeof = std::ptr::null();
                    (memprofile_kind(kind, numpy, name, &raw mut by_sizeof), by_sizeof)
                });
            memprofile_measure(object, kind, by_sizeof, numpy, &raw mut self.shape);
        }
        let (blocks, count) = (self.shape.blocks, self.shape.count);
        blocks.into_iter().take(count)
    }
}

impl Drop for Measure<'_> {
    fn drop(&mut self) {
        // SAFETY: `py` says that the GIL is held, and the reference is this one's.
        unsafe { ffi::Py_XDECREF(self.name) };
    }
}
