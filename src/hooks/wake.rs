//! A signal to one thread of this process, which interrupts what it waits for.

/// A signal whose default is that nothing happens, and that hardly anybody uses: it may come late, when
/// nobody handles it any more.
pub const SIGNAL: i32 = imp::SIGNAL;

/// What names the calling thread to the kernel; `None` where threads have no such name.
pub fn this_thread() -> Option<i32> {
    imp::this_thread()
}

/// Sends the signal. A thread that is gone gets none.
pub fn wake(thread: i32) {
    imp::wake(thread);
}

#[cfg(target_os = "linux")]
mod imp {
    pub(super) const SIGNAL: i32 = libc::SIGURG;

    pub(super) fn this_thread() -> Option<i32> {
        // SAFETY: it only tells a number.
        Some(unsafe { libc::gettid() })
    }

    pub(super) fn wake(thread: i32) {
        // SAFETY: it names a thread of this very process, and the signal ends none by itself.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) const SIGNAL: i32 = 0;

    pub(super) fn this_thread() -> Option<i32> {
        None
    }

    pub(super) fn wake(_thread: i32) {}
}
