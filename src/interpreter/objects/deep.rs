//! The deep size of an object without a graph: what it reaches, added up where it is.

use super::buffers::{Blocks, outside};
use super::measure::Measure;
use super::pages::Seen;
use super::pieces::Stretch;
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::profile::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use std::time::Duration;

type Object = *mut ffi::PyObject;

/// Objects that are on the way from memory while others are looked at.
const ON_THE_WAY: usize = 16;
/// Objects after which the room is looked at again.
const LOOK_AGAIN: usize = 1 << 16;
/// Objects after which the clock is.
const LOOK_AT_THE_CLOCK: usize = 1 << 10;
/// Nanoseconds that a reference takes with the object behind it, where that has none itself.
const PER_REFERENCE: u128 = 50;

/// The bytes of an object and all that it reaches, and what of that a library is to be asked for.
pub struct Deep<'py> {
    bytes: Bytes,
    measure: Measure<'py>,
    asked: Asked<'py>,
}

/// Objects that hold memory which only their library knows, and blocks that are somebody's else.
#[derive(Default)]
pub(super) struct Asked<'py> {
    pub foreign: Vec<Bound<'py, PyAny>>,
    pub blocks: Blocks,
}

impl<'py> Deep<'py> {
    /// Looks at an object and all that it reaches within the scope, each once; at the first objects alone,
    /// where it reaches more than `most`.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when there is too little memory to remember so many objects.
    pub fn of(object: &Bound<'py, PyAny>, scope: &Scope, most: usize) -> Result<Deep<'py>> {
        let mut walk = Walk::new(object.py(), scope);
        // Whatever is asked for is looked at, also where it is left out of others.
        walk.front.seen.remove(object.as_ptr().addr());
        // SAFETY: a bound object is alive, and nothing runs meanwhile.
        let reached = unsafe { walk.reach(object.as_ptr(), None, most) }?;
        let (measure, asked) = walk.end();
        Ok(Deep { bytes: reached.bytes, measure, asked })
    }

    /// The objects that a library is to be asked for.
    pub fn foreign(&self) -> &[Bound<'py, PyAny>] {
        &self.asked.foreign
    }

    /// All bytes, with what these hold.
    pub fn bytes(self, held: &[Vec<Stretch>]) -> Bytes {
        let (known, _) = self.asked.blocks.in_order();
        let pieces = outside(held, &known, &self.measure);
        Bytes(self.bytes.0 + pieces.iter().map(|piece| piece.bytes).sum::<u64>())
    }
}

/// A look at what some objects reach, one after the other, each object once in all.
pub(super) struct Walk<'a, 'py> {
    measure: Measure<'py>,
    scope: &'a Scope,
    /// Whether instances of a type are left out, by its number.
    left_out: Vec<bool>,
    /// Whether a library is to be asked for the instances of a type.
    foreign: Vec<bool>,
    asked: Asked<'py>,
    /// For how many libraries are to be asked without the last object.
    asked_before: usize,
    front: Front,
    buffer: Vec<Object>,
}

/// What has been seen and what of it is still to be looked at.
struct Front {
    seen: Seen,
    waiting: Vec<Object>,
    /// What was seen since the last object was asked for, where that may have to be forgotten.
    since: Option<Vec<usize>>,
}

/// What an object reaches that none before it did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub bytes: Bytes,
    /// Whether that is all of it: there was time.
    pub whole: bool,
}

impl Front {
    #[inline]
    fn see(&mut self, object: Object) {
        if self.seen.insert(object.addr()) {
            self.waiting.push(object);
            if let Some(since) = &mut self.since {
                since.push(object.addr());
            }
        }
    }
}

impl<'a, 'py> Walk<'a, 'py> {
    pub fn new(py: Python<'py>, scope: &'a Scope) -> Walk<'a, 'py> {
        let mut seen = Seen::new();
        for &address in scope.border.keys().chain(scope.left_out.keys()) {
            seen.insert(address);
        }
        Walk {
            measure: Measure::new(py),
            scope,
            left_out: Vec::new(),
            foreign: Vec::new(),
            asked: Asked::default(),
            asked_before: 0,
            front: Front { seen, waiting: Vec::new(), since: None },
            buffer: Vec::new(),
        }
    }

    /// How many objects a library is to be asked for by now.
    pub fn foreign(&self) -> usize {
        self.asked.foreign.len()
    }

    /// What a library is to be asked for in all.
    pub fn end(self) -> (Measure<'py>, Asked<'py>) {
        (self.measure, self.asked)
    }

    /// The same, where what an object reaches can be forgotten again.
    pub fn forgetful(mut self) -> Walk<'a, 'py> {
        self.front.since = Some(Vec::new());
        self
    }

    /// Forgets what the last object reached, as if it had not been asked for.
    pub fn forget(&mut self) {
        for address in self.front.since.iter_mut().flat_map(|since| since.drain(..)) {
            self.front.seen.remove(address);
        }
        self.asked.foreign.truncate(self.asked_before);
    }

    /// The bytes of an object and what it reaches, as far as no object before it does; in `time` at most,
    /// where there is a bound, and of the first `most` objects alone.
    ///
    /// # Safety
    ///
    /// The object is alive, and nothing has run since this was made.
    pub unsafe fn reach(
        &mut self,
        object: Object,
        time: Option<Duration>,
        most: usize,
    ) -> Result<Reached> {
        if let Some(since) = &mut self.front.since {
            since.clear();
        }
        self.front.waiting.clear();
        self.asked_before = self.asked.foreign.len();
        self.front.see(object);
        let until = time.map(|time| spent() + time);
        // A ring: what came in first is looked at next.
        let mut ring = [std::ptr::null_mut::<ffi::PyObject>(); ON_THE_WAY];
        let (mut first, mut on_the_way) = (0, 0);
        let (mut bytes, mut count, mut whole) = (0, 0_usize, true);
        loop {
            while on_the_way < ON_THE_WAY
                && let Some(object) = self.front.waiting.pop()
            {
                prefetch(object);
                ring[(first + on_the_way) % ON_THE_WAY] = object;
                on_the_way += 1;
            }
            if on_the_way == 0 || count >= most {
                return Ok(Reached { bytes: Bytes(bytes), whole });
            }
            let object = ring[first];
            first = (first + 1) % ON_THE_WAY;
            on_the_way -= 1;
            // SAFETY: the object is alive: it was asked for or is referred to by a live one, and nothing has
            // run since or runs now.
            let (own, all) = unsafe { self.look_into(object, count > 0, until) };
            bytes += own;
            count += 1;
            whole &= all;
            // What is to be forgotten needs no more time.
            if !whole && self.front.since.is_some() {
                return Ok(Reached { bytes: Bytes(bytes), whole });
            }
            if count.is_multiple_of(LOOK_AT_THE_CLOCK)
                && until.is_some_and(|until| spent() >= until)
            {
                return Ok(Reached { bytes: Bytes(bytes), whole: false });
            }
            if count.is_multiple_of(LOOK_AGAIN) {
                self.check_room()?;
            }
        }
    }

    /// The bytes of an object, and whether all of its references are waiting now: not where these are too
    /// many for the time that is left. Whatever is asked for itself is looked at, others only where their type is.
    ///
    /// # Safety
    ///
    /// The object is alive and nothing runs.
    #[inline]
    unsafe fn look_into(
        &mut self,
        object: Object,
        may_be_left_out: bool,
        until: Option<Duration>,
    ) -> (u64, bool) {
        // SAFETY: as the caller says.
        unsafe {
            let type_ = ffi::Py_TYPE(object);
            let number = self.measure.type_number(type_);
            if number as usize == self.left_out.len() {
                self.left_out.push(self.scope.leaves_out(type_));
                self.foreign.push(self.scope.is_foreign(type_));
            }
            if self.left_out[number as usize] && may_be_left_out {
                return (0, true);
            }
            let info = *self.measure.info(number);
            let bytes = self.measure.shallow_as(object, &info).bytes().0;
            if self.scope.asks_libraries() {
                if self.foreign[number as usize] {
                    let object = Bound::from_borrowed_ptr(self.measure.py(), object);
                    self.asked.foreign.push(object);
                } else if info.request == 0 {
                    self.asked.blocks.add(&self.measure, 0);
                }
            }
            // References that have to be collected first take time by that alone.
            let listed = collected(object);
            if until.is_some_and(|until| in_time(listed, until) < listed) {
                return (bytes, false);
            }
            let referents = self.measure.referents(object, &info, &mut self.buffer);
            let references = referents.some.len() + referents.table.len();
            let taken = until.map_or(references, |until| in_time(references, until));
            for &other in referents.some.iter().chain(referents.table).take(taken) {
                if !other.is_null() {
                    self.front.see(other);
                }
            }
            (bytes, taken == references)
        }
    }

    fn check_room(&self) -> Result<()> {
        let listed =
            self.front.waiting.capacity() + self.front.since.as_ref().map_or(0, Vec::capacity);
        let taken = self.front.seen.bytes() + (listed * size_of::<Object>()) as u64;
        if taken <= self.scope.room {
            return Ok(());
        }
        let [needed, left] = [taken, self.scope.room].map(|bytes| Bytes(bytes).to_string());
        Err(Error::NoRoom { needed, left })
    }
}

/// The processor's time that this thread has had. A clock on the wall would go on while others have it, and
/// what is told of a name would depend on them.
pub(super) fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How many of so many references there is time for; a few are taken without a look at the clock.
#[inline]
fn in_time(references: usize, until: Duration) -> usize {
    if references <= LOOK_AT_THE_CLOCK {
        return references;
    }
    let left = until.saturating_sub(spent()).as_nanos();
    references.min(usize::try_from(left / PER_REFERENCE).unwrap_or(usize::MAX))
}

/// How many references an object has that are collected one by one, where these can be many.
///
/// # Safety
///
/// The caller has the GIL and the object is alive.
unsafe fn collected(object: Object) -> usize {
    // SAFETY: as the caller says; each length is read from the object itself.
    let length = unsafe {
        if ffi::PyDict_Check(object) != 0 {
            2 * ffi::PyDict_Size(object)
        } else if ffi::PyAnySet_Check(object) != 0 {
            ffi::PySet_Size(object)
        } else {
            0
        }
    };
    usize::try_from(length).unwrap_or(0)
}

/// Has the processor begin to read an object.
#[inline]
fn prefetch(object: Object) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; an address that is not mapped is no fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch(object.cast::<i8>(), _MM_HINT_T0);
    }
    let _hint = object;
}
