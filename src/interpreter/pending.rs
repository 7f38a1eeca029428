//! Asking the main thread to do something for us between two of its bytecode instructions.
//!
//! `Py_AddPendingCall` needs neither the GIL nor a thread state, so a thread of our own can ask without
//! ever waiting for the interpreter (Python/C API, "Asynchronous Notifications").

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

unsafe extern "C" {
    fn Py_AddPendingCall(
        call: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
        argument: *mut c_void,
    ) -> c_int;
}

static ASKED: AtomicBool = AtomicBool::new(false);
static CALL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Has `call` called once, with the GIL, by the main thread when it gets there. While one is still to
/// come nothing is added. Where the interpreter has no room for it nothing happens either: the next
/// request will find some. `call` must neither raise nor run code of the user's.
pub fn ask(call: fn()) {
    CALL.store(call as *mut c_void, Relaxed);
    if ASKED.swap(true, Relaxed) {
        return;
    }
    // SAFETY: `run` lives as long as this library, which is never unloaded, and takes no argument;
    // the interpreter runs, since a recording does.
    let added = unsafe { Py_AddPendingCall(Some(run), std::ptr::null_mut()) } == 0;
    if !added {
        ASKED.store(false, Relaxed);
    }
}

unsafe extern "C" fn run(_argument: *mut c_void) -> c_int {
    ASKED.store(false, Relaxed);
    let call = CALL.load(Relaxed);
    if !call.is_null() {
        // SAFETY: only `ask` stores here, and it stores a `fn()`.
        let call = unsafe { std::mem::transmute::<*mut c_void, fn()>(call) };
        // A panic must not reach the interpreter.
        let _ended_well = std::panic::catch_unwind(call).is_ok();
    }
    0
}
