//! Children that this process has waited for: how they ended, and how large they were at most.
//!
//! Nobody can ask for that afterwards, and whoever waits gets it once. So the slots of `waitpid` are
//! patched, as those of `malloc` are; Python's `os.waitpid`, and with it `subprocess` and
//! `multiprocessing`, comes by there.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its process id.
    pub pid: u32,
    /// As wait(2) gives it.
    pub status: i32,
    /// The larger of its own largest resident set, those of the children that it has waited for, and
    /// that of this process if it began by executing a program. Bytes.
    pub largest: u64,
}

/// Children between two looks, at most; of more the earlier ones are lost.
const ROOM: usize = 256;

/// Each is (pid, status as 32 bits) and a size in KiB. The first word is written last and 0 until then.
struct Note {
    who: AtomicU64,
    largest: AtomicU64,
}

static NOTES: [Note; ROOM] =
    [const { Note { who: AtomicU64::new(0), largest: AtomicU64::new(0) } }; ROOM];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Only one reads at a time.
static READER: Mutex<()> = Mutex::new(());

#[cfg(native_hooks)]
unsafe extern "C" {
    fn memprofile_waitpid(pid: libc::pid_t, status: *mut i32, options: i32) -> libc::pid_t;
}

/// What the slots of `waitpid` are made to point to.
#[cfg(native_hooks)]
pub(super) fn waitpid_hook() -> usize {
    memprofile_waitpid as *const () as usize
}

/// Called by `reaped.c`, on any thread. Nothing but atomic stores: it neither waits nor panics.
#[cfg(native_hooks)]
#[unsafe(no_mangle)]
extern "C" fn memprofile_reaped(pid: libc::pid_t, status: i32, largest_kib: i64) {
    note(pid as u32, status, largest_kib.max(0) as u64);
}

#[cfg_attr(not(any(native_hooks, test)), expect(dead_code, reason = "nothing is patched"))]
fn note(pid: u32, status: i32, largest_kib: u64) {
    use std::sync::atomic::Ordering::Release;
    let note = &NOTES[NEXT.fetch_add(1, Relaxed) % ROOM];
    note.who.store(0, Relaxed);
    note.largest.store(largest_kib, Release);
    note.who.store(u64::from(pid) << 32 | u64::from(status as u32), Release);
}

/// Those that have ended since this was last called.
pub fn take() -> Vec<Reaped> {
    use std::sync::atomic::Ordering::Acquire;
    // A poisoned lock is as good as any: there is nothing in it.
    let _only = READER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let read = |note: &Note| {
        if note.who.load(Relaxed) == 0 {
            return None;
        }
        let who = note.who.swap(0, Acquire);
        let (pid, status) = ((who >> 32) as u32, who as u32 as i32);
        (pid > 0).then(|| Reaped { pid, status, largest: note.largest.load(Relaxed) * 1024 })
    };
    NOTES.iter().filter_map(read).collect()
}

/// Whether this process has a child that it has not waited for.
#[cfg(unix)]
pub fn any_child() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the call writes one siginfo there at most. With these flags it neither waits nor takes
    // the end of a child from the one who waits for it.
    unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) == 0 }
}

/// Nothing is told.
#[cfg(not(unix))]
pub fn any_child() -> bool {
    false
}

/// The mark of the largest child that this process has ever waited for, in bytes, as
/// [`Reaped::largest`]; 0 where the system does not tell.
#[cfg(unix)]
pub fn largest_ever() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes one rusage there, and all zeros are one as well.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    usage.ru_maxrss.max(0) as u64 * unit
}

/// Nothing is told.
#[cfg(not(unix))]
pub fn largest_ever() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_taken_once() {
        take();
        note(7, 256, 3);
        note(8, -1, 0);
        let taken = take();
        assert_eq!(taken.len(), 2);
        assert!(taken.contains(&Reaped { pid: 7, status: 256, largest: 3072 }));
        assert!(taken.contains(&Reaped { pid: 8, status: -1, largest: 0 }));
        assert!(take().is_empty());
    }
}
