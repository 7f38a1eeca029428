//! Asking the main thread to do something for us between two of its bytecode instructions
//! (Python/C API, `Py_AddPendingCall`).
//!
//! It needs neither the GIL nor a thread state, takes one lock of the interpreter's that is held for
//! a few instructions and open in a forked child, and allocates nothing; so it may be called inside
//! of a hook. `pending.c` says which thread may call it.

use pyo3::ffi;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

unsafe extern "C" {
    fn Py_AddPendingCall(
        call: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
        argument: *mut c_void,
    ) -> c_int;
    safe fn memprofile_may_ask() -> c_int;
}

/// Something to be done by the main thread, at most once for all requests until then.
#[derive(Debug)]
pub struct Pending {
    asked: AtomicBool,
    call: fn(),
}

impl Pending {
    /// `call` must neither raise nor run code of the user's.
    pub const fn new(call: fn()) -> Pending {
        Pending { asked: AtomicBool::new(false), call }
    }

    /// Has it called once, with the GIL, by the main thread when it gets there, and returns true;
    /// false where this thread may not ask for it. While one is still to come nothing is added.
    /// Where the interpreter has no room for it nothing happens: the next request will find some.
    pub fn ask(&'static self) -> bool {
        if memprofile_may_ask() == 0 {
            return false;
        }
        if !self.asked.swap(true, Relaxed) {
            let argument = std::ptr::from_ref(self).cast_mut().cast();
            // SAFETY: `run` lives as long as this library, which is never unloaded, and so does
            // `self`; the interpreter runs, since a recording does.
            let added = unsafe { Py_AddPendingCall(Some(run), argument) } == 0;
            self.asked.store(added, Relaxed);
        }
        true
    }
}

/// Whether this is the main thread: the one that runs the handlers of signals, and pending calls.
pub fn is_main_thread() -> bool {
    memprofile_may_ask() != 0
}

unsafe extern "C" fn run(argument: *mut c_void) -> c_int {
    // SAFETY: only `ask` adds this call, and its argument is a static of this type.
    let pending: &Pending = unsafe { &*argument.cast::<Pending>() };
    pending.asked.store(false, Relaxed);
    // SAFETY: a pending call runs with the GIL and so with a thread state; both only tell a pointer.
    let usual = unsafe { ffi::PyThreadState_Get() == ffi::PyGILState_GetThisThreadState() };
    if !usual {
        // The main thread runs a subinterpreter: whoever asked for the GIL here would wait for itself.
        return 0;
    }
    // A panic must not reach the interpreter; the recording goes on without this one.
    let _ended_well = std::panic::catch_unwind(pending.call).is_ok();
    0
}
