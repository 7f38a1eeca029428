//! Refusing a request before it is made: `malloc` gives NULL and ENOMEM, as where the system has no more.
//!
//! A higher floor decides ([`super::Callbacks::refuses`]), and says from which size on it wants to be asked.
//! Below it a hook costs one comparison more; without a limit that size is larger than any. `realloc` is
//! asked by what it grows by, and a block that may not grow is left as it is. Mappings are never refused:
//! who maps memory is an allocator, and many of these end the process when they get none.

use super::hot::HOT;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// From this size on a request is asked for.
#[cfg_attr(native_hooks, unsafe(export_name = "memprofile_askable"))]
pub(super) static ASKABLE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Says from which size on requests are asked for; `u64::MAX`: none is.
pub fn ask_from(bytes: u64) {
    ASKABLE.store(bytes, SeqCst);
    HOT.native.set_unusual(&ASKABLE, &super::LARGE);
}

/// Called by `native.c`, with the reentrancy mark set: a request for so many bytes more, which come
/// `zeroed`, and so cost nothing until they are written to.
#[cfg(native_hooks)]
#[unsafe(no_mangle)]
extern "C" fn memprofile_refuses(bytes: usize, zeroed: std::ffi::c_int) -> std::ffi::c_int {
    super::guarded(0, |c| (c.refuses)(bytes, zeroed != 0).into())
}
