//! The thread that reads the resident set size while a recording runs.
//!
//! It serves the curve alone: the peak is the kernel's. It also notices libraries that were loaded
//! meanwhile; their slots are patched by a thread that holds the GIL, not here (see `hooks::native`).
//!
//! Around a fork there is no such thread: since 3.12 Python warns about a fork with several
//! threads, and a cell must not be warned about ours. Python counts them after the fork, at the end of
//! `os.fork`. So the thread comes back when the main thread is seen to have left that call, or, where
//! that cannot be seen, at the first sample a little later.

use super::{
    OWN_PEAK, black_box, children, filled, foreign, limit, live, telemetry, with_own_stack,
};
use crate::hooks::{own_bytes, quiet_thread, reentrancy};
#[cfg(feature = "python")]
use crate::interpreter::pending::Pending;
use crate::process::{self, Resident};
use crate::profile::{Bytes, Nanos};
use crate::sampling::{Filled, Frames, Partial};
#[cfg(feature = "python")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two readings.
pub(super) const PERIOD: Duration = Duration::from_millis(10);

/// The same for the black box, which nobody may have asked for, while no limit is near: to be woken costs
/// more than to read.
const LONG_PERIOD: Duration = Duration::from_millis(50);

/// How long after a fork the thread comes back.
const AFTER_FORK: Duration = Duration::from_millis(50);

/// The thread, and what it is told to do.
#[derive(Debug)]
struct Poll {
    thread: JoinHandle<()>,
    told: Arc<AtomicU8>,
}

/// To read again and again.
const READ: u8 = 0;
/// The same from the next period on, for a cell that has just begun: most are over by then.
const BEGUN: u8 = 4;
/// To read no more. It goes on to keep time, so that a cell that begins soon need not wake it.
const REST: u8 = 1;
/// What it makes of that when nothing has come for [`QUIET`]: now it has to be woken.
const RESTS: u8 = 2;
/// To end.
const END: u8 = 3;

/// Periods for which a thread that rests keeps time. To wake one that sleeps takes a cell's thread 20 to 30
/// microseconds, to be woken by the clock takes this one five: cells that follow each other wake nobody.
const QUIET: u32 = 100;

static POLL: Mutex<Option<Poll>> = Mutex::new(None);
static READINGS: AtomicU64 = AtomicU64::new(0);

/// Set while the thread waits to come back after a fork.
static PAUSED: AtomicBool = AtomicBool::new(false);
static FORKED: Mutex<Option<Fork>> = Mutex::new(None);

/// A fork that made the thread go.
#[derive(Debug)]
#[cfg_attr(not(feature = "python"), expect(dead_code, reason = "only Python forks at a place"))]
struct Fork {
    at: Instant,
    thread: usize,
    /// Where the forking thread was in its Python code, innermost frame first, if that is known.
    place: Option<Vec<u64>>,
}

/// Nobody panics while holding one of these locks.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Starts polling, where the platform has something to read and a thread to give.
pub(super) fn start() {
    READINGS.store(0, Relaxed);
    PAUSED.store(false, Relaxed);
    *unpoisoned(&LOOKED) = None;
    let mut poll = unpoisoned(&POLL);
    match &*poll {
        Some(resting) => resting.tell(BEGUN),
        None => *poll = begin(),
    }
}

/// Lets the thread rest until the next [`start`].
pub(super) fn rest() {
    PAUSED.store(false, Relaxed);
    if let Some(poll) = &*unpoisoned(&POLL) {
        // Not where it rests already: then it has to be woken.
        let reads = |told| matches!(told, READ | BEGUN).then_some(REST);
        _ = poll.told.fetch_update(Relaxed, Relaxed, reads);
    }
}

/// Ends polling.
pub(super) fn stop() {
    PAUSED.store(false, Relaxed);
    let poll = unpoisoned(&POLL).take();
    if let Some(poll) = poll {
        poll.tell(END);
        if poll.thread.join().is_err() {
            READINGS.store(0, Relaxed);
        }
    }
}

impl Poll {
    fn tell(&self, what: u8) {
        // One that has not come to rest yet goes on without being woken.
        if matches!((self.told.swap(what, Relaxed), what), (RESTS, _) | (_, END)) {
            self.thread.thread().unpark();
        }
    }
}

/// Mean time between two readings in a recording of this length.
pub(super) fn period(duration: Nanos) -> Nanos {
    Nanos(duration.0 / READINGS.load(Relaxed).max(1))
}

fn begin() -> Option<Poll> {
    foreign::read()?;
    let told = Arc::new(AtomicU8::new(READ));
    let hears = Arc::clone(&told);
    let body = move || {
        let (mut quiet, mut wait) = (0, PERIOD);
        loop {
            match hears.load(Relaxed) {
                END => return,
                RESTS => {
                    std::thread::park();
                    _ = hears.compare_exchange(BEGUN, READ, Relaxed, Relaxed);
                    continue;
                }
                _ => std::thread::park_timeout(std::mem::replace(&mut wait, PERIOD)),
            }
            match hears.load(Relaxed) {
                READ => {
                    quiet = 0;
                    if !read() && black_box::is_on() {
                        wait = LONG_PERIOD;
                    }
                    READINGS.fetch_add(1, Relaxed);
                }
                BEGUN => _ = hears.compare_exchange(BEGUN, READ, Relaxed, Relaxed),
                REST if quiet < QUIET => quiet += 1,
                REST => {
                    quiet = 0;
                    _ = hears.compare_exchange(REST, RESTS, Relaxed, Relaxed);
                }
                _ => {}
            }
        }
    };
    let thread = quiet_thread::spawn("memprofile", body).ok()?;
    Some(Poll { thread, told })
}

/// Reads; whether a limit is near.
fn read() -> bool {
    let began = process::thread_time();
    let entered = Instant::now();
    let Some(resident) = foreign::read() else { return false };
    let is_near = limit::look(resident);
    let bytes = resident.all;
    OWN_PEAK.fetch_max(own_bytes() as u64, Relaxed);
    super::look_for_libraries();
    foreign::name_owners();
    let (blocks, regions) = look(resident, entered);
    if let Some(live) = live().as_mut() {
        live.now = live.nanos(Instant::now());
        live.recorder.touched(&blocks, live.now);
        foreign::tell(&mut live.recorder, regions, resident, live.now);
        live.recorder.poll(bytes.0, live.now);
        live.resident_is(resident);
        live.changed();
    }
    telemetry::tell(resident);
    foreign::want_reading();
    children::look();
    if let Some(live) = live().as_mut() {
        live.own.all += process::thread_time().saturating_sub(began);
    }
    is_near
}

static LOOKED: Mutex<Option<Look>> = Mutex::new(None);

/// A look at blocks and regions.
#[derive(Debug)]
struct Look {
    at: Instant,
    cost: Duration,
    /// The resident set size.
    rss: Bytes,
    /// How many large blocks had been allocated.
    blocks: u64,
}

/// Growth of the resident set that is worth a look.
pub(super) const GROWTH: u64 = 256 << 10;

/// A look may take this share of the time: it waits as many times as long as the last one took. In the
/// thread's own time: on a busy machine a look that was interrupted would else be the last. Where the resident
/// set proves that the footprint lies behind it waits less.
const PATIENCE: u32 = 200;
const PATIENCE_BEHIND: u32 = 20;

/// The black box waits so many times as long: in a cell that fills a gigabyte of small objects looks were half
/// of its cost.
const IN_BLACK_BOX: u32 = 30;

/// How much of the large blocks and of the regions is in use, if that may have changed: the resident set
/// is another one, or there are new blocks, which may lie in pages that are resident since before the
/// recording. Without the lock: a block that is gone by now is passed over by the recorder.
fn look(resident: Resident, now: Instant) -> (Vec<(Partial, Filled)>, Option<foreign::Found>) {
    let rss = resident.all;
    let began = process::thread_time();
    let mut last = unpoisoned(&LOOKED);
    let mut blocks = last.as_ref().map_or(0, |last| last.blocks);
    let partial = {
        let live = live();
        let Some(recorder) = live.as_ref().map(|live| &live.recorder) else {
            return (Vec::new(), None);
        };
        let rarer = if black_box::is_on() { IN_BLACK_BOX } else { 1 };
        let due = last.as_ref().is_none_or(|last| {
            let changed = rss.0.abs_diff(last.rss.0) >= GROWTH || recorder.large_blocks() != blocks;
            let waited = now.duration_since(last.at);
            let is_behind = || recorder.is_behind(resident.anonymous().0);
            changed
                && (waited >= last.cost * (PATIENCE * rarer)
                    || waited >= last.cost * (PATIENCE_BEHIND * rarer) && is_behind())
        });
        if !due {
            return (Vec::new(), None);
        }
        blocks = recorder.large_blocks();
        recorder.partly_touched()
    };
    let ranges: Vec<(usize, u64)> = partial.iter().map(Partial::range).collect();
    let found = partial.into_iter().zip(filled(&ranges)).collect();
    let regions = foreign::look();
    let cost = process::cost_since(began);
    *last = Some(Look { at: now, cost, rss, blocks });
    (found, regions)
}

/// The process is about to fork.
pub(super) fn before_fork() {
    let reads =
        unpoisoned(&POLL).as_ref().map(|poll| matches!(poll.told.load(Relaxed), READ | BEGUN));
    if let Some(reads) = reads {
        stop();
        // One that rests is missed by nobody.
        PAUSED.store(reads, Relaxed);
    }
    if PAUSED.load(Relaxed) {
        let fork = Fork { at: Instant::now(), thread: reentrancy::thread(), place: place() };
        *unpoisoned(&FORKED) = Some(fork);
    }
}

/// In a child of the process there is no such thread, and it gets none.
pub(super) fn in_child() {
    PAUSED.store(false, Relaxed);
}

/// The parent goes on.
pub(super) fn after_fork() {
    if !PAUSED.load(Relaxed) {
        return;
    }
    if let Some(fork) = unpoisoned(&FORKED).as_mut() {
        fork.at = Instant::now();
    }
    #[cfg(feature = "python")]
    RESUME.ask();
}

/// Where this thread is in its Python code: a number for each frame, innermost first.
fn place() -> Option<Vec<u64>> {
    with_own_stack(|stack| {
        let stack = stack.filter(|stack| stack.gap().is_none())?;
        Some(stack.keys().collect())
    })
}

/// Has the main thread look whether it is out of the call that forked. A fork of another thread may
/// not ask (see `interpreter::pending`): its end shows at a sample.
#[cfg(feature = "python")]
static RESUME: Pending = Pending::new(resume_in_main_thread);

/// What the main thread calls when it is out of the call that forked, between two instructions.
#[cfg(feature = "python")]
static RETURNED: OnceLock<fn()> = OnceLock::new();

/// From now on `call` is called when the main thread is out of a call that forked while a recording was
/// on, between two instructions. It must not raise.
#[cfg(feature = "python")]
pub fn when_returned_from_fork(call: fn()) {
    RETURNED.get_or_init(|| call);
}

/// Called by the main thread between two instructions.
#[cfg(feature = "python")]
fn resume_in_main_thread() {
    let _pause = reentrancy::Pause::new();
    come_back_from_fork();
    if !PAUSED.load(Relaxed)
        && let Some(returned) = RETURNED.get()
    {
        returned();
    }
}

#[cfg(feature = "python")]
fn come_back_from_fork() {
    if !PAUSED.load(Relaxed) {
        return;
    }
    let forked_here = {
        let fork = unpoisoned(&FORKED);
        let here = fork.as_ref().filter(|fork| fork.thread == reentrancy::thread());
        here.and_then(|fork| fork.place.clone()).zip(place())
    };
    match forked_here {
        // Functions that Python calls around a fork run on top of the frame that forks.
        Some((fork, now)) if now.len() > fork.len() && now.ends_with(&fork) => {
            RESUME.ask();
        }
        Some(_) => come_back(),
        None => resume(),
    }
}

/// Called at samples: lets the thread come back when the fork is long enough ago.
pub(super) fn resume() {
    if !PAUSED.load(Relaxed) {
        return;
    }
    let due = unpoisoned(&FORKED).as_ref().is_some_and(|fork| fork.at.elapsed() >= AFTER_FORK);
    if due {
        come_back();
    }
}

fn come_back() {
    if PAUSED.swap(false, Relaxed) {
        *unpoisoned(&POLL) = begin();
    }
}
