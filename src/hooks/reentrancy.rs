//! The thread-local mark "our own code is running": what a thread allocates while it is set
//! is not recorded.

#[cfg(native_hooks)]
mod imp {
    unsafe extern "C" {
        // SAFETY (of the declaration): they only touch one integer of the calling thread.
        safe fn memprofile_enter() -> u32;
        safe fn memprofile_leave();
        safe fn memprofile_thread() -> *const std::ffi::c_void;
    }

    pub(super) fn thread() -> usize {
        memprofile_thread() as usize
    }

    pub(super) fn enter() -> u32 {
        memprofile_enter()
    }

    pub(super) fn leave() {
        memprofile_leave();
    }
}

#[cfg(not(native_hooks))]
mod imp {
    use std::cell::Cell;

    thread_local! {
        static INSIDE: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn thread() -> usize {
        INSIDE.with(|inside| std::ptr::from_ref(inside) as usize)
    }

    pub(super) fn enter() -> u32 {
        INSIDE.replace(INSIDE.get() + 1)
    }

    pub(super) fn leave() {
        INSIDE.set(INSIDE.get() - 1);
    }
}

/// A number of the calling thread that no other thread has at the same time.
pub fn thread() -> usize {
    imp::thread()
}

/// While it lives, what this thread allocates is not recorded. It may be nested.
#[derive(Debug)]
pub struct Pause {
    outermost: bool,
    // Of this thread only.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Pause {
    /// Sets the mark.
    pub fn new() -> Pause {
        Pause { outermost: imp::enter() == 0, _not_send: std::marker::PhantomData }
    }

    /// Whether the mark was clear before.
    pub fn outermost(&self) -> bool {
        self.outermost
    }
}

impl Default for Pause {
    fn default() -> Pause {
        Pause::new()
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        imp::leave();
    }
}
