//! A thread of our own in somebody else's process.
//!
//! What it allocates is never recorded, and it takes no signal: an interrupt that the kernel gave to
//! it would not wake the main thread from a sleep.

use super::reentrancy::Pause;
use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts it.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let blocked = block_signals();
    let thread = Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(move || {
        let _pause = Pause::new();
        body();
    });
    restore_signals(&blocked);
    thread
}

#[cfg(unix)]
fn block_signals() -> libc::sigset_t {
    let mut all = std::mem::MaybeUninit::uninit();
    let mut before = std::mem::MaybeUninit::uninit();
    // SAFETY: both sets are written by the calls before they are read; a new thread inherits the
    // mask of this one, which `restore_signals` puts back.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

#[cfg(unix)]
fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the mask that this thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}

#[cfg(not(unix))]
fn block_signals() {}

#[cfg(not(unix))]
fn restore_signals(_before: &()) {}
