//! The deep size of an object without a graph: what it reaches, added up where it is.

use super::measure::Measure;
use super::pages::Seen;
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::profile::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;

type Object = *mut ffi::PyObject;

/// Objects that are on the way from memory while others are looked at.
const ON_THE_WAY: usize = 16;
/// Objects after which the room is looked at again.
const LOOK_AGAIN: usize = 1 << 16;

/// The bytes of an object and all that it reaches within the scope, each once; of the first objects
/// alone, where it reaches more than `most`.
///
/// # Errors
/// [`Error::NoRoom`] when there is too little memory to remember so many objects.
pub fn deep_bytes(object: &Bound<'_, PyAny>, scope: &Scope, most: usize) -> Result<Bytes> {
    let mut measure = Measure::new(object.py());
    let mut seen = Seen::new();
    for &address in scope.border.keys().chain(scope.left_out.keys()) {
        seen.insert(address);
    }
    seen.insert(object.as_ptr().addr());
    let mut left_out: Vec<bool> = Vec::new();
    let mut waiting: Vec<Object> = vec![object.as_ptr()];
    // A ring: what came in first is looked at next.
    let mut ring = [std::ptr::null_mut::<ffi::PyObject>(); ON_THE_WAY];
    let (mut first, mut on_the_way) = (0, 0);
    let mut buffer = Vec::new();
    let (mut bytes, mut count) = (0, 0);
    loop {
        while on_the_way < ON_THE_WAY
            && let Some(object) = waiting.pop()
        {
            prefetch(object);
            ring[(first + on_the_way) % ON_THE_WAY] = object;
            on_the_way += 1;
        }
        if on_the_way == 0 || count >= most {
            return Ok(Bytes(bytes));
        }
        let object = ring[first];
        first = (first + 1) % ON_THE_WAY;
        on_the_way -= 1;
        // SAFETY: the object is alive: it was asked for or is referred to by a live one, and nothing has
        // run since or runs now.
        unsafe {
            let type_ = ffi::Py_TYPE(object);
            let number = measure.type_number(type_);
            if number as usize == left_out.len() {
                left_out.push(scope.leaves_out(type_));
            }
            // Whatever is asked for itself is looked at.
            if left_out[number as usize] && count > 0 {
                continue;
            }
            let info = *measure.info(number);
            bytes += measure.shallow_as(object, &info).bytes().0;
            let referents = measure.referents(object, &info, &mut buffer);
            for &other in referents.some.iter().chain(referents.table) {
                if !other.is_null() && seen.insert(other.addr()) {
                    waiting.push(other);
                }
            }
        }
        count += 1;
        if count % LOOK_AGAIN == 0 {
            let taken = seen.bytes() + (waiting.capacity() * size_of::<Object>()) as u64;
            if taken > scope.room {
                let [needed, left] = [taken, scope.room].map(|bytes| Bytes(bytes).to_string());
                return Err(Error::NoRoom { needed, left });
            }
        }
    }
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
