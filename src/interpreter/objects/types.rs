//! What is known of a type, decided once for all of its instances.

use super::measure::RawNumpy;
use pyo3::ffi;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};

/// CPython's own `__sizeof__` of a type, a C function, or null.
pub type BySizeof = *const c_void;

unsafe extern "C" {
    fn memprofile_kind(
        kind: *mut ffi::PyTypeObject,
        numpy: *const RawNumpy,
        name: *mut ffi::PyObject,
        by_sizeof: *mut BySizeof,
    ) -> c_int;
    fn memprofile_one_block(kind: *mut ffi::PyTypeObject, by: c_int, front: *mut usize) -> usize;
}

/// What the instances of a type are made of, and refer to.
#[derive(Debug, Clone, Copy)]
pub struct TypeInfo {
    /// The type's address.
    pub address: usize,
    /// Which blocks an instance has: `enum kind` of `measure.c`.
    pub kind: c_int,
    /// Where `kind` says that it is to be asked.
    pub by_sizeof: BySizeof,
    /// The request for an instance, where each is one block of this size; else 0.
    pub request: usize,
    /// Bytes of it in front of the object.
    pub front: usize,
    /// Where the references of an instance are.
    pub refers: Refers,
}

/// Where the references of an instance are.
#[derive(Debug, Clone, Copy)]
pub enum Refers {
    /// It has none: an int, a str.
    Nowhere,
    /// An exact list: in its items.
    List,
    /// An exact tuple: in itself.
    Tuple,
    /// An exact dict: in its table.
    Dict,
    /// An array of numpy's.
    Array,
    /// Wherever `tp_traverse` finds them, if the collector knows the type, and `memprofile_more_referents`;
    /// and those of an array where it is a class's own kind of array.
    Anywhere {
        /// The type's `tp_traverse`.
        traverse: Option<ffi::traverseproc>,
        /// Whether an instance is an array of numpy's, too.
        array: bool,
    },
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

/// Something for each of some addresses.
pub type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

/// Entries of the cache of types: a heap has many types, and few at a time.
const RECENT: usize = 64;

/// The types that were met, by the order in which they were.
#[derive(Debug)]
pub struct Types {
    known: Vec<TypeInfo>,
    by_address: ByAddress<u32>,
    recent: [(usize, u32); RECENT],
}

impl Types {
    /// None yet.
    pub fn new() -> Types {
        Types { known: Vec::new(), by_address: ByAddress::default(), recent: [(0, 0); RECENT] }
    }

    /// What is known of type number `number`.
    pub fn info(&self, number: u32) -> &TypeInfo {
        &self.known[number as usize]
    }

    /// The number of a type.
    ///
    /// # Safety
    ///
    /// The caller has the GIL; the type is alive and so is what `numpy` and `name` stand for.
    #[inline]
    pub unsafe fn number(
        &mut self,
        type_: *mut ffi::PyTypeObject,
        numpy: &RawNumpy,
        name: *mut ffi::PyObject,
    ) -> u32 {
        let address = type_.addr();
        let recent = (address >> 5) % RECENT;
        if self.recent[recent].0 != address {
            // SAFETY: as the caller says.
            let number = unsafe { self.find(type_, numpy, name) };
            self.recent[recent] = (address, number);
        }
        self.recent[recent].1
    }

    unsafe fn find(
        &mut self,
        type_: *mut ffi::PyTypeObject,
        numpy: &RawNumpy,
        name: *mut ffi::PyObject,
    ) -> u32 {
        let address = type_.expose_provenance();
        if let Some(&number) = self.by_address.get(&address) {
            return number;
        }
        let mut info = TypeInfo {
            address,
            kind: 0,
            by_sizeof: std::ptr::null(),
            request: 0,
            front: 0,
            refers: Refers::Nowhere,
        };
        // SAFETY: as the caller says; nothing of the user's is called.
        unsafe {
            info.kind = memprofile_kind(type_, numpy, name, &raw mut info.by_sizeof);
            info.request = memprofile_one_block(type_, info.kind, &raw mut info.front);
            info.refers = refers(type_, numpy);
        }
        let number = self.known.len() as u32;
        self.known.push(info);
        self.by_address.insert(address, number);
        number
    }
}

unsafe fn refers(type_: *mut ffi::PyTypeObject, numpy: &RawNumpy) -> Refers {
    // SAFETY: the caller gives a live type; the others are static.
    unsafe {
        let is = |other: *mut ffi::PyTypeObject| type_ == other;
        if is(&raw mut ffi::PyList_Type) {
            return Refers::List;
        }
        if is(&raw mut ffi::PyTuple_Type) {
            return Refers::Tuple;
        }
        if is(&raw mut ffi::PyDict_Type) {
            return Refers::Dict;
        }
        let array = !numpy.ndarray.is_null() && ffi::PyType_IsSubtype(type_, numpy.ndarray) != 0;
        let collected = (*type_).tp_flags & ffi::Py_TPFLAGS_HAVE_GC != 0;
        match (collected, array) {
            (false, true) => Refers::Array,
            (false, false) if !is(&raw mut ffi::PyCode_Type) => Refers::Nowhere,
            _ => Refers::Anywhere { traverse: (*type_).tp_traverse.filter(|_| collected), array },
        }
    }
}
