//! The buffers behind an Arrow stream, without a copy of them.
//!
//! polars and others hand out their columns through the Arrow C stream interface
//! (<https://arrow.apache.org/docs/format/CStreamInterface.html>): structures of pointers to the very
//! buffers that the library works on. A format string says how many buffers an array has and how long
//! each is (<https://arrow.apache.org/docs/format/Columnar.html>). Nothing is read but these structures,
//! the last offset of a variable-length array and the lengths of a view array's data buffers.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_char, c_int, c_void};

/// A buffer that an array refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// What is in it: `values`, `missing` (a bit for each row), `offsets`, `views`, `text` (the bytes
    /// of strings, or other bytes), `codes` and `categories` (of a dictionary).
    pub role: &'static str,
    /// Its first byte.
    pub address: usize,
    /// Bytes that the array uses of it.
    pub bytes: u64,
}

#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *const *const c_void,
    children: *mut *mut Array,
    dictionary: *mut Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct Stream {
    get_schema: Option<unsafe extern "C" fn(*mut Stream, *mut Schema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut Stream, *mut Array) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut Stream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private_data: *mut c_void,
}

/// Releases what a producer gave when it goes, as the interface asks for.
macro_rules! released {
    ($owner:ident, $inner:ident) => {
        struct $owner($inner);

        impl Drop for $owner {
            fn drop(&mut self) {
                if let Some(release) = self.0.release {
                    // SAFETY: the producer filled it and it was not released before.
                    unsafe { release(&raw mut self.0) };
                }
            }
        }
    };
}

released!(OwnSchema, Schema);
released!(OwnArray, Array);

fn invalid(what: &str) -> PyErr {
    PyValueError::new_err(format!("the Arrow stream {what}"))
}

/// The buffers of each chunk of the stream in this capsule (`__arrow_c_stream__()`), which is used up.
///
/// # Errors
/// ValueError for another capsule, a stream that fails, or a format that is not known.
pub fn chunks(capsule: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<Buffer>>> {
    // SAFETY: a plain call with the GIL held; it fails for anything that is no such capsule.
    let stream =
        unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), c"arrow_array_stream".as_ptr()) };
    if stream.is_null() {
        return Err(PyErr::fetch(capsule.py()));
    }
    let stream = stream.cast::<Stream>();
    // SAFETY: a capsule of this name holds such a structure, which stays while `capsule` is alive.
    let (get_schema, get_next) = unsafe { ((*stream).get_schema, (*stream).get_next) };
    let (Some(get_schema), Some(get_next)) = (get_schema, get_next) else {
        return Err(invalid("was used before"));
    };
    // SAFETY: all fields may be zero; a release that is NULL says that there is nothing to release.
    let mut schema = OwnSchema(unsafe { std::mem::zeroed() });
    // SAFETY: the stream is alive and was not released; the producer fills the schema.
    if unsafe { get_schema(stream, &raw mut schema.0) } != 0 {
        return Err(invalid("has no schema"));
    }
    let mut chunks = Vec::new();
    loop {
        // SAFETY: as above.
        let mut array = OwnArray(unsafe { std::mem::zeroed() });
        // SAFETY: as above; at the end of the stream it gives a released array.
        if unsafe { get_next(stream, &raw mut array.0) } != 0 {
            return Err(invalid("ended early"));
        }
        if array.0.release.is_none() {
            return Ok(chunks);
        }
        let mut buffers = Vec::new();
        let rows = Rows { first: 0, count: array.0.length.max(0) as u64 };
        let mut found = Found { buffers: &mut buffers, of: None };
        // SAFETY: the producer filled both, they belong together and are alive until the end of this turn.
        unsafe { read(&schema.0, &array.0, rows, &mut found)? };
        chunks.push(buffers);
    }
}

/// How the buffers of a format follow its validity.
enum Layout {
    Nothing,
    /// Rows of so many bits.
    Fixed(u64),
    /// Offsets of so many bytes, then data of the length that the last offset says.
    Variable(u64),
    Views,
    /// Offsets of so many bytes, then children.
    List(u64),
    /// Offsets and sizes of so many bytes each, then children.
    ListView(u64),
    /// Children of as many rows.
    Struct,
    /// A child of so many rows for each.
    FixedList(u64),
    SparseUnion,
    DenseUnion,
    /// Two children without rows of their own above them.
    RunEnds,
}

impl Layout {
    fn has_validity(&self) -> bool {
        use Layout::{DenseUnion, Nothing, RunEnds, SparseUnion};
        !matches!(self, Nothing | SparseUnion | DenseUnion | RunEnds)
    }

    /// Whether its buffers say which rows of its children are used, so that all of them are counted.
    fn picks_rows(&self) -> bool {
        matches!(self, Layout::ListView(_) | Layout::DenseUnion | Layout::RunEnds)
    }
}

fn layout(format: &str) -> Option<Layout> {
    let bits = |bytes: u64| Some(Layout::Fixed(8 * bytes));
    match format {
        "n" => Some(Layout::Nothing),
        "b" => Some(Layout::Fixed(1)),
        "c" | "C" => bits(1),
        "s" | "S" | "e" => bits(2),
        "i" | "I" | "f" | "tdD" | "tts" | "ttm" | "tiM" => bits(4),
        "l" | "L" | "g" | "tdm" | "ttu" | "ttn" | "tiD" => bits(8),
        "tin" => bits(16),
        "z" | "u" => Some(Layout::Variable(4)),
        "Z" | "U" => Some(Layout::Variable(8)),
        "vz" | "vu" => Some(Layout::Views),
        "+l" | "+m" => Some(Layout::List(4)),
        "+L" => Some(Layout::List(8)),
        "+vl" => Some(Layout::ListView(4)),
        "+vL" => Some(Layout::ListView(8)),
        "+s" => Some(Layout::Struct),
        "+r" => Some(Layout::RunEnds),
        _ if format.starts_with("ts") || format.starts_with("tD") => bits(8),
        _ => match format.split_once(':')? {
            ("w", width) => bits(width.parse().ok()?),
            ("+w", width) => Some(Layout::FixedList(width.parse().ok()?)),
            ("+us", _) => Some(Layout::SparseUnion),
            ("+ud", _) => Some(Layout::DenseUnion),
            ("d", rest) => match rest.split(',').nth(2) {
                None => bits(16),
                Some(width) => Some(Layout::Fixed(width.parse().ok()?)),
            },
            _ => None,
        },
    }
}

/// Rows of an array, from 0 at its offset.
#[derive(Clone, Copy)]
struct Rows {
    first: u64,
    count: u64,
}

/// Where found buffers go.
struct Found<'a> {
    buffers: &'a mut Vec<Buffer>,
    /// What all of them are, where that matters more than what is in each.
    of: Option<&'static str>,
}

impl Found<'_> {
    fn add(&mut self, role: &'static str, at: *const c_void, skip: u64, bytes: u64) {
        if !at.is_null() && bytes > 0 {
            let address = at as usize + skip as usize;
            self.buffers.push(Buffer { role: self.of.unwrap_or(role), address, bytes });
        }
    }
}

/// Appends the buffers of these rows of an array and of what is below it.
///
/// # Safety
/// Both were filled by a producer, belong together, and are not released.
unsafe fn read(schema: &Schema, array: &Array, rows: Rows, found: &mut Found<'_>) -> PyResult<()> {
    // SAFETY: a schema has a format, a string that lives as long as it.
    let format = unsafe { CStr::from_ptr(schema.format) }.to_str().unwrap_or_default();
    let layout =
        layout(format).ok_or_else(|| invalid(&format!("has the unknown format {format:?}")))?;
    let first = array.offset.max(0) as u64 + rows.first;
    let Rows { count, .. } = rows;
    if count == 0 && schema.dictionary.is_null() {
        return Ok(()); // even the one offset may be missing
    }
    let buffer = |index: i64| {
        if index >= array.n_buffers || array.buffers.is_null() {
            return std::ptr::null();
        }
        // SAFETY: there are `n_buffers` pointers, some of which may be NULL.
        unsafe { *array.buffers.offset(index as isize) }
    };
    let bits = |width: u64| {
        let (skip, end) = (first * width / 8, ((first + count) * width).div_ceil(8));
        (skip, end - skip)
    };
    if layout.has_validity() {
        let (skip, bytes) = bits(1);
        found.add("missing", buffer(0), skip, bytes);
    }
    let is_dictionary = !schema.dictionary.is_null() && !array.dictionary.is_null();
    // Which rows of its children are used: those of the same numbers, unless the format says otherwise.
    let mut below = Rows { first, count };
    match layout {
        Layout::Nothing | Layout::Struct => {}
        Layout::Fixed(width) => {
            let (skip, bytes) = bits(width);
            found.add(if is_dictionary { "codes" } else { "values" }, buffer(1), skip, bytes);
        }
        Layout::Variable(width) => {
            found.add("offsets", buffer(1), first * width, (count + 1) * width);
            // SAFETY: there is one offset more than there are rows.
            let [start, end] = unsafe { offsets(buffer(1), [first, first + count], width) };
            found.add("text", buffer(2), start, end.saturating_sub(start));
        }
        Layout::Views => {
            found.add("views", buffer(1), 16 * first, 16 * count);
            let lengths = buffer(array.n_buffers - 1).cast::<i64>();
            for index in 0..array.n_buffers - 3 {
                // SAFETY: the last buffer has the length of each data buffer; they stand in between.
                let bytes = unsafe { lengths.offset(index as isize).read_unaligned() };
                found.add("text", buffer(index + 2), 0, bytes.max(0) as u64);
            }
        }
        Layout::List(width) => {
            found.add("offsets", buffer(1), first * width, (count + 1) * width);
            // SAFETY: as above.
            let [start, end] = unsafe { offsets(buffer(1), [first, first + count], width) };
            below = Rows { first: start, count: end.saturating_sub(start) };
        }
        Layout::ListView(width) => {
            found.add("offsets", buffer(1), first * width, count * width);
            found.add("offsets", buffer(2), first * width, count * width);
        }
        Layout::FixedList(width) => below = Rows { first: first * width, count: count * width },
        Layout::SparseUnion => found.add("types", buffer(0), first, count),
        Layout::DenseUnion => {
            found.add("types", buffer(0), first, count);
            found.add("offsets", buffer(1), 4 * first, 4 * count);
        }
        Layout::RunEnds => {}
    }
    for index in 0..array.n_children.min(schema.n_children) as isize {
        // SAFETY: both have so many children, which are filled too.
        let (schema, child) =
            unsafe { (&**schema.children.offset(index), &**array.children.offset(index)) };
        let all = Rows { first: 0, count: child.length.max(0) as u64 };
        let rows = if layout.picks_rows() { all } else { below };
        // SAFETY: a child of what was filled is filled.
        unsafe { read(schema, child, rows, found)? };
    }
    if is_dictionary {
        // SAFETY: neither is NULL, and they are filled as their owners are.
        let (schema, values) = unsafe { (&*schema.dictionary, &*array.dictionary) };
        let rows = Rows { first: 0, count: values.length.max(0) as u64 };
        let mut found = Found { buffers: found.buffers, of: Some("categories") };
        // SAFETY: as above.
        unsafe { read(schema, values, rows, &mut found)? };
    }
    Ok(())
}

/// # Safety
/// `start` is NULL, or has numbers of `width` (4 or 8) bytes at both places.
unsafe fn offsets(start: *const c_void, places: [u64; 2], width: u64) -> [u64; 2] {
    if start.is_null() {
        return [0, 0];
    }
    places.map(|place| {
        // SAFETY: by this function's contract.
        unsafe {
            let at = start.cast::<u8>().add((place * width) as usize);
            if width == 4 {
                u64::from(at.cast::<u32>().read_unaligned())
            } else {
                at.cast::<u64>().read_unaligned()
            }
        }
    })
}
