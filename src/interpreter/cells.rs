//! What the cells of object columns refer to: each object once, over all columns of a frame.
//!
//! A column of five million cells may refer to twelve strings, or to five million. Both are counted
//! without a hash table of all: a small direct-mapped cache takes the references to what was met a
//! moment ago and lies in the processor's first cache; what it has no room for is spilled, sorted and
//! summed. Sorted by address, objects are then looked at in the order in which they lie.
//!
//! Nothing is called that is written in Python, and no reference count changes.

use super::objects::Measure;
use pyo3::ffi;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, c_int, c_void};

/// References to one object: its address, and how many cells hold it.
type Held = (usize, u64);

/// The objects of one type in a column.
#[derive(Debug)]
pub struct Kind {
    /// The type.
    pub of: Py<PyAny>,
    /// Cells that hold an object of it.
    pub cells: u64,
    /// Different objects of it.
    pub objects: u64,
}

/// What the cells of a column refer to. An object belongs to one of three kinds of bytes.
#[derive(Debug, Default)]
pub struct Column {
    /// Bytes of objects that nothing else refers to.
    pub owned: u64,
    /// Bytes of objects that other columns of the frame refer to as well, and nothing else.
    pub within: u64,
    /// Bytes of objects that something outside of the frame refers to.
    pub outside: u64,
    /// Different objects, without missing values.
    pub objects: u64,
    /// Cells that hold a missing value.
    pub nulls: u64,
    /// Of those, cells that hold `None`, or nothing.
    pub none: u64,
    /// Of those, cells that hold a NaN.
    pub nan: u64,
    /// The types of what is not missing.
    pub kinds: Vec<Kind>,
}

/// What all columns refer to together, each object once.
#[derive(Debug, Default)]
pub struct Together {
    /// The columns in the order in which they were added.
    pub columns: Vec<Column>,
    /// Bytes of objects that several columns refer to, and nothing else.
    pub within: u64,
    /// Bytes of objects that something outside of the frame refers to.
    pub outside: u64,
}

/// Collects columns. It holds addresses only: the columns must not change before [`Cells::finish`].
#[derive(Debug, Default)]
pub struct Cells {
    nulls: HashSet<usize>,
    columns: Vec<References>,
}

#[derive(Debug, Default)]
struct References {
    /// Objects in cells.
    cells: Vec<Held>,
    /// Objects in the containers that are in cells, however deep.
    inner: Vec<Held>,
}

impl Cells {
    /// `nulls` are the objects that stand for a missing value besides `None` and NaN.
    pub fn new(nulls: &[Bound<'_, PyAny>]) -> Cells {
        let nulls = nulls.iter().map(|null| null.as_ptr() as usize).collect();
        Cells { nulls, columns: Vec::new() }
    }

    /// Adds the cells of a one-dimensional array of objects (`dtype=object`), and returns the column's
    /// number. `held` more references to each object are known to be the frame's, as a hash table's.
    ///
    /// # Errors
    /// BufferError or TypeError for anything else.
    pub fn add(&mut self, array: &Bound<'_, PyAny>, held: u64) -> PyResult<usize> {
        let view = View::of(array)?;
        let mut tally = Tally::default();
        let (start, stride, length) = view.pointers()?;
        if stride == size_of::<usize>() as isize {
            // SAFETY: the buffer is of `length` contiguous pointers and is held by `view`; the GIL is
            // held and nothing is called, so no cell changes meanwhile.
            let cells = unsafe { std::slice::from_raw_parts(start.cast::<usize>(), length) };
            cells.iter().for_each(|cell| tally.add(*cell));
        } else {
            for index in 0..length as isize {
                // SAFETY: the buffer has `length` pointers, `stride` bytes from one to the next.
                tally.add(unsafe { start.byte_offset(index * stride).cast::<usize>().read() });
            }
        }
        let cells = tally.sum();
        let mut inner = inside(&cells);
        if held > 0 {
            inner.extend(cells.iter().map(|cell| (cell.0, held)));
        }
        self.columns.push(References { cells, inner });
        Ok(self.columns.len() - 1)
    }

    /// Sums up.
    pub fn finish(self, py: Python<'_>) -> Together {
        let mut together = Together::default();
        if self.columns.is_empty() {
            return together;
        }
        let mut measure = Measure::new(py);
        let (mut own, mut several) = (Vec::new(), HashMap::new());
        let all: Vec<Cow<'_, [Held]>> = self.columns.iter().map(References::all).collect();
        let shared = in_several(&all);
        for (references, all) in self.columns.iter().zip(&all) {
            let mut column = self.describe(py, &references.cells);
            for &(address, count) in all.iter() {
                if self.is_null(address) {
                    continue;
                }
                let object = address as *mut ffi::PyObject;
                // SAFETY: a cell of the column refers to it, and nothing has run since.
                let references = unsafe { ffi::Py_REFCNT(object) } as u64;
                // SAFETY: as above.
                let bytes = unsafe { measure.shallow_of(object) }.bytes().0;
                let (known, is_shared) = match shared.get(&address) {
                    Some(known) => (*known, true),
                    None => (count, false),
                };
                if references > known {
                    column.outside += bytes;
                    own.push((address, bytes));
                } else if is_shared {
                    column.within += bytes;
                    several.insert(address, bytes);
                } else {
                    column.owned += bytes;
                }
            }
            together.columns.push(column);
        }
        own.sort_unstable();
        own.dedup();
        together.outside = own.iter().map(|(_, bytes)| bytes).sum();
        together.within = several.values().sum();
        together
    }

    fn describe(&self, py: Python<'_>, cells: &[Held]) -> Column {
        let mut column = Column::default();
        let mut kinds: Vec<(usize, u64, u64)> = Vec::new();
        for &(address, count) in cells {
            if self.is_null(address) {
                column.nulls += count;
                // SAFETY: a plain call that gives a constant.
                let none = address == 0 || address == unsafe { ffi::Py_None() } as usize;
                if none {
                    column.none += count;
                } else if !self.nulls.contains(&address) {
                    column.nan += count;
                }
                continue;
            }
            column.objects += 1;
            // SAFETY: a cell of the column refers to it, and nothing has run since.
            let of = unsafe { ffi::Py_TYPE(address as *mut ffi::PyObject) } as usize;
            match kinds.iter_mut().find(|kind| kind.0 == of) {
                Some(kind) => {
                    kind.1 += count;
                    kind.2 += 1;
                }
                None => kinds.push((of, count, 1)),
            }
        }
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1));
        let kind = |(of, cells, objects)| Kind {
            // SAFETY: the type of a living object is alive.
            of: unsafe { Bound::from_borrowed_ptr(py, of as *mut ffi::PyObject) }.unbind(),
            cells,
            objects,
        };
        column.kinds = kinds.into_iter().map(kind).collect();
        column
    }

    /// Whether a cell has no value: NULL (an array that was never filled), `None`, NaN or one that was named.
    fn is_null(&self, address: usize) -> bool {
        let object = address as *mut ffi::PyObject;
        // SAFETY: a cell refers to it, and of a float the value is read; a constant has its address.
        unsafe {
            address == 0
                || object == ffi::Py_None()
                || self.nulls.contains(&address)
                || (ffi::PyFloat_CheckExact(object) != 0 && ffi::PyFloat_AS_DOUBLE(object).is_nan())
        }
    }
}

impl References {
    /// Both together, sorted by address.
    fn all(&self) -> Cow<'_, [Held]> {
        if self.inner.is_empty() {
            return Cow::Borrowed(&self.cells);
        }
        let mut all = self.cells.clone();
        all.extend_from_slice(&self.inner);
        merge(&mut all);
        Cow::Owned(all)
    }
}

/// The objects that more than one column refers to, with all of their references.
fn in_several(columns: &[Cow<'_, [Held]>]) -> HashMap<usize, u64> {
    let mut shared = HashMap::new();
    if columns.len() < 2 {
        return shared;
    }
    let mut at = vec![0; columns.len()];
    loop {
        let heads = columns.iter().zip(&at).filter_map(|(column, at)| column.get(*at));
        let Some(least) = heads.map(|held| held.0).min() else { return shared };
        let (mut count, mut holders) = (0, 0);
        for (column, at) in columns.iter().zip(&mut at) {
            if let Some(held) = column.get(*at).filter(|held| held.0 == least) {
                count += held.1;
                holders += 1;
                *at += 1;
            }
        }
        if holders > 1 {
            shared.insert(least, count);
        }
    }
}

/// Sorts by address and adds up what has the same one.
fn merge(held: &mut Vec<Held>) {
    held.sort_unstable_by_key(|held| held.0);
    held.dedup_by(|next, first| {
        let same = next.0 == first.0;
        if same {
            first.1 += next.1;
        }
        same
    });
}

const SLOTS: usize = 1024;
/// Spilled references are summed when there are so many more than different objects.
const ROOM: usize = 1 << 20;

/// Counts references.
#[derive(Debug)]
struct Tally {
    cache: Box<[Held; SLOTS]>,
    spilled: Vec<Held>,
    /// How many different objects there were at the last sum.
    known: usize,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { cache: Box::new([(0, 0); SLOTS]), spilled: Vec::new(), known: 0 }
    }
}

impl Tally {
    #[inline]
    fn add(&mut self, address: usize) {
        // Fibonacci hashing: the low bits of addresses are all alike.
        let hash = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - 10);
        let slot = &mut self.cache[hash as usize % SLOTS];
        if slot.0 == address {
            slot.1 += 1;
            return;
        }
        let out = std::mem::replace(slot, (address, 1));
        if out.1 > 0 {
            self.spill(out);
        }
    }

    #[cold]
    fn spill(&mut self, out: Held) {
        self.spilled.push(out);
        if self.spilled.len() >= 2 * self.known + ROOM {
            merge(&mut self.spilled);
            self.known = self.spilled.len();
        }
    }

    /// Every object once, sorted by address.
    fn sum(mut self) -> Vec<Held> {
        self.spilled.extend(self.cache.iter().filter(|held| held.1 > 0));
        merge(&mut self.spilled);
        self.spilled.shrink_to_fit();
        self.spilled
    }
}

/// The objects that containers in cells refer to, and those inside of them, with all such references.
/// Only the built-in containers themselves: a subclass, an array or an instance is counted by its own
/// block, since what it refers to may be anything.
fn inside(cells: &[Held]) -> Vec<Held> {
    let mut found: HashMap<usize, u64> = HashMap::new();
    let mut open: Vec<usize> =
        cells.iter().map(|held| held.0).filter(|a| is_container(*a)).collect();
    let mut seen: HashSet<usize> = open.iter().copied().collect();
    let mut referents: Vec<usize> = Vec::new();
    while let Some(container) = open.pop() {
        let object = container as *mut ffi::PyObject;
        // SAFETY: the container is alive, the GIL is held, and the traversal of a built-in container
        // calls nothing but `visit`, which only pushes onto a vector of ours.
        unsafe {
            if let Some(traverse) = (*ffi::Py_TYPE(object)).tp_traverse {
                traverse(object, visit, std::ptr::from_mut(&mut referents).cast());
            }
        }
        for referent in referents.drain(..) {
            *found.entry(referent).or_default() += 1;
            if is_container(referent) && seen.insert(referent) {
                open.push(referent);
            }
        }
    }
    found.into_iter().collect()
}

unsafe extern "C" fn visit(object: *mut ffi::PyObject, found: *mut c_void) -> c_int {
    // SAFETY: `inside` passes its vector, which outlives the traversal.
    unsafe { (*found.cast::<Vec<usize>>()).push(object as usize) };
    0
}

fn is_container(address: usize) -> bool {
    if address == 0 {
        return false;
    }
    let object = address as *mut ffi::PyObject;
    // SAFETY: a cell or a container refers to it, and nothing has run since; only its type is read.
    unsafe {
        ffi::PyList_CheckExact(object) != 0
            || ffi::PyTuple_CheckExact(object) != 0
            || ffi::PyDict_CheckExact(object) != 0
            || ffi::PyAnySet_CheckExact(object) != 0
    }
}

/// A buffer that is given back when it goes.
struct View(Box<ffi::Py_buffer>);

impl View {
    fn of(array: &Bound<'_, PyAny>) -> PyResult<View> {
        let mut view = Box::new(ffi::Py_buffer::new());
        let flags = ffi::PyBUF_STRIDED_RO | ffi::PyBUF_FORMAT;
        // SAFETY: a plain call with the GIL held; on failure nothing is to be given back.
        match unsafe { ffi::PyObject_GetBuffer(array.as_ptr(), &raw mut *view, flags) } {
            0 => Ok(View(view)),
            _ => Err(PyErr::fetch(array.py())),
        }
    }

    /// Where the first pointer is, bytes from one to the next, and how many there are.
    fn pointers(&self) -> PyResult<(*const u8, isize, usize)> {
        let view = &self.0;
        // SAFETY: with PyBUF_FORMAT and PyBUF_STRIDES these point to what lives as long as the buffer.
        let (format, length, stride) = unsafe {
            if view.ndim != 1 || view.format.is_null() {
                return Err(pyo3::exceptions::PyTypeError::new_err(
                    "an array of one dimension is needed",
                ));
            }
            (CStr::from_ptr(view.format), *view.shape, *view.strides)
        };
        if format.to_bytes() != b"O" || view.itemsize != size_of::<usize>() as isize {
            return Err(pyo3::exceptions::PyTypeError::new_err("an array of objects is needed"));
        }
        Ok((view.buf.cast::<u8>().cast_const(), stride, length as usize))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: `of` filled it, and it is given back once; the GIL is held, since it never leaves `add`.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) };
    }
}
