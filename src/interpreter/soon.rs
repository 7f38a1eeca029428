//! Work for the interpreter's main thread, done as soon as it runs Python again.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

unsafe extern "C" {
    fn Py_AddPendingCall(
        call: unsafe extern "C" fn(*mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
}

static WORK: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Has `work` called by the main thread between two instructions of its Python code, with the GIL.
/// There is one work at a time in the process: it is always the same function. When the interpreter
/// has no room for another call nothing is done: this is a wish, not a promise.
pub fn soon(work: fn()) {
    WORK.store(work as *mut c_void, Relaxed);
    // SAFETY: the function lives as long as this library, which is never unloaded. It may be called
    // on any thread, with the GIL or without it.
    unsafe { Py_AddPendingCall(call, std::ptr::null_mut()) };
}

unsafe extern "C" fn call(_argument: *mut c_void) -> c_int {
    let work = WORK.load(Relaxed);
    if !work.is_null() {
        // SAFETY: nothing but `soon` writes there, and it writes a `fn()`.
        let work = unsafe { std::mem::transmute::<*mut c_void, fn()>(work) };
        work();
    }
    0
}
