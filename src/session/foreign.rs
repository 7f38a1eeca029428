//! Allocators that no hook sees (`sampling::foreign`): where their regions are, whose, and when pools
//! are read.
//!
//! A pool is read by Python, so by a thread that holds the GIL and between two instructions. A reading
//! is wanted at each poll, and when the recording thread comes to another line. At its next sample
//! the main thread asks for one ([`Options::ask`](super::Options)), and takes it before its next
//! instruction. So nobody of ours ever waits for the GIL.

use super::{OwnMemory, VISIBLE, live, with_own_stack};
use crate::hooks::lock::ForkLock;
use crate::hooks::{heap, reentrancy, residency};
use crate::process::{self, Addresses, Malloc, Mappings, Resident, RssReader};
use crate::profile::{Bytes, OfFiles};
use crate::sampling::{LARGE, Owner, Reading, Recorder, Region};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The reader of the recording that is on. It is of this process: a forked child opens its own.
pub(super) static READER: ForkLock<Option<RssReader>> = ForkLock::new(None);

/// What is of files, the largest reading.
static OF_FILES: AtomicU64 = AtomicU64::new(0);

/// The last reading.
static ALL_NOW: AtomicU64 = AtomicU64::new(0);
static OF_FILES_NOW: AtomicU64 = AtomicU64::new(0);

/// What asks for a reading of the pools, and whether one is wanted.
pub(super) static ASK: ForkLock<Option<fn() -> bool>> = ForkLock::new(None);
static WANTED: AtomicBool = AtomicBool::new(false);

/// Mappings in which there may be room, with their resident bytes.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Reservations of allocators that no hook sees.
    reserved: Vec<(Addresses, u64)>,
    /// Other memory.
    earlier: Vec<(Addresses, u64)>,
}

/// The malloc of this process, for its mappings.
struct OwnMalloc;

impl Malloc for OwnMalloc {
    fn begins_heap(&self, start: usize) -> bool {
        heap::begins_heap(start)
    }
    fn mapped_chunk(&self, start: usize) -> Option<usize> {
        heap::mapped_chunk(start)
    }
}

impl Room {
    /// Those that are there now: to be looked for before our own tables are made. Reservations are looked for
    /// where there are `pools` that use them.
    pub(super) fn now(pools: &[Reading]) -> Room {
        let Mappings { writable, reserved } = Mappings::now(!pools.is_empty(), &OwnMalloc);
        let look = residency::Look::begin();
        let looked_at = |found: Addresses| {
            let (resident, _) = look.filled(found.start, found.length);
            (found, resident as u64)
        };
        let large = writable.into_iter().filter(|found| found.length as u64 >= LARGE);
        Room {
            reserved: reserved.into_iter().map(looked_at).collect(),
            earlier: large.map(looked_at).collect(),
        }
    }
}

/// A recording begins. Its recorder is told what is there: regions, mappings that are not filled yet, and what
/// pools hold.
pub(super) fn begin(
    recorder: &mut Recorder,
    room: &Room,
    pools: &[Reading],
    ask: Option<fn() -> bool>,
) {
    *READER.lock() = RssReader::open();
    *ASK.lock() = ask;
    WANTED.store(false, Relaxed);
    TURNED.store(0, Relaxed);
    READ.store(0, Relaxed);
    SAMPLED.store(0, Relaxed);
    OF_FILES.store(0, Relaxed);
    for (found, resident) in &room.reserved {
        let owner = owner_by_place(found.start, pools);
        let region = Region { start: found.start, length: found.length, owner, caller: 0 };
        recorder.found_region(region, *resident);
    }
    for (found, resident) in &room.earlier {
        recorder.found_mapping(found.start, found.length, *resident);
    }
    pools.iter().for_each(|&pool| recorder.found_pool(pool));
    if let Some(resident) = read() {
        recorder.regions_known(resident.anonymous().0);
    }
}

/// A recording has ended.
pub(super) fn end() {
    *READER.lock() = None;
    *ASK.lock() = None;
}

/// The resident set now.
pub(super) fn read() -> Option<Resident> {
    let resident = READER.lock().as_ref()?.read_parts()?;
    OF_FILES.fetch_max(resident.of_files.0, Relaxed);
    ALL_NOW.store(resident.all.0, Relaxed);
    OF_FILES_NOW.store(resident.of_files.0, Relaxed);
    Some(resident)
}

/// The last reading of the recording that is on, which has one at its start and at that of each cell.
pub(super) fn last() -> Option<Resident> {
    READER.lock().as_ref()?;
    Some(Resident { all: Bytes(ALL_NOW.load(Relaxed)), of_files: of_files_now() })
}

/// What was of files when the resident set was last read.
pub(super) fn of_files_now() -> Bytes {
    Bytes(OF_FILES_NOW.load(Relaxed))
}

/// The same, also when no recording is on; nothing where the platform does not tell.
pub(super) fn read_or_open() -> Resident {
    read().or_else(|| RssReader::open()?.read_parts()).unwrap_or_default()
}

/// What was of files, with the readings at the start and at the end.
pub(super) fn of_files(start: Bytes, end: Bytes) -> OfFiles {
    let peak = Bytes(OF_FILES.load(Relaxed).max(start.0).max(end.0));
    OfFiles { start, peak, end }
}

/// When the recording thread came to the line that it is in, if that is to be read: since the start, and
/// in its own time. And when pools were last read. Nanoseconds.
static TURNED: AtomicU64 = AtomicU64::new(0);
static TURNED_OWN: AtomicU64 = AtomicU64::new(0);
static READ: AtomicU64 = AtomicU64::new(0);
/// When the recording thread had its last sample.
static SAMPLED: AtomicU64 = AtomicU64::new(0);

/// Lines that take turns faster than this share a reading.
const BETWEEN_READINGS: u64 = 500_000;

/// A reading so soon after the turn is of what the line before has done. In the thread's own time, where
/// it reads itself: on a busy machine it may have to wait in between.
const AT_ONCE: u64 = 100_000;

/// A reading of the pools is wanted; called by the poll.
pub(super) fn want_reading() {
    WANTED.store(true, Relaxed);
}

/// The recording thread has a sample, with the first of which it `turned` to another line. A reading is
/// wanted if it did, or was away for long: a call into a library ends with an object for its result. What
/// it did while it was away belongs to the line that it is in now.
pub(super) fn sampled(turned: bool, now: u64) {
    let away = now.saturating_sub(SAMPLED.swap(now, Relaxed)) >= AT_ONCE;
    if (turned || away) && now >= READ.load(Relaxed) + BETWEEN_READINGS {
        TURNED.store(if away { 0 } else { now }, Relaxed);
        TURNED_OWN.store(process::thread_time(), Relaxed);
        WANTED.store(true, Relaxed);
    }
}

/// Called at samples of small objects: asks for the reading that is wanted, if this thread may.
pub(super) fn ask() {
    if WANTED.load(Relaxed) {
        let ask = *ASK.lock();
        if ask.is_none_or(|ask| ask()) {
            WANTED.store(false, Relaxed);
        }
    }
}

/// Bytes that mimalloc asks the kernel to place its regions between (src/os.c, `_mi_os_get_aligned_hint`);
/// nothing else is there.
const MIMALLOC: std::ops::Range<usize> = 2 << 40..30 << 40;

/// Whose region it probably is that was there before: nobody saw who reserved it.
fn owner_by_place(start: usize, pools: &[Reading]) -> Owner {
    let there = |owner| pools.iter().any(|pool| pool.owner == owner);
    match (there(Owner::Arrow), there(Owner::Polars)) {
        (true, true) if MIMALLOC.contains(&start) => Owner::Arrow,
        (_, true) => Owner::Polars,
        (true, false) => Owner::Arrow,
        (false, false) => Owner::Other,
    }
}

fn owner_by_library(file: &str) -> Owner {
    let name = file.rsplit('/').next().unwrap_or(file);
    if name.contains("arrow") {
        Owner::Arrow
    } else if name.contains("polars") {
        Owner::Polars
    } else {
        Owner::Other
    }
}

#[cfg(native_hooks)]
fn library_at(address: usize) -> Option<String> {
    crate::hooks::elf::library_at(address)
}

#[cfg(not(native_hooks))]
fn library_at(_address: usize) -> Option<String> {
    None
}

/// Looks up whose regions are that were reserved since. Not under the lock: it waits for the linker.
pub(super) fn name_owners() {
    let callers = live().as_ref().map(|live| live.recorder.unknown_callers()).unwrap_or_default();
    for caller in callers {
        let owner = library_at(caller).map_or(Owner::Other, |file| owner_by_library(&file));
        if let Some(live) = live().as_mut() {
            live.recorder.resolve_caller(caller, owner);
        }
    }
}

/// What a look at all regions has found.
#[derive(Debug)]
pub(super) struct Found {
    losses: u64,
    regions: Vec<(Region, u64)>,
    anonymous: Option<u64>,
}

/// Looks at all regions, without the lock.
pub(super) fn look() -> Option<Found> {
    let anonymous = read()?.anonymous().0;
    let (losses, regions) = live().as_ref()?.recorder.regions(Some(anonymous))?;
    let look = residency::Look::begin();
    let resident = |r: Region| (r, look.filled(r.start, r.length).0 as u64);
    let regions = regions.into_iter().map(resident).collect();
    // After it, so that what came in between is missed now and not counted twice later.
    Some(Found { losses, regions, anonymous: read().map(|resident| resident.anonymous().0) })
}

/// Tells the recorder what a look has found, or, without one, the resident set alone.
pub(super) fn tell(recorder: &mut Recorder, found: Option<Found>, resident: Resident, now: u64) {
    match found {
        Some(Found { losses, regions, anonymous }) => {
            recorder.regions_looked_at(losses, &regions, anonymous, now);
        }
        None => recorder.anonymous(resident.anonymous().0, now, &mut OwnMemory),
    }
}

/// Pools were read, by a thread that holds the GIL and is not recorded now. `here`: it is in the code
/// that is recorded, and not in ours.
pub fn read_pools(readings: &[Reading], here: bool) {
    let (entered, began) = (Instant::now(), process::thread_time());
    let resident = read();
    name_owners();
    with_own_stack(|stack| {
        let mut lock = live();
        let Some(live) = lock.as_mut() else { return };
        live.now = live.nanos(entered);
        if let Some(resident) = resident {
            live.recorder.anonymous(resident.anonymous().0, live.now, &mut OwnMemory);
        }
        let turned = TURNED.swap(0, Relaxed);
        let since = if reentrancy::thread() == live.thread {
            process::thread_time().saturating_sub(TURNED_OWN.load(Relaxed))
        } else {
            live.now.saturating_sub(turned)
        };
        if turned > 0 && since < AT_ONCE {
            live.recorder.read_pools_of_line_before(readings, live.now);
        } else {
            let origin = here.then(|| live.origin(stack));
            live.recorder.read_pools(readings, origin, live.now);
        }
        live.changed();
        READ.store(live.now, Relaxed);
        live.own.all += process::thread_time().saturating_sub(began);
    });
}

/// Before addresses go that may be of a file: what is of files may be at its most.
pub(super) fn before_unmapping(length: usize) {
    if length as u64 >= VISIBLE {
        read();
    }
}
