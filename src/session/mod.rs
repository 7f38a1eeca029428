//! One recording: starts and stops it, and introduces the engines to each other.
//!
//! The hooks find an allocation, the interpreter tells whose it is, the recorder decides what it is
//! worth; none of them knows the others. Here is the one lock that they meet under. It is held for
//! a few hundred nanoseconds at a sample, by code that neither allocates through a hook nor calls
//! Python, so it cannot be waited for in a circle.

mod poll;
mod recording;

pub use recording::{Described, Options, Session, collection, is_recording};

use crate::hooks::{self, Callbacks, Noted, Saved};
use crate::profile::{Allocator, Collection};
use crate::sampling::{self, Block, Frames, Place, Recorder, Sample};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// What the hooks change while a recording runs.
struct Live {
    recorder: Recorder,
    started: Instant,
    /// Nanoseconds spent in our own code so far.
    spent: u64,
    collections: Vec<Collection>,
    collection_count: u64,
    collecting_since: Option<u64>,
}

static LIVE: Mutex<Option<Live>> = Mutex::new(None);

/// Bytes of the recorder itself, at most.
static OWN_PEAK: AtomicU64 = AtomicU64::new(0);

fn live() -> MutexGuard<'static, Option<Live>> {
    // A panic under the lock has ended the recording (`hooks::panicked`); what is there is still
    // good enough to be shown with that said.
    LIVE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Live {
    fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

/// Runs `change` under the lock and counts its time, from `entered` on, as ours.
fn with_live<T>(entered: Instant, change: impl FnOnce(&mut Live, u64) -> T) -> Option<T> {
    let mut lock = live();
    let live = lock.as_mut()?;
    let now = entered.duration_since(live.started).as_nanos() as u64;
    let result = change(live, now);
    live.spent += entered.elapsed().as_nanos() as u64;
    Some(result)
}

static NEW_LIBRARIES: AtomicBool = AtomicBool::new(false);

/// Called by the poll: the libraries that it finds are patched at the next sample.
fn look_for_libraries() {
    #[cfg(native_hooks)]
    if hooks::native::libraries_changed() {
        NEW_LIBRARIES.store(true, Relaxed);
    }
}

/// Called at a sample of small objects, and so under the GIL: no import is halfway through.
fn patch_new_libraries() {
    #[cfg(native_hooks)]
    if NEW_LIBRARIES.load(Relaxed) && NEW_LIBRARIES.swap(false, Relaxed) {
        hooks::native::patch_new_libraries();
    }
}

struct HookFilter;

impl sampling::Filter for HookFilter {
    fn add(&mut self, address: usize) {
        hooks::filter::add(address);
    }
    fn remove(&mut self, address: usize) {
        hooks::filter::remove(address);
    }
}

/// The stack of this thread, as the recorder wants it.
#[cfg(feature = "python")]
struct OwnStack(crate::interpreter::frames::Stack);

#[cfg(feature = "python")]
impl OwnStack {
    fn walk() -> Option<OwnStack> {
        crate::interpreter::frames::Stack::walk().map(OwnStack)
    }
}

#[cfg(feature = "python")]
impl Frames for OwnStack {
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.0.keys()
    }
    fn place(&self, index: usize) -> Place {
        let place = self.0.place(index);
        Place { function: place.function, file: place.file, line: place.line }
    }
    fn gap(&self) -> Option<usize> {
        self.0.gap()
    }
}

/// Without an interpreter no thread has a Python stack.
#[cfg(not(feature = "python"))]
struct OwnStack;

#[cfg(not(feature = "python"))]
impl OwnStack {
    fn walk() -> Option<OwnStack> {
        None
    }
}

#[cfg(not(feature = "python"))]
impl Frames for OwnStack {
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
        std::iter::empty()
    }
    fn place(&self, _index: usize) -> Place {
        Place { function: String::new(), file: String::new(), line: 0 }
    }
    fn gap(&self) -> Option<usize> {
        None
    }
}

/// What the hooks call.
const CALLBACKS: Callbacks = Callbacks {
    noted: |noted| {
        let entered = Instant::now();
        if noted.allocator == Allocator::Pymalloc {
            patch_new_libraries();
        }
        let sampled = noted.fired || noted.size as u64 >= hooks::large();
        let stack = if sampled { OwnStack::walk() } else { None };
        with_live(entered, |live, now| {
            let draw = sampled.then(|| record(live, noted, stack.as_ref(), now));
            if noted.net != 0 {
                live.recorder.native(noted.net, now);
            }
            draw
        })
        .flatten()
    },
    forgotten: |address, net| {
        with_live(Instant::now(), |live, now| {
            live.recorder.freed(address, now, &mut HookFilter);
            if net != 0 {
                live.recorder.native(net, now);
            }
        });
    },
    moving: |address| {
        with_live(Instant::now(), |live, now| live.recorder.freed(address, now, &mut HookFilter))
            .flatten()
            .map_or([0; 4], |s| [s.address as u64, s.size, s.site.into(), 1])
    },
    stayed: |address, [_, size, site, moved]: Saved| {
        if moved == 1 {
            let sample = Sample { address, size, site: site as u32 };
            with_live(Instant::now(), |live, now| {
                live.recorder.undo_free(sample, now, &mut HookFilter);
            });
        }
    },
    arena: |bytes| {
        with_live(Instant::now(), |live, now| live.recorder.arena(bytes, now));
    },
    mapped: |noted| {
        let stack = OwnStack::walk();
        with_live(Instant::now(), |live, now| map(live, noted, stack.as_ref(), now))
    },
    unmapped: |start, length| {
        with_live(Instant::now(), |live, now| {
            live.recorder.unmapped(start, length, now, &mut HookFilter);
        });
    },
    remapped: |old, old_length, noted| {
        let stack = OwnStack::walk();
        with_live(Instant::now(), |live, now| {
            live.recorder
                .unmapped(old, old_length, now, &mut HookFilter)
                .then(|| map(live, noted, stack.as_ref(), now))
        })
        .flatten()
    },
};

fn record(live: &mut Live, noted: Noted, stack: Option<&OwnStack>, now: u64) -> hooks::Draw {
    let block = Block {
        address: noted.address,
        size: noted.size as u64,
        allocator: noted.allocator,
        epoch: noted.epoch,
    };
    let recorder = &mut live.recorder;
    recorder.allocated(block, stack, now, &mut HookFilter);
    recorder.pace(now, live.spent, &mut HookFilter);
    hooks::set_large(recorder.always_from());
    let draw = recorder.draw();
    hooks::Draw { countdown: draw.countdown, epoch: draw.epoch }
}

/// A mapping is always recorded: it is made rarely and is at least a page.
fn map(live: &mut Live, noted: Noted, stack: Option<&OwnStack>, now: u64) -> hooks::Draw {
    debug_assert_eq!(noted.allocator, Allocator::Mmap);
    live.recorder.mapped(noted.address, noted.size, now);
    if noted.net != 0 {
        live.recorder.native(noted.net, now);
    }
    record(live, noted, stack, now)
}
