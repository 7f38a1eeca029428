//! The `malloc` and `mmap` families: the Rust side of `native.c`.
//!
//! `native.c` holds what runs at each call; here is what runs at a sample, and the list of
//! functions whose slots [`super::elf`] patches.

use super::asking;
use super::elf::{self, Target};
use super::hot::HOT;
use super::{Counted, Draw, Moving, Noted, Saved, guarded};
use crate::profile::Allocator;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// One thread's counters; `struct memprofile_slot` of `hot.h`.
#[repr(C, align(64))]
pub struct Slot {
    countdown: AtomicI64,
    net: AtomicI64,
    count: AtomicU64,
    drawn: AtomicI64,
    requested: AtomicU64,
    recording: AtomicU32,
    epoch: AtomicU32,
    unused: [u64; 2],
}

impl Slot {
    pub(super) const fn new() -> Slot {
        Slot {
            countdown: AtomicI64::new(0),
            net: AtomicI64::new(0),
            count: AtomicU64::new(0),
            drawn: AtomicI64::new(0),
            requested: AtomicU64::new(0),
            recording: AtomicU32::new(0),
            epoch: AtomicU32::new(0),
            unused: [0; 2],
        }
    }
}

/// As many threads have a slot of their own, but for the last one.
pub(super) const SLOTS: usize = 1024;

unsafe extern "C" {
    static memprofile_slots_used: AtomicU32;
    fn memprofile_malloc(size: usize) -> *mut c_void;
    fn memprofile_calloc(count: usize, size: usize) -> *mut c_void;
    fn memprofile_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn memprofile_reallocarray(old: *mut c_void, count: usize, size: usize) -> *mut c_void;
    fn memprofile_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn memprofile_aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn memprofile_posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
    fn memprofile_valloc(size: usize) -> *mut c_void;
    fn memprofile_pvalloc(size: usize) -> *mut c_void;
    fn memprofile_free(block: *mut c_void);
    fn memprofile_mmap();
    fn memprofile_mmap64();
    fn memprofile_munmap();
    fn memprofile_mremap();
    fn memprofile_madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
    fn memprofile_exit(status: c_int) -> !;
    fn memprofile_exit_at_once(status: c_int) -> !;
    safe fn memprofile_learn_header();
    safe fn memprofile_header_says_size() -> c_int;
    safe fn memprofile_watch_threads();
    safe fn memprofile_forget_threads();
    #[cfg(feature = "python")]
    safe fn memprofile_own_slot() -> *const Slot;
}

/// Symbol names and what their slots are made to point to.
fn targets() -> [Target; 18] {
    [
        Target::new(c"malloc", memprofile_malloc as *const () as usize),
        Target::new(c"calloc", memprofile_calloc as *const () as usize),
        Target::new(c"realloc", memprofile_realloc as *const () as usize),
        Target::new(c"reallocarray", memprofile_reallocarray as *const () as usize),
        Target::new(c"free", memprofile_free as *const () as usize),
        Target::new(c"posix_memalign", memprofile_posix_memalign as *const () as usize),
        Target::new(c"aligned_alloc", memprofile_aligned_alloc as *const () as usize),
        Target::new(c"memalign", memprofile_memalign as *const () as usize),
        Target::new(c"valloc", memprofile_valloc as *const () as usize),
        Target::new(c"pvalloc", memprofile_pvalloc as *const () as usize),
        Target::new(c"mmap", memprofile_mmap as *const () as usize),
        Target::new(c"mmap64", memprofile_mmap64 as *const () as usize),
        Target::new(c"munmap", memprofile_munmap as *const () as usize),
        Target::new(c"mremap", memprofile_mremap as *const () as usize),
        Target::new(c"madvise", memprofile_madvise as *const () as usize),
        Target::new(c"waitpid", super::reaped::waitpid_hook()),
        Target::new(c"exit", memprofile_exit as *const () as usize),
        Target::new(c"_exit", memprofile_exit_at_once as *const () as usize),
    ]
}

/// Patches the slots of every loaded library; returns how many are patched now.
pub(super) fn patch() -> usize {
    memprofile_learn_header();
    // Our own slots are never patched, so what they hold is asked for once.
    if HOT.native.functions.iter().any(|function| function.load(Relaxed) == 0) {
        let own = elf::own([c"malloc", c"calloc", c"free"]);
        for (place, function) in HOT.native.functions.iter().zip(own) {
            place.store(function, Relaxed);
        }
    }
    memprofile_watch_threads();
    let patched = elf::patch(&targets());
    asking::learn();
    patched
}

/// Whether `malloc`'s headers say the sizes of blocks; known once slots were patched.
pub(super) fn header_says_size() -> bool {
    memprofile_header_says_size() != 0
}

/// In a forked child: this thread is the only one.
pub(super) fn forget_threads() {
    memprofile_forget_threads();
}

/// Whether a library was loaded or unloaded since slots were last patched.
pub fn libraries_changed() -> bool {
    elf::libraries_changed()
}

/// Patches libraries that were loaded since. Returns whether there were any.
///
/// The caller holds the GIL, and so no import is halfway through loading a library.
pub fn patch_new_libraries() -> bool {
    elf::libraries_changed() && patch() > 0
}

/// Puts back every slot that still holds one of our hooks.
pub(super) fn restore() {
    elf::restore(&targets());
}

/// Adds up the threads' counters of the recording that is on (or was, until just now).
pub fn counted() -> Counted {
    let recording = super::NUMBER.load(Relaxed);
    // SAFETY: the array is static, and its fields are only read here, as atomics; a thread's
    // plain additions to them may be missed, not torn (aligned words).
    let used = unsafe { memprofile_slots_used.load(Relaxed) };
    let mut sum = Counted::default();
    for slot in &HOT.slots[..(used as usize).min(SLOTS)] {
        if slot.recording.load(Relaxed) == recording {
            sum.allocated += slot.requested();
            sum.count += slot.count.load(Relaxed);
            sum.untold += slot.net.load(Relaxed);
        }
    }
    sum
}

/// How often this thread's slot has counted an allocation. Ever growing within a recording, so
/// a difference says whether an allocation in between went through a patched slot.
#[cfg(feature = "python")]
pub(super) fn own_count() -> u64 {
    // SAFETY: the slot is this thread's element of the static array.
    unsafe { (*memprofile_own_slot()).count.load(Relaxed) }
}

impl Slot {
    /// Bytes requested since the recording began.
    fn requested(&self) -> u64 {
        let since = self.drawn.load(Relaxed) - self.countdown.load(Relaxed);
        self.requested.load(Relaxed).saturating_add_signed(since)
    }

    /// Takes the bytes that were not told yet.
    fn take_net(&self) -> i64 {
        let net = self.net.load(Relaxed);
        self.net.store(0, Relaxed);
        net
    }

    /// The slot of several threads has no countdown (native.c, `COMMON`).
    fn is_common(&self) -> bool {
        std::ptr::eq(self, &HOT.slots[SLOTS - 1])
    }

    fn redraw(&self, draw: Option<Draw>) {
        if let Some(Draw { countdown, epoch }) = draw
            && !self.is_common()
        {
            self.requested.store(self.requested(), Relaxed);
            self.drawn.store(countdown, Relaxed);
            self.countdown.store(countdown, Relaxed);
            self.epoch.store(epoch, Relaxed);
        }
    }
}

// The functions below are called by `native.c` alone, on the thread whose slot it is, with
// the reentrancy mark set.

#[unsafe(no_mangle)]
extern "C" fn memprofile_noted(block: *mut c_void, size: usize, slot: &Slot) {
    let noted = Noted {
        address: block as usize,
        size,
        allocator: Allocator::Malloc,
        fired: slot.countdown.load(Relaxed) < 0,
        epoch: slot.epoch.load(Relaxed),
        net: slot.take_net(),
    };
    slot.redraw(guarded(None, |c| (c.noted)(noted)));
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_forgotten(block: *mut c_void, slot: &Slot) {
    let net = slot.take_net();
    guarded((), |c| (c.forgotten)(block as usize, net));
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_moving(block: *mut c_void, size: usize, mapped: c_int, saved: &mut Saved) {
    let what = if mapped != 0 { Moving::Mapping } else { Moving::Block };
    *saved = guarded([0; 4], |c| (c.moving)(block as usize, size, what));
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_stayed(block: *mut c_void, saved: &Saved) {
    guarded((), |c| (c.stayed)(block as usize, *saved));
}

/// Called by `leaving.c`.
#[unsafe(no_mangle)]
extern "C" fn memprofile_leaving() {
    let _pause = super::reentrancy::Pause::new();
    guarded((), |c| (c.leaving)());
}

/// What a mapping is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mapping {
    /// Memory to be used at once.
    InUse,
    /// Room that an allocator of a library's own keeps for later: it counts by its resident pages.
    Reserved,
    /// A file, or a thread's stack.
    Other,
}

fn mapping(prot: c_int, flags: c_int) -> Mapping {
    if flags & libc::MAP_ANONYMOUS == 0 || flags & libc::MAP_STACK != 0 {
        Mapping::Other
    } else if prot & libc::PROT_WRITE == 0 || flags & libc::MAP_NORESERVE != 0 {
        Mapping::Reserved
    } else {
        Mapping::InUse
    }
}

fn noted_mapping(start: *mut c_void, length: usize, slot: &Slot) -> Noted {
    Noted {
        address: start as usize,
        size: length,
        allocator: Allocator::Mmap,
        fired: true,
        epoch: slot.epoch.load(Relaxed),
        net: slot.take_net(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_mapped(
    start: *mut c_void,
    length: usize,
    prot: c_int,
    flags: c_int,
    caller: *const c_void,
    slot: &Slot,
) {
    match mapping(prot, flags) {
        Mapping::InUse => {
            let noted = noted_mapping(start, length, slot);
            slot.redraw(guarded(None, |c| (c.mapped)(noted)));
        }
        Mapping::Reserved => {
            guarded((), |c| (c.reserved)(start as usize, length, caller as usize));
        }
        Mapping::Other => {}
    }
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_going_back(start: *mut c_void, length: usize) -> usize {
    guarded(0, |c| (c.going_back)(start as usize, length))
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_gone_back(start: *mut c_void, length: usize, resident: usize) {
    guarded((), |c| (c.gone_back)(start as usize, length, resident));
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_unmapped(start: *mut c_void, length: usize) {
    guarded((), |c| (c.unmapped)(start as usize, length));
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_remapped(
    old: *mut c_void,
    old_length: usize,
    start: *mut c_void,
    length: usize,
    slot: &Slot,
) {
    let noted = noted_mapping(start, length, slot);
    slot.redraw(guarded(None, |c| (c.remapped)(old as usize, old_length, noted)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_cache_line_as_in_c() {
        assert_eq!(size_of::<Slot>(), 64);
        assert_eq!(std::mem::offset_of!(Slot, recording), 40);
        assert_eq!(std::mem::offset_of!(Slot, epoch), 44);
    }

    #[test]
    fn hooks_lie_where_hot_c_says_in_their_page() {
        let place = memprofile_malloc as *const () as usize % 4096;
        assert!((0xa00..0xb00).contains(&place), "{place:#x}");
    }

    #[test]
    fn a_reservation_is_not_use() {
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        assert_eq!(mapping(writable, anonymous), Mapping::InUse);
        assert_eq!(mapping(libc::PROT_NONE, anonymous), Mapping::Reserved);
        assert_eq!(mapping(writable, anonymous | libc::MAP_NORESERVE), Mapping::Reserved);
        assert_eq!(mapping(writable, libc::MAP_PRIVATE), Mapping::Other);
        assert_eq!(mapping(writable, anonymous | libc::MAP_STACK), Mapping::Other);
    }
}
