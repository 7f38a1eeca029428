//! How much memory the arenas of glibc's malloc have taken that serve threads.
//!
//! The main arena grows by `brk`, the others in heaps of their own, by system calls that no hook sees. glibc tells
//! how much by counting all free chunks under all of its locks (malloc_info(3)). But each arena keeps that number,
//! and arenas stand in a ring (malloc/malloc.c, `struct malloc_state`: `next`, `next_free`, `attached_threads`,
//! `system_mem`, `max_system_mem`). The ring only grows, an arena joins it complete, and none is ever unmapped: so
//! whoever knows one may read all of them at any time, without a lock.
//!
//! The structure is no interface. So where these words are is learned, from what must hold in every arena at
//! once; where it does not, nothing is known, and what threads' arenas keep free stays unattributed.

use super::asking::words_at;
use super::quiet_thread;
use std::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, mpsc};

/// Where arenas are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ring {
    /// One of a thread.
    first: usize,
    /// The one that is no thread's.
    main: usize,
    /// From the start of an arena to its `next`, in bytes.
    next: usize,
}

/// From `next` to `system_mem`, in words.
const TAKEN: usize = 3;
/// From `next` to `max_system_mem`.
const MOST: usize = 4;

/// The ring, once it is known: [`Ring::first`] is 0 before.
static FIRST: AtomicUsize = AtomicUsize::new(0);
static MAIN: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);
static LEARNING: Mutex<()> = Mutex::new(());

/// Learns where the arenas are, if that is not known.
pub(super) fn learn() {
    let _learning = LEARNING.lock().unwrap_or_else(PoisonError::into_inner);
    if FIRST.load(Relaxed) == 0
        && let Some(ring) = ring_of_a_thread(THREADS)
    {
        MAIN.store(ring.main, Relaxed);
        NEXT.store(ring.next, Relaxed);
        FIRST.store(ring.first, Relaxed);
    }
}

/// Threads that are made at most to learn from.
const THREADS: usize = 3;

/// The ring, by a thread that is made for it, since this one may be served by the main arena. So may that one;
/// then the next, made while it lives, is served by another.
fn ring_of_a_thread(threads: usize) -> Option<Ring> {
    let threads = threads.checked_sub(1)?;
    let (tell, told) = mpsc::channel();
    let look = move || _ = tell.send(ring_of_this_thread().or_else(|| ring_of_a_thread(threads)));
    let thread = quiet_thread::spawn("memprofile", look).ok()?;
    // One that panicked has told nothing.
    thread.join().ok()?;
    told.recv().ok()?
}

fn ring_of_this_thread() -> Option<Ring> {
    // A small one may come from the thread's own stock of what it has freed, of another arena.
    const BLOCK: usize = 20_000;
    // SAFETY: a block or none, which nobody has but this thread, and which is freed once.
    unsafe {
        let block = libc::malloc(BLOCK);
        let arena = arena_of(block as usize);
        let ring = arena.and_then(|arena| tried(|| ring_from(arena)));
        libc::free(block);
        ring
    }
}

/// What is found in one of some tries. Another thread may be about to change an arena: glibc lets a heap grow
/// before it counts that.
fn tried<T>(find: impl Fn() -> Option<T>) -> Option<T> {
    (0..100).find_map(|_| {
        let found = find();
        if found.is_none() {
            std::thread::yield_now();
        }
        found
    })
}

/// Bytes that the arenas of threads have taken from the kernel; 0 where that is not known.
pub(super) fn taken() -> usize {
    let first = FIRST.load(Relaxed);
    if first == 0 {
        return 0;
    }
    let ring = Ring { first, main: MAIN.load(Relaxed), next: NEXT.load(Relaxed) };
    let mut sum = 0;
    let mut arena = ring.first;
    for _ in 0..MANY {
        if arena != ring.main {
            sum += word(arena + ring.next + TAKEN * WORD);
        }
        arena = word(arena + ring.next);
        if arena == ring.first {
            break;
        }
    }
    sum
}

/// A word of an arena.
fn word(address: usize) -> usize {
    // SAFETY: `ring_from` has found it to be a word of glibc's own for every arena of the ring, an arena stays
    // mapped to the end of the process, and a word that glibc writes meanwhile is read whole.
    unsafe { AtomicUsize::from_ptr(address as *mut usize) }.load(Acquire)
}

const WORD: usize = size_of::<usize>();
/// More arenas than there are: glibc makes eight for each core.
const MANY: usize = 1 << 16;
/// The heap of an arena is aligned to its largest size (malloc/arena.c, `HEAP_MAX_SIZE`).
const HEAP: usize = 64 << 20;
/// glibc asks the kernel for whole pages, of at least so many bytes.
const PAGE: usize = 4096;
/// The bit in the word before a block that tells that it is of another arena than the main one.
const OF_A_THREAD: usize = 4;
/// No arena is larger, in words.
const ARENA: usize = 512;

fn words<const N: usize>(address: usize) -> Option<[usize; N]> {
    let mut words = [0; N];
    (words_at(address, &mut words).len() == N).then_some(words)
}

/// Whether a heap of a thread's arena begins at this address: its first word is the address of the arena, whose
/// own first heap says the same.
pub(super) fn begins_heap(start: usize) -> bool {
    let first_word = |address: usize| words(address).map(|[word]| word);
    let arena = first_word(start).filter(|&arena| arena > PAGE);
    arena.is_some_and(|arena| first_word(arena & !(HEAP - 1)) == Some(arena))
}

/// The arena of a thread that this block is of.
fn arena_of(block: usize) -> Option<usize> {
    let [head] = words(block.checked_sub(WORD)?)?;
    let [arena] = words(block & !(HEAP - 1))?;
    (head & OF_A_THREAD != 0 && arena.is_multiple_of(2 * WORD)).then_some(arena)
}

/// The ring that this arena of a thread stands in, if there is one place at which each arena may have what it
/// must have.
fn ring_from(first: usize) -> Option<Ring> {
    let mut arena = [0; ARENA];
    let places = words_at(first, &mut arena).windows(MOST + 1).enumerate();
    let places = places.filter(|(_, words)| is_plausible(words));
    let mut found = places.filter_map(|(at, _)| {
        let next = at * WORD;
        main_of(first, next).map(|main| Ring { first, main, next })
    });
    found.next().filter(|_| found.next().is_none())
}

/// Whether words may be `next`, and what follows.
fn is_plausible(words: &[usize]) -> bool {
    let (taken, most) = (words[TAKEN], words[MOST]);
    let is_size = |word: usize| word.is_multiple_of(PAGE);
    words[0] > PAGE && taken > 0 && taken <= most && is_size(taken) && is_size(most)
}

/// The main arena of the ring, if it closes by this place: all others stand in the first of their heaps, which
/// tells whose it is and how large.
fn main_of(first: usize, next: usize) -> Option<usize> {
    let mut main = None;
    let mut arena = first;
    for _ in 0..MANY {
        let found: [usize; MOST + 1] = words(arena.checked_add(next)?)?;
        match words(arena & !(HEAP - 1)) {
            Some([owner, _, size]) if owner == arena => {
                if !is_plausible(&found) || size == 0 || size > found[TAKEN] {
                    return None;
                }
            }
            _ if main.is_some() => return None,
            _ => main = Some(arena),
        }
        arena = found[0];
        if arena == first {
            return main;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn what_threads_have_taken_is_known_while_they_hold_it_and_after() {
        learn();
        assert_ne!(FIRST.load(Relaxed), 0);
        let before = taken();
        assert!(before > 0);
        const THREADS: usize = 4;
        let (filled, read) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    // Below the threshold of mmap.
                    let blocks: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 20_000]).collect();
                    filled.wait();
                    read.wait();
                    drop(blocks);
                });
            }
            filled.wait();
            let held = taken();
            read.wait();
            // Other tests have threads, too; what these hold cannot be less.
            assert!(held >= THREADS * 20_000_000, "{before} {held}");
        });
    }

    #[test]
    fn a_ring_is_taken_for_one_only_if_all_of_it_holds() {
        learn();
        let (first, next) = (FIRST.load(Relaxed), NEXT.load(Relaxed));
        assert_eq!(tried(|| main_of(first, next)), Some(MAIN.load(Relaxed)));
        assert_eq!(main_of(first, next + WORD), None);
        // No arena, though it is there.
        let nothing = vec![0usize; 2 * ARENA];
        assert_eq!(ring_from(nothing.as_ptr() as usize), None);
        assert_eq!(ring_from(8), None);
        assert_eq!(arena_of(8), None);
        assert!(begins_heap(first & !(HEAP - 1)));
        assert!(!begins_heap(nothing.as_ptr() as usize));
        assert!(!begins_heap(first) && !begins_heap(8));
    }
}
