//! The shallow size of an object: the bytes of the blocks that are its own.
//!
//! `measure.c` says which blocks those are (the object with its collector's header, its dict's
//! table, its list's items, its array's data), [`AddressSpace`] what they take. Nothing of the
//! user's runs, so a class's own `__sizeof__` counts for nothing.

use super::blocks::{AddressSpace, typical};
use super::types::{BySizeof, TypeInfo, Types};
use crate::profile::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;

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
pub struct RawNumpy {
    /// The type of arrays, borrowed; null without numpy.
    pub ndarray: *mut ffi::PyTypeObject,
    major: c_int,
}

unsafe extern "C" {
    fn memprofile_measure(
        object: *mut ffi::PyObject,
        kind: c_int,
        by_sizeof: BySizeof,
        numpy: *const RawNumpy,
        shape: *mut RawShape,
    );
}

/// Measures objects, all at one moment: it lives as long as the GIL is held.
pub struct Measure<'py> {
    held: Python<'py>,
    space: AddressSpace,
    numpy: RawNumpy,
    name: *mut ffi::PyObject,
    types: Types,
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
            held: py,
            space: AddressSpace::read(),
            numpy: RawNumpy { ndarray, major },
            name,
            types: Types::new(),
            shape: RawShape { count: 0, blocks: [block; ROOM] },
        }
    }

    pub(super) fn py(&self) -> Python<'py> {
        self.held
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
        // SAFETY: as the caller says; the type of a live object is alive.
        unsafe {
            let number = self.type_number(ffi::Py_TYPE(object));
            let info = *self.info(number);
            self.shallow_as(object, &info)
        }
    }

    /// The blocks of the object that was measured last, where it was not one block of a size known by its
    /// type: where each begins, and its bytes.
    pub(super) fn last_blocks(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.shape.blocks[..self.shape.count].iter().map(|block| (block.address, block.request))
    }

    /// Whether memory is of no file, as it was when this was made.
    pub(super) fn is_anonymous(&self, address: usize) -> bool {
        self.space.mapping(address, 1) > 0
    }

    /// Where each of the object's own blocks begins, with the bytes that were asked for, the object itself
    /// first.
    pub fn blocks(&mut self, object: &Bound<'py, PyAny>) -> Vec<(usize, u64)> {
        // SAFETY: a bound object is alive, and so is its type; `py` says that the GIL is held.
        unsafe {
            let number = self.type_number(ffi::Py_TYPE(object.as_ptr()));
            let info = *self.info(number);
            let (numpy, shape) = (&raw const self.numpy, &raw mut self.shape);
            memprofile_measure(object.as_ptr(), info.kind, info.by_sizeof, numpy, shape);
        }
        let blocks = &self.shape.blocks[..self.shape.count];
        blocks.iter().map(|block| (block.address, block.request as u64)).collect()
    }

    /// The number under which a type is known here.
    ///
    /// # Safety
    ///
    /// The type is alive.
    #[inline]
    pub unsafe fn type_number(&mut self, type_: *mut ffi::PyTypeObject) -> u32 {
        // SAFETY: as the caller says; `py` says that the GIL is held.
        unsafe { self.types.number(type_, &self.numpy, self.name) }
    }

    /// What is known of a type.
    #[inline]
    pub fn info(&self, number: u32) -> &TypeInfo {
        self.types.info(number)
    }

    pub(super) fn numpy(&self) -> &RawNumpy {
        &self.numpy
    }

    /// The blocks of an object whose type is known.
    ///
    /// # Safety
    ///
    /// `object` is alive and of this type.
    #[inline]
    pub unsafe fn shallow_as(&mut self, object: *mut ffi::PyObject, info: &TypeInfo) -> Shallow {
        if info.request > 0 {
            let object = self.space.block(object.addr() - info.front, info.request);
            return Shallow { object, outside: 0 };
        }
        let mut shallow = Shallow::default();
        // SAFETY: as the caller says; `py` says that the GIL is held.
        unsafe {
            let (numpy, shape) = (&raw const self.numpy, &raw mut self.shape);
            memprofile_measure(object, info.kind, info.by_sizeof, numpy, shape);
        }
        for (at, block) in self.shape.blocks[..self.shape.count].iter().enumerate() {
            let one = match *block {
                RawBlock { address: 0, request, .. } => typical(request),
                RawBlock { address, request, mapped: 0, .. } => self.space.block(address, request),
                RawBlock { address, request, .. } => self.space.mapping(address, request),
            };
            if at == 0 {
                shallow.object = one;
            } else {
                shallow.outside += one * block.count;
            }
        }
        shallow
    }
}

impl Drop for Measure<'_> {
    fn drop(&mut self) {
        // SAFETY: `py` says that the GIL is held, and the reference is this one's.
        unsafe { ffi::Py_XDECREF(self.name) };
    }
}
