//! The hooks: how we learn that memory was allocated or freed.
//!
//! Two layers, which never count a block twice:
//! - [`pymem`] wraps CPython's `OBJ` and `MEM` domains for requests of up to 512 bytes, which
//!   pymalloc serves from its arenas, and counts the arenas themselves;
//! - [`native`] patches the slots of the `malloc` and `mmap` families in the global offset table
//!   of every loaded library ([`elf`] finds them). Larger Python requests arrive there, since
//!   pymalloc passes them on; so the `RAW` domain is not wrapped.
//!
//! # The contract for code that runs inside of a hook
//!
//! A hook runs inside somebody's `malloc`, on any thread, with or without the GIL, possibly with
//! locks held of which we know nothing. So [`Callbacks`] never call Python, never take the GIL,
//! never allocate through a patched slot (our own library's slots are not patched) and never take a
//! lock that `fork` or the dynamic linker may hold. They run with [`reentrancy`] set, so that
//! whatever they cause is not recorded. A panic in them ends the recording, not the process.

#[cfg(native_hooks)]
mod arenas;
#[cfg_attr(not(native_hooks), allow(dead_code, reason = "only native hooks know who asks"))]
pub mod asking;
#[cfg(native_hooks)]
pub mod elf;
pub mod fork;
pub mod heap;
mod hot;
mod latest;
pub mod letterbox;
pub mod loaded;
pub mod lock;
#[cfg(native_hooks)]
pub mod native;
mod own_memory;
#[cfg(feature = "python")]
pub mod pymem;
pub mod quiet_thread;
pub mod reaped;
pub mod reentrancy;
pub mod refusal;
pub mod residency;
pub mod segment;
pub mod wake;

use crate::profile::Allocator;
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst,
};

use hot::HOT;
pub use own_memory::own_bytes;

/// What a hook found: a block that the sampler may want, or a flush of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// Its address, or 0 when only `net` is to be told.
    pub address: usize,
    /// The bytes that were asked for.
    pub size: usize,
    /// Who gave it.
    pub allocator: Allocator,
    /// Whether the countdown ran out at this block (or it is larger than any countdown).
    pub fired: bool,
    /// The sampling epoch that the countdown was drawn in; 0: none was drawn yet.
    pub epoch: u32,
    /// Usable native bytes allocated minus freed by this thread since it last told.
    pub net: i64,
}

/// A new countdown: how many bytes until the next sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Bytes until the next sample; 0 fires at every block.
    pub countdown: i64,
    /// The sampling epoch that it belongs to.
    pub epoch: u32,
}

/// Four words that stand for a live sample while its block is being moved by `realloc`.
pub type Saved = [u64; 4];

/// What a `realloc` may be about to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moving {
    /// A small object of Python's.
    Object,
    /// A block of malloc's, which is copied where it cannot stay.
    Block,
    /// One that malloc has mapped for itself: the kernel moves its pages.
    Mapping,
}

/// What a higher floor does with what the hooks find. See the contract above.
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// A block was allocated; `None` keeps the countdown.
    pub noted: fn(Noted) -> Option<Draw>,
    /// A native block that may be a sample is about to be freed (address 0: only the bytes are told).
    pub forgotten: fn(address: usize, net: i64),
    /// Python frees a block that may be a sample of a small object. If it is a native block, it comes
    /// by `forgotten` too.
    pub object_forgotten: fn(address: usize),
    /// As `forgotten` and `object_forgotten`, before a `realloc` to so many bytes that may fail.
    pub moving: fn(address: usize, size: usize, what: Moving) -> Saved,
    /// That `realloc` failed: the block is where it was.
    pub stayed: fn(address: usize, saved: Saved),
    /// CPython took an arena (positive) or is about to give one back (negative), in bytes.
    pub arena: fn(address: usize, bytes: i64),
    /// Anonymous memory was mapped for writing.
    pub mapped: fn(Noted) -> Option<Draw>,
    /// Addresses are about to be unmapped.
    pub unmapped: fn(start: usize, length: usize),
    /// A mapping moved or changed its length.
    pub remapped: fn(old: usize, old_length: usize, Noted) -> Option<Draw>,
    /// Anonymous addresses were reserved, to be used bit by bit; `caller` lies in the code that asked.
    pub reserved: fn(start: usize, length: usize, caller: usize),
    /// The pages of a range are about to be given back, and the range kept (`MADV_DONTNEED`). Returns
    /// how many bytes of it are resident, 0 where nothing of it matters.
    pub going_back: fn(start: usize, length: usize) -> usize,
    /// They were given back; `resident` as it was returned by `going_back`.
    pub gone_back: fn(start: usize, length: usize, resident: usize),
    /// The process is about to end, by `exit` or `_exit`.
    pub leaving: fn(),
    /// Whether a request for so many bytes more is refused; `zeroed`: they cost nothing until they are
    /// written to. Only asked from a size on ([`refusal::ask_from`]).
    pub refuses: fn(bytes: usize, zeroed: bool) -> bool,
}

static CALLBACKS: OnceLock<Callbacks> = OnceLock::new();
static PANICKED: AtomicBool = AtomicBool::new(false);

/// A native block of this size is noted whatever the countdown says.
#[cfg_attr(native_hooks, unsafe(export_name = "memprofile_large"))]
static LARGE: AtomicU64 = AtomicU64::new(u64::MAX);

/// The hashes of an address: one for every 64 bytes of 128 MiB. Finer ones would have a run of frees touch more
/// lines, fewer would have more blocks share the hash of a sample that lies elsewhere: with one for every 16
/// bytes of 16 MiB two million dicts cost 1% more.
const HASHES: usize = 1 << 21;

/// A bit for each hash that a live sample has. Every `free` reads it: a cache line of it stands for 32 KiB of
/// blocks.
#[cfg_attr(any(native_hooks, feature = "python"), unsafe(export_name = "memprofile_filter"))]
static FILTER: [AtomicU8; HASHES / 8] = [const { AtomicU8::new(0) }; HASHES / 8];

/// How many live samples share each hash, so that its bit goes back to 0 when the last of them is
/// freed: a loop that reuses a sampled address does not pay for it for ever. 255 is never left again,
/// which is only slower.
static SHARING: [AtomicU8; HASHES] = [const { AtomicU8::new(0) }; HASHES];

/// The filter in front of every `free`. Whoever adds or removes must hold the lock of the live set.
pub mod filter {
    use super::{FILTER, HASHES, Relaxed, SHARING};

    fn hash(address: usize) -> usize {
        (address >> 6) & (HASHES - 1)
    }

    /// From now on the free of this address is told to [`super::Callbacks::forgotten`].
    pub fn add(address: usize) {
        let hash = hash(address);
        let sharing = SHARING[hash].load(Relaxed);
        SHARING[hash].store(sharing.saturating_add(1), Relaxed);
        if sharing == 0 {
            let bits = &FILTER[hash / 8];
            bits.store(bits.load(Relaxed) | 1 << (hash % 8), Relaxed);
        }
    }

    /// Takes back one [`add`].
    pub fn remove(address: usize) {
        let hash = hash(address);
        let sharing = SHARING[hash].load(Relaxed);
        if sharing == 0 || sharing == u8::MAX {
            return;
        }
        SHARING[hash].store(sharing - 1, Relaxed);
        if sharing == 1 {
            let bits = &FILTER[hash / 8];
            bits.store(bits.load(Relaxed) & !(1 << (hash % 8)), Relaxed);
        }
    }

    /// Forgets every address. Pages that were never used stay untouched.
    pub fn clear() {
        for (bits, sharing) in FILTER.iter().zip(SHARING.chunks_exact(8)) {
            if bits.load(Relaxed) != 0 {
                bits.store(0, Relaxed);
                sharing.iter().for_each(|count| count.store(0, Relaxed));
            }
        }
    }

    /// Bytes of it that are in memory.
    pub fn resident() -> usize {
        let resident = |start: *const _, length| super::residency::resident(start as usize, length);
        resident(FILTER.as_ptr(), FILTER.len()) + resident(SHARING.as_ptr(), SHARING.len())
    }

    #[cfg(feature = "python")]
    #[inline]
    pub(super) fn may_hold(address: usize) -> bool {
        let hash = hash(address);
        FILTER[hash / 8].load(Relaxed) & (1 << (hash % 8)) != 0
    }
}

/// Says from which size on a native block is noted whatever the countdown says. It is called at each sample,
/// by one thread at a time, and rarely says anything new.
pub fn set_large(bytes: u64) {
    if LARGE.load(Relaxed) == bytes {
        return;
    }
    LARGE.store(bytes, SeqCst);
    HOT.native.set_unusual(&LARGE, &refusal::ASKABLE);
}

/// From which size on a native block is noted whatever the countdown says.
pub fn large() -> u64 {
    LARGE.load(Relaxed)
}

/// What the native hooks counted; nothing where there are none.
pub fn counted() -> Counted {
    #[cfg(native_hooks)]
    return native::counted();
    #[cfg(not(native_hooks))]
    Counted::default()
}

/// Bytes that Python requested in small blocks, in the last recording.
pub fn requested_small() -> u64 {
    #[cfg(feature = "python")]
    return pymem::requested();
    #[cfg(not(feature = "python"))]
    0
}

/// What the threads counted in a recording. Threads that still run may be counting on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes requested from the native allocator.
    pub allocated: u64,
    /// Number of native allocations.
    pub count: u64,
    /// Usable bytes allocated minus freed that no thread has told yet.
    pub untold: i64,
}

/// Whether a panic has ended the recording; the report says so.
pub fn panicked() -> bool {
    PANICKED.load(Relaxed)
}

#[cfg(any(native_hooks, feature = "python"))]
fn callbacks() -> Option<&'static Callbacks> {
    if HOT.native.recording.load(Relaxed) == 0 { None } else { CALLBACKS.get() }
}

/// Runs a callback so that no panic leaves the hook: a panic ends the recording instead.
#[cfg(any(native_hooks, feature = "python"))]
fn guarded<T>(otherwise: T, call: impl FnOnce(&Callbacks) -> T) -> T {
    let Some(callbacks) = callbacks() else { return otherwise };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(callbacks))) {
        Ok(value) => value,
        Err(_) => {
            PANICKED.store(true, Relaxed);
            HOT.native.record(0);
            otherwise
        }
    }
}

/// Installed hooks; dropping it takes them off.
#[derive(Debug)]
#[must_use = "dropping the guard takes the hooks off"]
pub struct HookGuard {
    what: Coverage,
}

/// Which hooks could be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Python's small objects and arenas.
    pub python: bool,
    /// The `malloc` and `mmap` families: how many slots were patched; `None` on a platform without.
    pub native_slots: Option<usize>,
}

impl HookGuard {
    /// Which hooks are on.
    pub fn coverage(&self) -> Coverage {
        self.what
    }

    /// Whether the hooks of Python's small objects are still called: another tool may have replaced
    /// the allocator since. The caller holds the GIL.
    pub fn still_sees_python(&self) -> bool {
        #[cfg(feature = "python")]
        return !self.what.python || pymem::sees_all();
        #[cfg(not(feature = "python"))]
        true
    }
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Numbers come again after 2^32 recordings; 0 stays "off", and the largest is no recording's (native.c,
/// `armed`).
fn next_number() -> u32 {
    NUMBER.fetch_add(1, Relaxed) % (u32::MAX - 1) + 1
}

/// Which hooks are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that there are.
    Everything,
    /// All but those of Python's small objects: of these the arenas are seen.
    WithoutObjects,
}

/// Installs the hooks that this platform has and begins to call `callbacks`.
///
/// With the `python` feature the caller holds the GIL. Only one guard lives at a time; the
/// caller sees to that. `callbacks` of the first call serve for the life of the process.
pub fn install(callbacks: Callbacks, extent: Extent) -> HookGuard {
    CALLBACKS.get_or_init(|| callbacks);
    PANICKED.store(false, Relaxed);
    filter::clear();
    #[cfg(native_hooks)]
    let native_slots = Some(native::patch());
    #[cfg(not(native_hooks))]
    let native_slots = None;
    HOT.native.record(next_number());
    #[cfg(feature = "python")]
    let python = pymem::install(extent == Extent::Everything);
    #[cfg(not(feature = "python"))]
    let python = {
        let _ = extent;
        false
    };
    HookGuard { what: Coverage { python, native_slots } }
}

/// Stops recording at once in this process, leaving the hooks where they are: for a forked
/// child, which must not touch what its parent's threads may have been changing.
pub fn switch_off() {
    HOT.native.record(0);
    set_large(u64::MAX);
    #[cfg(feature = "python")]
    pymem::switch_off();
}

/// A forked child, in which the hooks are where its parent had them, begins to record for itself.
pub fn switch_on_in_child() {
    HOT.native.record(next_number());
    set_large(1);
    #[cfg(feature = "python")]
    pymem::switch_on();
}

/// Whether a recording is on in this process.
pub fn is_on() -> bool {
    HOT.native.recording.load(Relaxed) != 0
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        switch_off();
        #[cfg(feature = "python")]
        pymem::uninstall();
        #[cfg(native_hooks)]
        native::restore();
        filter::clear();
    }
}
