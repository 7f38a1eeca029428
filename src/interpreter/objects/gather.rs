//! Objects and their references, from some of them on, as an [`ObjectGraph`].
//!
//! From the first object to the last the GIL is held, nothing is allocated that the collector counts,
//! and so nothing is collected: an address stays that of its object.

use super::buffers::Blocks;
use super::kinds::kind_of;
use super::measure::Measure;
use super::pages::Numbers;
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::profile::{Bytes, Kind, ObjectGraph, Role};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};

type Object = *mut ffi::PyObject;

unsafe extern "C" {
    fn memprofile_headers(
        objects: *const usize,
        count: usize,
        types: *mut *mut ffi::PyTypeObject,
        references: *mut u32,
    );
    fn memprofile_each_collected(
        note: extern "C" fn(Object, *mut c_void) -> c_int,
        arg: *mut c_void,
    );
}

/// A name and the references that it stands for, each of them one that is counted.
#[derive(Debug)]
pub struct Name<'py> {
    /// How it is called.
    pub label: String,
    /// What it refers to.
    pub objects: Vec<Bound<'py, PyAny>>,
    /// References that there are to each of them only because it is asked for: the `Bound`, and the list in
    /// which Python gave it.
    pub borrowed: u32,
    /// Whether it will be gone by itself, so that it keeps nothing.
    pub passing: bool,
}

/// A graph, and the address of each of its objects; 0 of a name or a buffer.
#[derive(Debug)]
pub struct Gathered {
    /// The columns.
    pub graph: ObjectGraph,
    addresses: Vec<usize>,
    rows: Numbers,
    pub(super) foreign_rows: Vec<u32>,
    pub(super) blocks: Blocks,
    /// The places of the last rows, which are buffers.
    buffers: Vec<usize>,
}

struct Gathering<'a, 'py> {
    measure: Measure<'py>,
    scope: &'a Scope,
    graph: ObjectGraph,
    /// Of what lies on the border the lowest bit is set: no object begins at an odd address.
    addresses: Vec<usize>,
    rows: Numbers,
    /// References to each object that have not been met yet.
    unmet: Vec<u32>,
    /// Whether instances of a type are left out, by its number.
    left_out: Vec<bool>,
    /// Whether their library is to be asked for what they hold, and which these are.
    foreign: Vec<bool>,
    foreign_rows: Vec<u32>,
    blocks: Blocks,
}

/// What stands in `Gathering::rows` for an address: nothing yet, no row, a border without a row, or from
/// `FIRST` on a row.
const LEFT_OUT: u32 = 1;
const BORDER: u32 = 2;
const FIRST: u32 = 3;
const ON_BORDER: usize = 1;
/// What is referred to so often, or lives for ever, is never let go.
const UNCOUNTED: u32 = u32::MAX;
/// The kind of a name; types come after it.
const NAME: u32 = 0;

/// Bytes for a row, and for a reference: in the graph, and in what answers a question to it.
const ROW_BYTES: u64 = 33 + 48;
const REFERENCE_BYTES: u64 = 4 + 4;
/// The most references of a graph: their places are 32-bit numbers.
const MOST_REFERENCES: usize = u32::MAX as usize - AT_ONCE;
/// References that are taken at a time: their objects are on the way from memory together.
const AT_ONCE: usize = 64;

impl Gathered {
    /// All that an object reaches within the scope; its row is 0.
    pub fn from_object(object: &Bound<'_, PyAny>, scope: &Scope) -> Result<Gathered> {
        let mut gathering = Gathering::new(object.py(), scope);
        // Whatever it is, it is asked for.
        gathering.add(object.as_ptr());
        gathering.read_headers(0);
        gathering.run(&[])
    }

    /// Every object that the collector knows, and all that they and the names reach within the scope. The
    /// rows of names are the first ones, in their order.
    pub fn whole_heap(py: Python<'_>, names: &[&Name<'_>], scope: &Scope) -> Result<Gathered> {
        let mut gathering = Gathering::new(py, scope);
        for _ in names {
            gathering.addresses.push(0);
            gathering.graph.kind.push(NAME);
            gathering.unmet.push(0);
        }
        let mut known: Vec<Object> = Vec::new();
        // SAFETY: the GIL is held, and the vector lives until it has returned, of which nothing else is used.
        unsafe { memprofile_each_collected(note, (&raw mut known).cast()) };
        for objects in known.chunks(AT_ONCE) {
            gathering.intern(objects, |_| ());
        }
        drop(known);
        let mut gathered = gathering.run(names)?;
        for (row, name) in names.iter().enumerate() {
            gathered.graph.held[row] = !name.passing;
        }
        Ok(gathered)
    }

    /// Where the buffer is whose row has been added to the graph.
    pub(super) fn add_buffer_at(&mut self, place: usize) {
        self.addresses.push(0);
        self.buffers.push(place);
    }

    /// The address of an object or a buffer as a number; 0 of a name.
    pub fn place(&self, row: u32) -> usize {
        let objects = self.addresses.len() - self.buffers.len();
        match (row as usize).checked_sub(objects) {
            Some(buffer) => self.buffers[buffer],
            None => self.addresses[row as usize] & !ON_BORDER,
        }
    }

    /// The row of an object, if it is in the graph.
    pub fn row(&self, object: &Bound<'_, PyAny>) -> Option<u32> {
        self.rows.get(object.as_ptr().addr()).checked_sub(FIRST)
    }

    /// The address of an object, which is valid as long as the GIL has not been let go. A name has none, nor
    /// has a buffer.
    pub(super) fn address(&self, row: u32) -> Object {
        std::ptr::with_exposed_provenance_mut(self.addresses[row as usize] & !ON_BORDER)
    }
}

impl<'a, 'py> Gathering<'a, 'py> {
    fn new(py: Python<'py>, scope: &'a Scope) -> Gathering<'a, 'py> {
        let mut rows = Numbers::new();
        scope.border.keys().for_each(|&address| *rows.of(address) = BORDER);
        scope.left_out.keys().for_each(|&address| *rows.of(address) = LEFT_OUT);
        let name = Kind { name: "name".into(), role: Role::Name };
        Gathering {
            measure: Measure::new(py),
            scope,
            graph: ObjectGraph { kinds: vec![name], starts: vec![0], ..ObjectGraph::default() },
            addresses: Vec::new(),
            rows,
            unmet: Vec::new(),
            left_out: Vec::new(),
            foreign: Vec::new(),
            foreign_rows: Vec::new(),
            blocks: Blocks::default(),
        }
    }

    /// A new row for an object; `read_headers` tells the rest of it.
    fn add(&mut self, object: Object) -> u32 {
        let row = self.addresses.len() as u32;
        let address = object.expose_provenance();
        let known = self.rows.of(address);
        let border = if *known == BORDER { ON_BORDER } else { 0 };
        *known = row + FIRST;
        self.addresses.push(address | border);
        row
    }

    /// Calls `note` with the row of each of some objects, made where there is none; not of one that is left
    /// out.
    #[inline]
    fn intern(&mut self, objects: &[Object], mut note: impl FnMut(u32)) {
        let first = self.addresses.len();
        let by_type = self.scope.asks_for_types();
        for &object in objects {
            if object.is_null() {
                continue;
            }
            let known = *self.rows.of(object.addr());
            match known {
                LEFT_OUT => continue,
                FIRST.. => note(known - FIRST),
                // SAFETY: a live object, by the callers.
                _ if by_type && unsafe { self.leaves_out(object) } => {
                    *self.rows.of(object.addr()) = LEFT_OUT;
                }
                _ => note(self.add(object)),
            }
        }
        self.read_headers(first);
    }

    unsafe fn leaves_out(&mut self, object: Object) -> bool {
        // SAFETY: the caller gives a live object, whose type is alive.
        unsafe {
            let kind = self.kind(ffi::Py_TYPE(object));
            self.left_out[kind as usize - 1]
        }
    }

    /// The kind of a type.
    unsafe fn kind(&mut self, type_: *mut ffi::PyTypeObject) -> u32 {
        // SAFETY: the caller gives a live type.
        unsafe {
            let number = self.measure.type_number(type_);
            if number as usize == self.left_out.len() {
                self.graph.kinds.push(kind_of(type_));
                self.left_out.push(self.scope.leaves_out(type_));
                self.foreign.push(self.scope.is_foreign(type_));
            }
            number + 1
        }
    }

    /// Types and reference counts of the rows from `first` on.
    fn read_headers(&mut self, mut first: usize) {
        let mut types = [std::ptr::null_mut(); AT_ONCE];
        while first < self.addresses.len() {
            let mut objects = [0; AT_ONCE];
            let count = (self.addresses.len() - first).min(AT_ONCE);
            for (object, address) in objects.iter_mut().zip(&self.addresses[first..]) {
                *object = address & !ON_BORDER;
            }
            self.unmet.resize(first + count, 0);
            // SAFETY: all are live objects with addresses that were exposed, and there is room for as many answers.
            unsafe {
                let references = self.unmet[first..].as_mut_ptr();
                memprofile_headers(objects.as_ptr(), count, types.as_mut_ptr(), references);
            }
            for &type_ in &types[..count] {
                // SAFETY: the type of a live object is alive.
                let kind = unsafe { self.kind(type_) };
                self.graph.kind.push(kind);
            }
            first += count;
        }
    }

    fn run(mut self, names: &[&Name<'_>]) -> Result<Gathered> {
        let mut buffer = Vec::new();
        let mut row = 0;
        // Rows from which on the room is looked at again.
        let mut look_again = 0;
        while row < self.addresses.len() {
            if row >= look_again {
                look_again = row + row / 8 + 10_000;
                self.check_room()?;
            }
            match self.addresses[row] {
                0 => self.look_at_name(names[row]),
                address if address & ON_BORDER != 0 => self.graph.bytes.push(0),
                address => self.look_into(row, address, &mut buffer),
            }
            self.graph.starts.push(self.graph.referents.len() as u32);
            row += 1;
        }
        self.check_room()?;
        let Gathering { mut graph, addresses, unmet, rows, foreign_rows, blocks, .. } = self;
        let held = |(&unmet, address): (&u32, &usize)| unmet > 0 || address & ON_BORDER != 0;
        graph.held = unmet.iter().zip(&addresses).map(held).collect();
        Ok(Gathered { graph, addresses, rows, foreign_rows, blocks, buffers: Vec::new() })
    }

    /// Refuses before the memory is taken: rows without references yet will have some.
    fn check_room(&self) -> Result<()> {
        let taken = self.addresses.len() as u64 * ROW_BYTES
            + self.graph.referents.len() as u64 * REFERENCE_BYTES
            + self.rows.bytes();
        let room = self.scope.room.min(MOST_REFERENCES as u64 * REFERENCE_BYTES);
        if taken < room {
            return Ok(());
        }
        let [needed, left] = [taken, room].map(|bytes| Bytes(bytes).to_string());
        Err(Error::NoRoom { needed, left })
    }

    fn look_at_name(&mut self, name: &Name<'_>) {
        self.graph.bytes.push(0);
        for object in &name.objects {
            self.refer(&[object.as_ptr()]);
            let row = self.rows.of(object.as_ptr().addr()).checked_sub(FIRST);
            if let Some(unmet) = row.map(|row| &mut self.unmet[row as usize]) {
                *unmet =
                    if *unmet == UNCOUNTED { *unmet } else { unmet.saturating_sub(name.borrowed) };
            }
        }
    }

    fn look_into(&mut self, row: usize, address: usize, buffer: &mut Vec<Object>) {
        let info = *self.measure.info(self.graph.kind[row] - 1);
        let object = std::ptr::with_exposed_provenance_mut(address);
        // SAFETY: the object is alive: it was one of the first or is referred to by a live one, and
        // nothing has run since or runs now.
        unsafe {
            let bytes = self.measure.shallow_as(object, &info).bytes();
            self.graph.bytes.push(bytes.0);
            if self.scope.asks_libraries() {
                if self.foreign[self.graph.kind[row] as usize - 1] {
                    self.foreign_rows.push(row as u32);
                } else if info.request == 0 {
                    self.blocks.add(&self.measure, row as u32);
                }
            }
            let referents = self.measure.referents(object, &info, buffer);
            self.refer(referents.some);
            self.refer(referents.table);
        }
    }

    /// Notes references of the row that is looked into.
    fn refer(&mut self, objects: &[Object]) {
        for objects in objects.chunks(AT_ONCE) {
            let mut referents = std::mem::take(&mut self.graph.referents);
            let first = referents.len();
            if first > MOST_REFERENCES {
                // The next look at the room ends it.
                self.graph.referents = referents;
                return;
            }
            self.intern(objects, |row| referents.push(row));
            for &row in &referents[first..] {
                let unmet = &mut self.unmet[row as usize];
                *unmet = if *unmet == UNCOUNTED { *unmet } else { unmet.saturating_sub(1) };
            }
            self.graph.referents = referents;
        }
    }
}

extern "C" fn note(object: Object, known: *mut c_void) -> c_int {
    // SAFETY: `whole_heap` gives its vector, and uses nothing of it while this runs.
    unsafe { (*known.cast::<Vec<Object>>()).push(object) };
    1
}
