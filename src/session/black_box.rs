//! The black box: a light recording that goes on from cell to cell, so that something is known of a
//! process that is killed in a cell which nobody profiles.
//!
//! It sees `malloc` and its kin and pymalloc's arenas, not Python's small objects one by one, and takes
//! samples at large intervals. A recording of the user's goes first: the box ends, and begins anew with
//! the next cell. It tells by `telemetry` alone, and its poll thread runs while a cell does.

use super::{AT_FORK, CALLBACKS, LOCKS, Live, OwnMemory, foreign, live, poll};
use crate::hooks::{self, HookGuard, reentrancy};
use crate::sampling::{Paths, Recorder, Settings};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static HOOKS: Mutex<Option<HookGuard>> = Mutex::new(None);

/// Whether it is on in this process: read at forks and starts.
static ON: AtomicBool = AtomicBool::new(false);

/// Whether the recording that is on is the black box.
pub(super) fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Begins it, unless something is recorded already; then libraries that were loaded since are seen from
/// now on. With the `python` feature the caller holds the GIL.
pub fn begin(paths: Paths) {
    if live().is_some() {
        #[cfg(native_hooks)]
        hooks::native::patch_new_libraries();
        return;
    }
    let _pause = reentrancy::Pause::new();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    let settings = Settings { light: true, seed, paths, ..Settings::default() };
    let room = foreign::Room::now();
    let mut recorder = Recorder::new(settings);
    foreign::begin(&mut recorder, &room, &[], None);
    hooks::fork::watch(AT_FORK, LOCKS);
    let always_from = recorder.always_from();
    ON.store(true, Relaxed);
    *live() = Some(Live::new(recorder, Instant::now(), reentrancy::thread()));
    let guard = hooks::install(CALLBACKS, hooks::Extent::WithoutObjects);
    hooks::set_large(always_from);
    *HOOKS.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
}

/// A recording has ended within a cell that goes on.
pub fn go_on(paths: Paths) {
    begin(paths);
    cell_begins();
}

/// Ends it, if it is on. With the `python` feature the caller holds the GIL.
pub fn end() {
    if !ON.load(Relaxed) {
        return;
    }
    cell_ended();
    drop(HOOKS.lock().unwrap_or_else(PoisonError::into_inner).take());
    ON.store(false, Relaxed);
    foreign::end();
    let recorder = live().take();
    drop(recorder);
}

/// A cell begins: what it holds is counted from here.
pub(super) fn cell_begins() {
    if !ON.load(Relaxed) {
        return;
    }
    if let Some(live) = live().as_mut() {
        let now = live.nanos(Instant::now());
        live.base = live.recorder.begin_part(now, &mut OwnMemory);
    }
    poll::start();
}

/// The cell has ended.
pub(super) fn cell_ended() {
    if !ON.load(Relaxed) {
        return;
    }
    poll::stop();
    if let Some(live) = live().as_mut() {
        let now = live.nanos(Instant::now());
        live.recorder.end_part(now, &mut OwnMemory);
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
