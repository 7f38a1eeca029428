//! One recording: starts and stops it, and introduces the engines to each other.
//!
//! The hooks find an allocation, the interpreter tells whose it is, the recorder decides what it is
//! worth; none of them knows the others. Here is the one lock that they meet under. It is held for
//! a few hundred nanoseconds at a sample, by code that neither allocates through a hook nor calls
//! Python, so it cannot be waited for in a circle.

mod armed;
mod black_box;
mod children;
mod foreign;
mod forked;
mod ledger;
mod left;
mod limit;
mod own_time;
mod poll;
mod recording;
mod telemetry;

pub use armed::{Bounds, Refusal};
pub use black_box::{
    begin as begin_black_box, end as end_black_box, go_on as go_on_in_black_box,
    goes_on as black_box_goes_on,
};
pub use foreign::read_pools;
pub use left::{Runs, allocated_at, collector_runs};
pub use limit::{Due, arm, disarm, due, held, held_at_least, in_force, is_limited, next_limit};
#[cfg(feature = "python")]
pub use poll::when_returned_from_fork;
pub use recording::{
    Described, Options, Session, collection, collections, enough_collections, is_recording, now,
};
pub use telemetry::{begin_cell, end_cell, show_cell, tell_to, tells, told};

use crate::hooks::lock::{ForkLock, Guard};
use crate::hooks::{self, Callbacks, Moving, Noted, Saved, fork};
use crate::process::{self, Resident};
use crate::profile::{Allocator, Bytes, Collection};
use crate::sampling::{
    self, Block, Filled, Frames, Freed, Moved, Origin, Owner, Recorder, Region, Sample,
};
use own_time::{Cost, OwnTime, VISIBLE, Visit};
#[cfg(native_hooks)]
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

/// What the hooks change while a recording runs.
struct Live {
    recorder: Recorder,
    /// The footprint when the cell began, of a recording that goes on from cell to cell.
    base: i64,
    started: Instant,
    /// The thread that started it (`hooks::reentrancy::thread`).
    thread: usize,
    /// Nanoseconds since the start, as last read from the clock.
    now: u64,
    /// What we cost.
    own: OwnTime,
    /// Large blocks that `realloc` is moving.
    moving: Vec<OnTheMove>,
    collections: Vec<Collection>,
    collection_count: u64,
    collecting_since: Option<u64>,
    /// What was known beside the footprint at the start.
    at_start: ledger::Beside,
    /// The largest footprint so far, and what was known beside it then.
    at_peak: (i64, ledger::Beside),
    /// The largest resident set that was read, and what it was made of then.
    largest: Option<(Bytes, ledger::Moment)>,
}

static LIVE: ForkLock<Option<Live>> = ForkLock::new(None);

/// Bytes of the recorder itself, at most.
static OWN_PEAK: AtomicU64 = AtomicU64::new(0);

/// A panic under the lock ends the recording (`hooks::panicked`); what is there is still good
/// enough to be shown with that said.
fn live() -> Guard<'static, Option<Live>> {
    LIVE.lock()
}

/// Held across a fork, so that none is locked for ever in the child.
const LOCKS: fork::Locks = &[
    &LIVE,
    &telemetry::TELLER,
    &foreign::READER,
    &foreign::ASK,
    &forked::LETTERS,
    &forked::ROLE,
    &limit::LIMITS,
];

/// What is done when the process forks.
const AT_FORK: fork::Handlers = fork::Handlers {
    before: || {
        if hooks::is_on() && !black_box::is_on() {
            forked::before_fork();
        }
        poll::before_fork();
    },
    parent: poll::after_fork,
    child: || {
        poll::in_child();
        black_box::in_child();
        telemetry::in_child();
        limit::in_child();
        forked::in_child();
    },
};

impl Live {
    fn new(recorder: Recorder, started: Instant, thread: usize) -> Live {
        let at_start = ledger::Beside::now();
        Live {
            recorder,
            base: 0,
            started,
            thread,
            now: 0,
            own: OwnTime::default(),
            moving: Vec::new(),
            collections: Vec::with_capacity(recording::ROOM_FOR_COLLECTIONS),
            collection_count: 0,
            collecting_since: None,
            at_start,
            at_peak: (0, at_start),
            largest: None,
        }
    }

    /// To be called when the footprint may have changed.
    fn changed(&mut self) {
        let peak = self.recorder.peak();
        if peak != self.at_peak.0 {
            self.at_peak = (peak, ledger::Beside::now());
        }
    }

    /// To be called when the resident set was read and looked at.
    fn resident_is(&mut self, resident: Resident) {
        if self.largest.is_none_or(|(largest, _)| resident.all > largest) {
            let moment = ledger::Moment {
                parts: self.recorder.parts(),
                beside: ledger::Beside { of_files: resident.of_files, ..ledger::Beside::now() },
            };
            self.largest = Some((resident.all, moment));
        }
    }

    fn nanos(&self, moment: Instant) -> u64 {
        moment.duration_since(self.started).as_nanos() as u64
    }
}

/// Runs `change` under the lock, with the time since the start: exactly for a visit that is timed, else right
/// to a few visits or a poll.
fn with_live<T>(visit: Visit, change: impl FnOnce(&mut Live, u64) -> T) -> Option<T> {
    let mut lock = live();
    let live = lock.as_mut()?;
    if let Some(entered) = visit.entered {
        // Another thread that came later may have had the lock first.
        live.now = live.now.max(live.nanos(entered));
    }
    let before = live.recorder.spent_long();
    let result = change(live, live.now);
    live.changed();
    visit.end(&mut live.own, live.recorder.spent_long() - before);
    Some(result)
}

/// The bytes that a visit is about.
fn weight(noted: &Noted) -> u64 {
    (noted.size as u64).max(noted.net.unsigned_abs())
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

/// What of ranges is in memory.
fn filled(ranges: &[(usize, u64)]) -> Vec<Filled> {
    let look = hooks::residency::Look::begin();
    let filled = |&(start, length): &(usize, u64)| {
        let (bytes, front) = look.filled(start, length as usize);
        Filled { bytes: bytes as u64, front: front as u64 }
    };
    ranges.iter().map(filled).collect()
}

/// The memory of this process, for the recorder.
struct OwnMemory;

impl sampling::Memory for OwnMemory {
    fn watch(&mut self, address: usize) {
        hooks::filter::add(address);
    }
    fn unwatch(&mut self, address: usize) {
        hooks::filter::remove(address);
    }
    fn resident(&mut self, start: usize, length: u64) -> u64 {
        hooks::residency::resident(start, length as usize) as u64
    }
    fn filled(&mut self, ranges: &[(usize, u64)]) -> Vec<Filled> {
        filled(ranges)
    }
    fn clock(&mut self) -> u64 {
        process::thread_time()
    }
    fn anonymous(&mut self) -> Option<u64> {
        foreign::read().map(|resident| resident.anonymous().0)
    }
}

#[cfg(feature = "python")]
mod own_stack {
    //! The stack of this thread, as the recorder wants it.
    use crate::interpreter::frames::{Stack, Thread};
    pub(super) use crate::interpreter::frames::{evaluation_loop, holds_gil};
    use crate::sampling::{Frames, Place};

    /// Whether the code object at this address runs on it.
    pub(super) fn runs(code: usize) -> bool {
        Stack::walk_whole(|stack| stack.is_some_and(|stack| stack.runs(code)))
    }

    /// Whether a frame of `outer` is on it, and code that `caller` has called inside of that.
    pub(super) fn runs_what_is_called(outer: usize, caller: usize) -> bool {
        Stack::walk_whole(|stack| {
            stack.is_some_and(|stack| stack.runs_what_is_called(outer, caller))
        })
    }

    /// The file and the number of the innermost line.
    pub(super) fn innermost() -> Option<(String, u32)> {
        Stack::walk_whole(|stack| {
            let place = stack.filter(|stack| !stack.is_empty())?.place(0);
            Some((place.file, place.line))
        })
    }

    /// A thread, for others to see where it is.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Runner(Thread);

    impl Runner {
        pub(super) fn this() -> Option<Runner> {
            Thread::this().map(Runner)
        }

        /// The function and the number of the innermost line in this file that it runs, if it does.
        pub(super) fn line_in(self, file: &str) -> Option<(String, u32)> {
            let place = self.0.place_in(file).filter(|place| place.line > 0)?;
            Some((place.function, place.line))
        }
    }

    pub(super) struct OwnStack<'call>(&'call Stack<'call>);

    pub(super) fn with_own_stack<R>(look: impl FnOnce(Option<&OwnStack<'_>>) -> R) -> R {
        Stack::walk(|stack| look(stack.map(OwnStack).as_ref()))
    }

    impl Frames for OwnStack<'_> {
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
}

#[cfg(not(feature = "python"))]
mod own_stack {
    //! Without an interpreter no thread has a Python stack.
    use crate::sampling::{Frames, Place};

    pub(super) fn evaluation_loop() -> Option<usize> {
        None
    }

    pub(super) fn holds_gil() -> bool {
        false
    }

    pub(super) fn runs(_code: usize) -> bool {
        false
    }

    pub(super) fn runs_what_is_called(_outer: usize, _caller: usize) -> bool {
        false
    }

    pub(super) fn innermost() -> Option<(String, u32)> {
        None
    }

    #[derive(Debug, Clone, Copy)]
    pub(super) enum Runner {}

    impl Runner {
        pub(super) fn this() -> Option<Runner> {
            None
        }

        pub(super) fn line_in(self, _file: &str) -> Option<(String, u32)> {
            match self {}
        }
    }

    pub(super) enum OwnStack {}

    pub(super) fn with_own_stack<R>(look: impl FnOnce(Option<&OwnStack>) -> R) -> R {
        look(None)
    }

    impl Frames for OwnStack {
        fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
            std::iter::empty()
        }
        fn place(&self, _index: usize) -> Place {
            match *self {}
        }
        fn gap(&self) -> Option<usize> {
            match *self {}
        }
    }
}

use own_stack::with_own_stack;

/// What the hooks call.
const CALLBACKS: Callbacks = Callbacks {
    noted: |noted| {
        if noted.allocator == Allocator::Pymalloc {
            patch_new_libraries();
            poll::resume();
            forked::visit();
        }
        if !noted.fired && (noted.size as u64) < hooks::large() {
            // Only the bytes are told.
            with_live(Visit::of(weight(&noted), Cost::OfCounting), |live, now| {
                live.recorder.native(noted.net, now);
            });
            return None;
        }
        let visit = Visit::of(weight(&noted), Cost::OfSampling);
        let draw = with_own_stack(|stack| {
            with_live(visit, |live, now| {
                let origin = live.origin(stack);
                let block = block(&noted);
                let block = Block { moved: live.moved_to(&block), ..block };
                live.recorder.allocated(block, noted.net, origin, now, &mut OwnMemory);
                if origin.recording_thread && live.recorder.has_pools() {
                    foreign::sampled(live.recorder.has_turned(), live.nanos(Instant::now()));
                }
                live.next(now)
            })
        });
        if noted.allocator == Allocator::Pymalloc {
            foreign::ask();
        }
        draw
    },
    forgotten: |address, net| {
        // So many bytes are told at any interval.
        let bytes = net.unsigned_abs();
        let cost = if bytes >= VISIBLE { Cost::OfCounting } else { Cost::OfSampling };
        with_live(Visit::of(bytes, cost), |live, now| {
            if live.recorder.is_large(address) {
                large_forgotten(live, address, net, now);
            } else {
                live.recorder.freed(address, net, now, &mut OwnMemory);
            }
        });
    },
    object_forgotten: |address| {
        with_live(Visit::of(0, Cost::OfSampling), |live, now| {
            live.recorder.freed_object(address, now, &mut OwnMemory)
        });
    },
    moving: |address, size, what| {
        with_live(Visit::of(0, Cost::OfSampling), |live, now| {
            if what == Moving::Object {
                return live.recorder.freed_object(address, now, &mut OwnMemory);
            }
            let freed = if live.recorder.is_large(address) {
                large_moving(live, address, what, now)
            } else {
                live.recorder.freed(address, 0, now, &mut OwnMemory)
            };
            if let Some(Freed { sample, touched: Some(touched) }) = freed
                && size as u64 >= sampling::LARGE
            {
                let thread = hooks::reentrancy::thread();
                live.moving.push(OnTheMove { thread, block: sample, touched, what });
            }
            freed
        })
        .flatten()
        .map_or([0; 4], |Freed { sample, touched }| {
            // The last word says what it is, and of a large block how much was in use.
            let kind = touched.map_or(SAMPLE, |bytes| LARGE_BLOCK | bytes << 2);
            [sample.address as u64, sample.size, sample.site.into(), kind]
        })
    },
    stayed: |address, [_, size, site, kind]: Saved| {
        let touched = match kind & 3 {
            SAMPLE => None,
            LARGE_BLOCK => Some(kind >> 2),
            _ => return,
        };
        let freed = Freed { sample: Sample { address, size, site: site as u32 }, touched };
        with_live(Visit::of(0, Cost::OfSampling), |live, now| {
            live.arrived();
            live.recorder.undo_free(freed, now, &mut OwnMemory);
        });
    },
    arena: |address, bytes| {
        if !black_box::is_on() {
            with_live(Visit::of(VISIBLE, Cost::OfCounting), |live, now| {
                live.recorder.arena(address, bytes, now, &mut OwnMemory);
            });
            return;
        }
        let visit = Visit::of(VISIBLE, Cost::OfCounting);
        with_own_stack(|stack| {
            with_live(visit, |live, now| {
                let origin = live.origin(stack);
                live.recorder.arena_at(address, bytes, origin, now, &mut OwnMemory);
            })
        });
    },
    mapped: |noted| {
        let visit = Visit::of(VISIBLE, Cost::OfCounting);
        with_own_stack(|stack| with_live(visit, |live, now| map(live, noted, stack, now)))
    },
    unmapped: |start, length| {
        with_live(Visit::of(VISIBLE, Cost::OfCounting), |live, now| {
            foreign::before_unmapping(length);
            live.recorder.unmapped(start, length, now, &mut OwnMemory)
        });
    },
    remapped: |old, old_length, noted| {
        let visit = Visit::of(VISIBLE, Cost::OfCounting);
        with_own_stack(|stack| {
            with_live(visit, |live, now| {
                live.recorder
                    .unmapped(old, old_length, now, &mut OwnMemory)
                    .then(|| map(live, noted, stack, now))
            })
            .flatten()
        })
    },
    reserved: |start, length, caller| {
        with_live(Visit::of(0, Cost::OfCounting), |live, _| {
            let region = Region { start, length, owner: Owner::Other, caller };
            live.recorder.reserved(region);
        });
    },
    going_back: |start, length| {
        with_live(Visit::of(VISIBLE, Cost::OfCounting), |live, now| {
            live.recorder.going_back(start, length, now, &mut OwnMemory) as usize
        })
        .unwrap_or(0)
    },
    gone_back: |start, length, resident| {
        with_live(Visit::of(VISIBLE, Cost::OfCounting), |live, now| {
            live.recorder.gone_back(start, length, resident as u64, now, &mut OwnMemory);
        });
    },
    leaving: forked::leaving,
    refuses: limit::refuses,
};

/// A large block that `realloc` is moving, and what of it is in use.
#[derive(Debug, Clone, Copy)]
struct OnTheMove {
    thread: usize,
    block: Sample,
    touched: u64,
    what: Moving,
}

/// Apart, so that other frees do not make room for a stack.
#[cold]
#[inline(never)]
fn large_forgotten(live: &mut Live, address: usize, net: i64, now: u64) {
    with_own_stack(|stack| live.recorder.freed_by(stack, address, net, now, &mut OwnMemory));
}

/// See [`large_forgotten`].
#[cold]
#[inline(never)]
fn large_moving(live: &mut Live, address: usize, what: Moving, now: u64) -> Option<Freed> {
    let copied = what == Moving::Block;
    with_own_stack(|stack| live.recorder.moved_by(stack, address, copied, now, &mut OwnMemory))
}

const SAMPLE: u64 = 1;
const LARGE_BLOCK: u64 = 2;

fn block(noted: &Noted) -> Block {
    Block {
        address: noted.address,
        size: noted.size as u64,
        allocator: noted.allocator,
        epoch: noted.epoch,
        moved: Moved::default(),
    }
}

impl Live {
    fn origin<'call, F: Frames>(&self, frames: Option<&'call F>) -> Origin<'call, F> {
        Origin {
            frames,
            recording_thread: hooks::reentrancy::thread() == self.thread,
            library: if frames.is_none() { hooks::asking::library() } else { None },
        }
    }

    /// The large block that this thread is moving, if it is: where a block of that size arrives, it is the next
    /// that the thread tells of.
    fn arrived(&mut self) -> Option<OnTheMove> {
        if self.moving.is_empty() {
            return None;
        }
        let thread = hooks::reentrancy::thread();
        let index = self.moving.iter().position(|moving| moving.thread == thread)?;
        Some(self.moving.swap_remove(index))
    }

    /// What arrived with this block.
    fn moved_to(&mut self, to: &Block) -> Moved {
        match self.arrived() {
            None => Moved::default(),
            // A copy fills as much as there was, whatever of it was in use.
            Some(from) if from.what == Moving::Block && from.block.address != to.address => {
                Moved { in_use: from.block.size.min(to.size), twice: from.touched }
            }
            Some(from) => Moved { in_use: from.touched, twice: 0 },
        }
    }

    /// What the next countdown of this thread is.
    fn next(&mut self, now: u64) -> hooks::Draw {
        self.recorder.pace(now, self.own.sampling, &mut OwnMemory);
        hooks::set_large(self.recorder.always_from());
        let draw = self.recorder.draw();
        hooks::Draw { countdown: draw.countdown, epoch: draw.epoch }
    }
}

fn map(live: &mut Live, noted: Noted, stack: Option<&impl Frames>, now: u64) -> hooks::Draw {
    let origin = live.origin(stack);
    live.recorder.mapped(block(&noted), noted.net, origin, now, &mut OwnMemory);
    live.next(now)
}
