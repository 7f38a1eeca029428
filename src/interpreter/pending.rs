//! Asking the main thread to do something for us between two of its bytecode instructions
//! (Python/C API, `Py_AddPendingCall`).
//!
//! It needs neither the GIL nor a thread state, takes one lock of the interpreter's that is held for
//! a few instructions and open in a forked child, and allocates nothing; so it may be called inside
//! of a hook. `pending.c` says which thread may call it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

unsafe extern "C" {
    fn Py_AddPendingCall(
        call: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
        argument: *mut c_void,
    ) -> c_int;
    safe fn memprofile_may_ask() -> c_int;
}

static ASKED: AtomicBool = AtomicBool::new(false);
static CALL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Has `call` called once, with the GIL, by the main thread when it gets there, and returns true; false
/// where this thread may not ask for it. While one is still to come nothing is added. Where
/// the interpreter has no room for it nothing happens: the next request will find some. `call`
/// must neither raise nor run code of the user's.
pub fn ask(call: fn()) -> bool {
    if memprofile_may_ask() == 0 {
        return false;
    }
    CALL.store(call as *mut c_void, Relaxed);
    if !ASKED.swap(true, Relaxed) {
        // SAFETY: `run` lives as long as this library, which is never unloaded, and takes no
        // argument; the interpreter runs, since a recording does.
        let added = unsafe { Py_AddPendingCall(Some(run), std::ptr::null_mut()) } == 0;
        ASKED.store(added, Relaxed);
    }
    true
}

unsafe extern "C" fn run(_argument: *mut c_void) -> c_int {
    ASKED.store(false, Relaxed);
    let call = CALL.load(Relaxed);
    if !call.is_null() {
        // SAFETY: only `ask` stores here, and it stores a `fn()`.
        let call = unsafe { std::mem::transmute::<*mut c_void, fn()>(call) };
        // A panic must not reach the interpreter; the recording goes on without this reading.
        let _ended_well = std::panic::catch_unwind(call).is_ok();
    }
    0
}
