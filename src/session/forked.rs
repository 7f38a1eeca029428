//! Forked children that record themselves, for the report of their parent.
//!
//! A child has its parent's hooks and a copy of its memory. It begins a recording of its own when Python
//! first allocates in it (a child that executes a program at once never does), and tells what its lines
//! did by a letterbox that it shares with its parent: now and then, since it may be killed, and when
//! it exits. It has no poll thread and reads no pools: what it does not see is in its parent's row of it.

use super::{LIVE, Live, NEW_LIBRARIES, OwnMemory, foreign, live};
use crate::hooks::letterbox::{Letterbox, SLOTS};
use crate::hooks::lock::ForkLock;
use crate::hooks::{self, reentrancy};
use crate::process;
use crate::profile::Forked;
use crate::sampling::{Recorder, Settings};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The letterbox, and the process that it is for.
pub(super) static LETTERS: ForkLock<Option<(u32, Letterbox)>> = ForkLock::new(None);

/// What a forked child needs to record.
#[derive(Debug)]
pub(super) struct Role {
    settings: Settings,
    started: Instant,
    letters: Letterbox,
    round: u32,
    /// Its place in the box once it has asked for one, which may be none.
    slot: Option<Option<usize>>,
    /// When a letter was last written, and what that cost.
    told: Option<(Instant, Duration)>,
    /// What all of them have cost, and how many large blocks they told of.
    spent: Duration,
    large_blocks: u64,
}

/// Held after the lock of the recording.
pub(super) static ROLE: ForkLock<Option<Role>> = ForkLock::new(None);

/// Whether there is a role: read at each sample.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Letters may take this share of the time: the next waits as many times as long as the last one took.
const PATIENCE: u32 = 100;

/// Until they have cost so much a large block is told at once: the work of a child may be short, and then it rests
/// for long, as one of a pool does.
const YOUNG: Duration = Duration::from_millis(10);

/// Lines in a letter at most.
const LINES: usize = 64;

/// A recording begins in this process.
pub(super) fn start() {
    end_role();
    forget();
}

/// The letterbox that is this process's own.
fn own_letters() -> Option<Letterbox> {
    LETTERS.lock().filter(|(owner, _)| *owner == std::process::id()).map(|(_, letters)| letters)
}

/// Letters that are still there are of no interest, and those who write them are to stop.
pub(super) fn forget() {
    if let Some(letters) = own_letters() {
        letters.begin();
    }
}

/// The process is about to fork, and records.
pub(super) fn before_fork() {
    let mut letters = LETTERS.lock();
    let own = std::process::id();
    // A child that records for its parent has its children write there too.
    if !IS_CHILD.load(Relaxed) && letters.is_none_or(|(owner, _)| owner != own) {
        *letters = Letterbox::new().map(|letters| (own, letters));
    }
}

/// In the child, with every lock open and the recording off.
pub(super) fn in_child() {
    let parents = live().take();
    let Some((_, letters)) = *LETTERS.lock() else {
        std::mem::forget(parents);
        return;
    };
    let mut role = ROLE.lock();
    let (settings, started) = match (&parents, role.take()) {
        (Some(live), _) => (live.recorder.settings().clone(), live.started),
        (None, Some(role)) => (role.settings, role.started),
        (None, None) => return,
    };
    // The parent's samples are of no use here, and freeing them would copy their pages.
    std::mem::forget(parents);
    let round = letters.round();
    *role = Some(Role {
        settings,
        started,
        letters,
        round,
        slot: None,
        told: None,
        spent: Duration::ZERO,
        large_blocks: 0,
    });
    IS_CHILD.store(true, Relaxed);
    hooks::switch_on_in_child();
}

/// Whether this process records for the one that forked it.
pub(super) fn is_child() -> bool {
    IS_CHILD.load(Relaxed)
}

/// Called at a sample of small objects, and so under the GIL.
pub(super) fn visit() {
    if !is_child() {
        return;
    }
    let Some(large_blocks) = live().as_ref().map(|live| live.recorder.large_blocks()) else {
        return begin();
    };
    let due = {
        let role = ROLE.lock();
        let Some(role) = role.as_ref() else { return };
        role.spent < YOUNG && role.large_blocks != large_blocks
            || role.told.is_none_or(|(at, cost)| at.elapsed() >= cost * PATIENCE)
    };
    if due {
        super::look_for_libraries();
        tell();
    }
}

fn begin() {
    let (settings, started) = match ROLE.lock().as_ref() {
        Some(role) => (role.settings.clone(), role.started),
        None => return,
    };
    let mut recorder = Recorder::new(settings);
    foreign::begin(&mut recorder, &foreign::Room::default(), &[], None);
    NEW_LIBRARIES.store(false, Relaxed);
    *live() = Some(Live::new(recorder, started, reentrancy::thread()));
}

/// The process is about to end.
pub(super) fn leaving() {
    if is_child() {
        tell();
    }
}

/// Writes a letter, or ends the role when nobody waits for one any longer.
fn tell() {
    let (began, working) = (Instant::now(), process::thread_time());
    let over = {
        let mut lock = live();
        let Some(live) = lock.as_mut() else { return };
        let mut role = ROLE.lock();
        let Some(role) = role.as_mut() else { return };
        if role.letters.round() == role.round {
            let letters = role.letters;
            if let Some(slot) = *role.slot.get_or_insert_with(|| letters.take_slot()) {
                let now = live.nanos(began);
                let pid = std::process::id();
                let mut forked = live.recorder.so_far(pid, now, &mut OwnMemory);
                forked.lines.truncate(LINES);
                while !put(letters, slot, role.round, &forked) && !forked.lines.is_empty() {
                    forked.lines.truncate(forked.lines.len() / 2);
                }
            }
            let cost = process::cost_since(working);
            role.told = Some((began, cost));
            role.spent += cost;
            role.large_blocks = live.recorder.large_blocks();
            false
        } else {
            true
        }
    };
    if over {
        end_role();
    }
}

fn put(letters: Letterbox, slot: usize, round: u32, forked: &Forked) -> bool {
    serde_json::to_vec(forked).is_ok_and(|letter| letters.put(slot, round, &letter))
}

/// This process records for nobody from now on.
fn end_role() {
    if IS_CHILD.swap(false, Relaxed) {
        hooks::switch_off();
        hooks::filter::clear();
        *ROLE.lock() = None;
        let live = LIVE.lock().take();
        foreign::end();
        drop(live);
    }
}

/// What children told, and a sentence on those that had no room; they are to stop.
pub(super) fn finish() -> (Vec<Forked>, Option<String>) {
    let Some(letters) = own_letters() else { return (Vec::new(), None) };
    let mut found: Vec<Forked> =
        letters.letters().iter().filter_map(|l| serde_json::from_slice(l).ok()).collect();
    found.retain(|forked| !forked.lines.is_empty());
    found.sort_by_key(|forked| std::cmp::Reverse(forked.peak));
    let wanted = letters.wanted();
    letters.begin();
    let missed = (wanted > SLOTS).then(|| {
        format!(
            "The lines of {} forked processes are not shown: only the first {SLOTS} are kept.",
            wanted - SLOTS
        )
    });
    (found, missed)
}
