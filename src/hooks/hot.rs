//! What the hooks read at every call, in one page, and in it a cache line for each kind of call.
//!
//! Between two allocations a program runs through more code and data than the first-level caches hold. So
//! what a hook costs there is not its instructions, but the lines and pages that it touches. Each temporary
//! of numpy paid four times as much while these words were scattered over the library's data, the hooks over
//! its code, and the way to `malloc` led through our own global offset table.
//!
//! `struct memprofile_hot` of `hot.h` is the same layout, for `hot.c`, which has the hooks.

#[cfg(native_hooks)]
use super::native::{SLOTS, Slot};
#[cfg(feature = "python")]
use super::pymem::Objects;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

#[repr(C, align(4096))]
pub(super) struct Hot {
    pub(super) native: Native,
    #[cfg(feature = "python")]
    pub(super) objects: Objects,
    #[cfg(not(feature = "python"))]
    no_objects: [u64; 8],
    #[cfg(native_hooks)]
    pub(super) slots: [Slot; SLOTS],
}

/// For the `malloc` family: words that no call changes.
#[repr(C, align(64))]
pub(super) struct Native {
    /// Which recording runs: 0 is none, else a number that never repeats in the process.
    pub(super) recording: AtomicU32,
    /// The same while `malloc`'s headers say the sizes of blocks, else 0.
    fast: AtomicU32,
    /// A request of this size or more takes the slow way.
    unusual: AtomicU64,
    /// The addresses of `malloc`, `calloc` and `free`.
    pub(super) functions: [AtomicUsize; 3],
}

#[cfg_attr(any(native_hooks, feature = "python"), unsafe(export_name = "memprofile_hot"))]
pub(super) static HOT: Hot = Hot {
    native: Native {
        recording: AtomicU32::new(0),
        fast: AtomicU32::new(0),
        unusual: AtomicU64::new(0),
        functions: [const { AtomicUsize::new(0) }; 3],
    },
    #[cfg(feature = "python")]
    objects: Objects::new(),
    #[cfg(not(feature = "python"))]
    no_objects: [0; 8],
    #[cfg(native_hooks)]
    slots: [const { Slot::new() }; SLOTS],
};

const _: () = {
    #[cfg(feature = "python")]
    assert!(std::mem::offset_of!(Hot, objects) == 64);
    #[cfg(native_hooks)]
    assert!(std::mem::offset_of!(Hot, slots) == 128);
};

impl Native {
    /// From now on this recording runs, or none with 0.
    pub(super) fn record(&self, number: u32) {
        #[cfg(native_hooks)]
        let fast = super::native::header_says_size();
        #[cfg(not(native_hooks))]
        let fast = false;
        self.fast.store(if fast { number } else { 0 }, SeqCst);
        self.recording.store(number, SeqCst);
    }

    /// What makes a request unusual has changed: it is the smaller of the two.
    pub(super) fn set_unusual(&self, one: &AtomicU64, other: &AtomicU64) {
        loop {
            let smaller = || one.load(SeqCst).min(other.load(SeqCst));
            let unusual = smaller();
            self.unusual.store(unusual, SeqCst);
            // Whoever changes one of them comes here after that: the last to come leaves what is true.
            if smaller() == unusual {
                return;
            }
        }
    }
}
