//! The black box: a light recording that goes on from cell to cell, so that something is known of a
//! process that is killed in a cell which nobody profiles.
//!
//! It sees `malloc` and its kin and pymalloc's arenas, not Python's small objects one by one, and takes
//! samples at large intervals. A recording of the user's goes first: the box ends, and begins anew with
//! the next cell. It tells by `telemetry` alone, and its poll thread reads nothing between cells.

use super::{AT_FORK, CALLBACKS, LOCKS, Live, OwnMemory, foreign, live, poll};
use crate::hooks::{self, HookGuard, reentrancy};
use crate::process::Resident;
use crate::profile::Bytes;
use crate::sampling::{Paths, Recorder, Settings};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// At the last look at the large blocks: the resident set, and how many there had been.
static LOOKED: Mutex<Option<(Bytes, u64)>> = Mutex::new(None);

static HOOKS: Mutex<Option<HookGuard>> = Mutex::new(None);

/// Whether it is on in this process: read at forks and starts.
static ON: AtomicBool = AtomicBool::new(false);

/// Whether the recording that is on is the black box.
pub(super) fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Whether something is recorded already; then libraries that were loaded since are seen from now on. With
/// the `python` feature the caller holds the GIL.
pub fn goes_on() -> bool {
    let goes_on = live().is_some();
    #[cfg(native_hooks)]
    if goes_on {
        hooks::native::patch_new_libraries();
    }
    goes_on
}

/// Begins it, unless something is recorded already. With the `python` feature the caller holds the GIL.
pub fn begin(paths: Paths) {
    if live().is_some() {
        return;
    }
    let _pause = reentrancy::Pause::new();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    let settings = Settings { light: true, seed, paths, ..Settings::default() };
    let room = foreign::Room::now(&[]);
    let mut recorder = Recorder::new(settings);
    foreign::begin(&mut recorder, &room, &[], None);
    hooks::fork::watch(AT_FORK, LOCKS);
    let always_from = recorder.always_from();
    ON.store(true, Relaxed);
    *LOOKED.lock().unwrap_or_else(PoisonError::into_inner) = None;
    *live() = Some(Live::new(recorder, Instant::now(), reentrancy::thread()));
    let guard = hooks::install(CALLBACKS, hooks::Extent::WithoutObjects);
    hooks::set_large(always_from);
    *HOOKS.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
}

/// A recording has ended within a cell that goes on.
pub fn go_on(paths: Paths) {
    begin(paths);
    cell_begins(foreign::read_or_open());
}

/// Ends it, if it is on. With the `python` feature the caller holds the GIL.
pub fn end() {
    if !ON.load(Relaxed) {
        return;
    }
    cell_ended(Some(foreign::read_or_open()));
    poll::stop();
    drop(HOOKS.lock().unwrap_or_else(PoisonError::into_inner).take());
    ON.store(false, Relaxed);
    foreign::end();
    let recorder = live().take();
    drop(recorder);
}

/// A cell begins: what it holds is counted from here.
pub(super) fn cell_begins(resident: Resident) {
    if !ON.load(Relaxed) {
        return;
    }
    if let Some(live) = live().as_mut() {
        look(live, resident);
        live.base = live.recorder.begin_part();
    }
    poll::start();
}

/// The cell has ended: what of its large blocks is in use now may be its peak. Where the `resident` set was
/// not read nobody wants to know.
pub(super) fn cell_ended(resident: Option<Resident>) {
    if !ON.load(Relaxed) {
        return;
    }
    poll::rest();
    if let Some(resident) = resident
        && let Some(live) = live().as_mut()
    {
        look(live, resident);
    }
}

/// Whether it has not seen the cell hold anything, without a look.
pub(super) fn saw_nothing() -> bool {
    let live = live();
    let Some(live) = live.as_ref().filter(|_| ON.load(Relaxed)) else { return false };
    let last = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    let blocks = live.recorder.large_blocks();
    live.recorder.peak() <= live.base && last.as_ref().is_some_and(|(_, count)| *count == blocks)
}

/// Looks at the large blocks, if what they hold may have changed. That is most of what a short cell costs.
fn look(live: &mut Live, resident: Resident) {
    let blocks = live.recorder.large_blocks();
    let mut last = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |&(rss, count): &(Bytes, u64)| {
        rss.0.abs_diff(resident.all.0) < poll::GROWTH && count == blocks
    };
    if !last.as_ref().is_some_and(same) {
        live.recorder.measure(live.nanos(Instant::now()), &mut OwnMemory);
        *last = Some((resident.all, blocks));
    }
}

/// In a forked child, which records nothing: the samples are of no use there, and freeing them would
/// copy their pages.
pub(super) fn in_child() {
    if ON.swap(false, Relaxed) {
        std::mem::forget(live().take());
        if let Ok(mut hooks) = HOOKS.try_lock() {
            std::mem::forget(hooks.take());
        }
    }
}
