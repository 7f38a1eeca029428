//! CPython's `OBJ` and `MEM` domains, and pymalloc's arenas.
//!
//! Both domains are called under the GIL only, so the countdown is one plain global (a relaxed
//! atomic, which compiles to the same instructions), not thread-local. Requests above pymalloc's
//! limit of 512 bytes are passed on by it to `malloc`, through the slots that [`super::native`]
//! patches; they are recorded there and not here.
//!
//! The original allocator is saved before ours is published and never cleared. When another
//! allocator was put around ours (tracemalloc started inside the cell), ours cannot be taken out:
//! it stays, switched off, and is found by a probe at the next recording.

use super::hot::HOT;
use super::{Draw, Moving, Noted, filter, guarded, reentrancy::Pause};
use crate::profile::Allocator;
use pyo3::ffi;
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering::Relaxed};

static EPOCH: AtomicU32 = AtomicU32::new(0);
/// Bytes that the countdowns so far have used up, to count what was requested.
static REQUESTED: AtomicI64 = AtomicI64::new(0);
/// The countdown when it was last set.
static DRAWN: AtomicI64 = AtomicI64::new(0);

/// The domains that are wrapped.
const DOMAINS: [ffi::PyMemAllocatorDomain; 2] =
    [ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ, ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_MEM];

struct Original<T>(UnsafeCell<T>);

// SAFETY: it is written under the GIL only, before our functions are published or while no
// thread is inside of them (they run under the GIL), and read by our functions under the GIL.
unsafe impl<T> Sync for Original<T> {}

const NO_ALLOCATOR: ffi::PyMemAllocatorEx = ffi::PyMemAllocatorEx {
    ctx: std::ptr::null_mut(),
    malloc: None,
    calloc: None,
    realloc: None,
    free: None,
};

/// The allocators that ours stand around, as in [`DOMAINS`].
static ORIGINALS: [Original<ffi::PyMemAllocatorEx>; 2] =
    [const { Original(UnsafeCell::new(NO_ALLOCATOR)) }; 2];

/// What is read at every call.
#[repr(C, align(64))]
pub(super) struct Objects {
    /// Bytes until the next sample.
    countdown: AtomicI64,
    /// The largest request that pymalloc serves itself.
    small: AtomicUsize,
    /// `malloc`, `calloc` and `free` of both originals, where they are the same and have no context. Such a
    /// function does not look at it, so that it can be jumped to with ours.
    functions: [AtomicUsize; 3],
}

impl Objects {
    pub(super) const fn new() -> Objects {
        Objects {
            countdown: AtomicI64::new(i64::MAX),
            small: AtomicUsize::new(512),
            functions: [const { AtomicUsize::new(0) }; 3],
        }
    }
}

static ORIGINAL_ARENAS: Original<ffi::PyObjectArenaAllocator> =
    Original(UnsafeCell::new(ffi::PyObjectArenaAllocator {
        ctx: std::ptr::null_mut(),
        alloc: None,
        free: None,
    }));

unsafe extern "C" {
    /// Exported by CPython 3.11 to 3.15 (`Include/internal/pycore_pymem.h`); NULL when unknown.
    fn _PyMem_GetCurrentAllocatorName() -> *const c_char;
}

unsafe extern "C" {
    // In hot.c: each counts, and jumps to the original or to one of the functions below. Safe as the type says
    // that they are kept in; only CPython calls them, and with the `ctx` that it was given.
    safe fn memprofile_object_malloc(ctx: *mut c_void, size: usize) -> *mut c_void;
    safe fn memprofile_object_calloc(ctx: *mut c_void, count: usize, size: usize) -> *mut c_void;
    safe fn memprofile_object_free(ctx: *mut c_void, block: *mut c_void);
    safe fn memprofile_wrapped_malloc(ctx: *mut c_void, size: usize) -> *mut c_void;
    safe fn memprofile_wrapped_calloc(ctx: *mut c_void, count: usize, size: usize) -> *mut c_void;
    safe fn memprofile_wrapped_free(ctx: *mut c_void, block: *mut c_void);
}

/// Counts a request, and tells whether its block is to be noted; as in hot.c.
fn fires(size: usize) -> bool {
    if size > HOT.objects.small.load(Relaxed) {
        return false;
    }
    let left = HOT.objects.countdown.load(Relaxed) - size as i64;
    HOT.objects.countdown.store(left, Relaxed);
    left < 0
}

#[cold]
#[inline(never)]
fn fired(block: *mut c_void, size: usize) -> *mut c_void {
    let pause = Pause::new();
    if !pause.outermost() {
        return block;
    }
    REQUESTED.fetch_add(DRAWN.load(Relaxed) - HOT.objects.countdown.load(Relaxed), Relaxed);
    let noted = Noted {
        address: block as usize,
        size,
        allocator: Allocator::Pymalloc,
        fired: true,
        epoch: EPOCH.load(Relaxed),
        net: 0,
    };
    let draw = if block.is_null() {
        Draw { countdown: 0, epoch: noted.epoch }
    } else {
        // Switched off: count down from as far as possible.
        let idle = Draw { countdown: i64::MAX, epoch: 0 };
        guarded(None, |c| (c.noted)(noted)).unwrap_or(idle)
    };
    set_countdown(draw);
    block
}

fn set_countdown(draw: Draw) {
    HOT.objects.countdown.store(draw.countdown, Relaxed);
    DRAWN.store(draw.countdown, Relaxed);
    EPOCH.store(draw.epoch, Relaxed);
}

/// The saved allocator that a hook's `ctx` points to.
fn original(ctx: *mut c_void) -> &'static ffi::PyMemAllocatorEx {
    // SAFETY: `ctx` is the address of an element of ORIGINALS, as set in `install`; it is not
    // written while a hook runs (see `Original`).
    unsafe { &*ctx.cast::<ffi::PyMemAllocatorEx>() }
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_object_fired(ctx: *mut c_void, size: usize) -> *mut c_void {
    let original = original(ctx);
    // SAFETY: a saved allocator has all of its functions, and gets its own context back.
    fired(unsafe { original.malloc.unwrap_unchecked()(original.ctx, size) }, size)
}

#[unsafe(no_mangle)]
extern "C" fn memprofile_zeroed_object_fired(
    ctx: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    let original = original(ctx);
    // SAFETY: as in `memprofile_object_fired`.
    let block = unsafe { original.calloc.unwrap_unchecked()(original.ctx, count, size) };
    fired(block, count.wrapping_mul(size))
}

/// A block that shares a byte of the filter with a sample.
#[unsafe(no_mangle)]
extern "C" fn memprofile_free_near_a_sample(ctx: *mut c_void, block: *mut c_void) {
    if filter::may_hold(block as usize) {
        forget(block as usize);
    }
    let original = original(ctx);
    // SAFETY: as in `memprofile_object_fired`.
    unsafe { original.free.unwrap_unchecked()(original.ctx, block) }
}

#[cold]
#[inline(never)]
fn forget(address: usize) {
    let _pause = Pause::new();
    guarded((), |c| (c.object_forgotten)(address));
}

extern "C" fn hook_realloc(ctx: *mut c_void, old: *mut c_void, size: usize) -> *mut c_void {
    let original = original(ctx);
    let saved = (filter::may_hold(old as usize) && !old.is_null()).then(|| {
        let _pause = Pause::new();
        guarded([0; 4], |c| (c.moving)(old as usize, size, Moving::Object))
    });
    let native_before = native_count();
    // SAFETY: as in `memprofile_object_fired`.
    let block = unsafe { original.realloc.unwrap_unchecked()(original.ctx, old, size) };
    if block.is_null() {
        if let Some(saved) = saved {
            let _pause = Pause::new();
            guarded((), |c| (c.stayed)(old as usize, saved));
        }
    } else if native_count() == native_before && fires(size) {
        // Had the count moved, the block would be `malloc`'s and recorded there.
        fired(block, size);
    }
    block
}

#[inline(always)]
fn native_count() -> u64 {
    #[cfg(native_hooks)]
    return super::native::own_count();
    #[cfg(not(native_hooks))]
    0
}

extern "C" fn hook_arena_alloc(ctx: *mut c_void, size: usize) -> *mut c_void {
    let _pause = Pause::new();
    // SAFETY: `ctx` is ORIGINAL_ARENAS, complete since `install`, and gets its own context back.
    let arena = unsafe {
        let original = &*ctx.cast::<ffi::PyObjectArenaAllocator>();
        original.alloc.unwrap_unchecked()(original.ctx, size)
    };
    if !arena.is_null() {
        guarded((), |c| (c.arena)(arena as usize, size as i64));
    }
    arena
}

extern "C" fn hook_arena_free(ctx: *mut c_void, arena: *mut c_void, size: usize) {
    let _pause = Pause::new();
    guarded((), |c| (c.arena)(arena as usize, -(size as i64)));
    // SAFETY: as in `hook_arena_alloc`.
    unsafe {
        let original = &*ctx.cast::<ffi::PyObjectArenaAllocator>();
        original.free.unwrap_unchecked()(original.ctx, arena, size);
    }
}

/// The name of the allocator below, while it can still be asked for: hooks hide it.
fn serves_small_requests_itself() -> bool {
    // SAFETY: it returns NULL or a static string, and is called under the GIL.
    let name = unsafe {
        let name = _PyMem_GetCurrentAllocatorName();
        if name.is_null() { None } else { CStr::from_ptr(name).to_str().ok() }
    };
    let name = name.map(str::to_owned).or_else(|| std::env::var("PYTHONMALLOC").ok());
    match name.as_deref() {
        // Every request goes to malloc, whose slots are patched.
        Some("malloc" | "malloc_debug") => false,
        Some("pymalloc_debug" | "debug") => {
            // The debug hooks ask for four words more than they were asked for.
            HOT.objects.small.store(512 - 4 * size_of::<usize>(), Relaxed);
            true
        }
        _ => true,
    }
}

/// Wraps the domains, or the arenas alone. Returns whether small objects are seen. The caller holds the
/// GIL.
pub(super) fn install(objects: bool) -> bool {
    if !serves_small_requests_itself() {
        return false;
    }
    if objects {
        switch_on();
        wrap_domains();
    }
    wrap_arenas();
    objects
}

fn wrap_domains() {
    let seen = DOMAINS.map(sees);
    for (index, domain) in DOMAINS.into_iter().enumerate() {
        if !seen[index] {
            // SAFETY: under the GIL; ours is not in the chain (not stuck), so no thread is inside of a hook
            // of this domain.
            unsafe { ffi::PyMem_GetAllocator(domain, ORIGINALS[index].0.get()) };
        }
    }
    let ours = if know_functions() {
        ffi::PyMemAllocatorEx {
            malloc: Some(memprofile_object_malloc),
            calloc: Some(memprofile_object_calloc),
            free: Some(memprofile_object_free),
            ..NO_ALLOCATOR
        }
    } else {
        ffi::PyMemAllocatorEx {
            malloc: Some(memprofile_wrapped_malloc),
            calloc: Some(memprofile_wrapped_calloc),
            free: Some(memprofile_wrapped_free),
            ..NO_ALLOCATOR
        }
    };
    for (index, domain) in DOMAINS.into_iter().enumerate() {
        if !seen[index] {
            let ctx = ORIGINALS[index].0.get().cast();
            let mut ours = ffi::PyMemAllocatorEx { ctx, realloc: Some(hook_realloc), ..ours };
            // SAFETY: under the GIL; the original is complete.
            unsafe { ffi::PyMem_SetAllocator(domain, &raw mut ours) };
        }
    }
}

/// Whether the originals can be jumped to with our context; then their functions are known.
fn know_functions() -> bool {
    let [objects, memory] = [0, 1].map(|index| {
        // SAFETY: under the GIL, under which alone it is written.
        let original = unsafe { &*ORIGINALS[index].0.get() };
        let addresses = [
            original.malloc.map_or(0, |f| f as usize),
            original.calloc.map_or(0, |f| f as usize),
            original.free.map_or(0, |f| f as usize),
        ];
        (original.ctx, addresses)
    });
    let known = objects == memory && objects.0.is_null() && !objects.1.contains(&0);
    if known {
        for (place, address) in HOT.objects.functions.iter().zip(objects.1) {
            place.store(address, Relaxed);
        }
    }
    known
}

fn wrap_arenas() {
    let saved = ORIGINAL_ARENAS.0.get();
    if arenas_are_ours(saved) {
        return;
    }
    // SAFETY: under the GIL; the original is complete before ours is published; nobody wraps the arena
    // allocator around ours and keeps it.
    unsafe {
        ffi::PyObject_GetArenaAllocator(saved);
        let mut ours = ffi::PyObjectArenaAllocator {
            ctx: saved.cast(),
            alloc: Some(hook_arena_alloc),
            free: Some(hook_arena_free),
        };
        ffi::PyObject_SetArenaAllocator(&raw mut ours);
    }
}

/// Whether our wrap is in place and nobody's is around it.
fn is_outermost(domain: ffi::PyMemAllocatorDomain, saved: *mut ffi::PyMemAllocatorEx) -> bool {
    let mut current = NO_ALLOCATOR;
    // SAFETY: it only fills `current`.
    unsafe { ffi::PyMem_GetAllocator(domain, &raw mut current) };
    current.ctx == saved.cast()
}

/// Whether requests of a domain reach our wrap: it may be the outermost, or another one may be
/// around it. One request tells.
fn sees(domain: ffi::PyMemAllocatorDomain) -> bool {
    let _pause = Pause::new();
    let before = HOT.objects.countdown.load(Relaxed);
    // SAFETY: under the GIL; what was allocated is freed by the same domain.
    unsafe {
        if matches!(domain, ffi::PyMemAllocatorDomain::PYMEM_DOMAIN_OBJ) {
            ffi::PyObject_Free(ffi::PyObject_Malloc(1));
        } else {
            ffi::PyMem_Free(ffi::PyMem_Malloc(1));
        }
    }
    let seen = HOT.objects.countdown.load(Relaxed) != before;
    HOT.objects.countdown.store(before, Relaxed);
    seen
}

/// Whether every small request is seen at this moment.
pub(super) fn sees_all() -> bool {
    DOMAINS.into_iter().all(sees)
}

fn arenas_are_ours(saved: *mut ffi::PyObjectArenaAllocator) -> bool {
    let mut current =
        ffi::PyObjectArenaAllocator { ctx: std::ptr::null_mut(), alloc: None, free: None };
    // SAFETY: it only fills `current`.
    unsafe { ffi::PyObject_GetArenaAllocator(&raw mut current) };
    current.ctx == saved.cast()
}

/// Lets the hooks pass everything through.
pub(super) fn switch_off() {
    REQUESTED.fetch_add(DRAWN.load(Relaxed) - HOT.objects.countdown.load(Relaxed), Relaxed);
    set_countdown(Draw { countdown: i64::MAX, epoch: 0 });
}

/// The next small block is noted, where the wraps are in place.
pub(super) fn switch_on() {
    REQUESTED.store(0, Relaxed);
    set_countdown(Draw { countdown: 0, epoch: 0 });
}

/// Takes the wraps off, where they are still the outermost. The caller holds the GIL.
pub(super) fn uninstall() {
    for (index, domain) in DOMAINS.into_iter().enumerate() {
        let saved = ORIGINALS[index].0.get();
        if is_outermost(domain, saved) {
            // SAFETY: under the GIL, as in `install`.
            unsafe { ffi::PyMem_SetAllocator(domain, saved) };
        }
    }
    let saved = ORIGINAL_ARENAS.0.get();
    if arenas_are_ours(saved) {
        // SAFETY: under the GIL, as in `install`.
        unsafe { ffi::PyObject_SetArenaAllocator(saved) };
    }
}

/// Bytes that Python requested in blocks of up to 512 bytes, in the last recording.
pub fn requested() -> u64 {
    let running =
        if super::is_on() { DRAWN.load(Relaxed) - HOT.objects.countdown.load(Relaxed) } else { 0 };
    u64::try_from(REQUESTED.load(Relaxed) + running).unwrap_or(0)
}
