//! Memory that a process shares with those that it forks: what a child writes, its parent reads, also
//! when the child was killed.
//!
//! A [`Letterbox`] has slots. A process takes one for itself and puts its latest letter there again and
//! again (`latest.rs`). No file: the pages go with the last process that has them. Letters are of a
//! *round*; a new one empties the box.

use super::latest::{Latest, WORD};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Slots of a box.
pub const SLOTS: usize = 256;

/// Bytes of a letter at most.
pub const LETTER: usize = 16 << 10;

/// A slot: its letters begin with the word of their round.
type Slot = Latest<{ LETTER / WORD + 1 }>;

/// On pages of its own.
#[repr(C, align(4096))]
struct Head {
    taken: AtomicU32,
    round: AtomicU32,
}

#[repr(C)]
struct Shared {
    head: Head,
    slots: [Slot; SLOTS],
}

/// See the module. It is of this process and of all that are forked from it.
#[derive(Debug, Clone, Copy)]
pub struct Letterbox(&'static Shared);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({} taken)", self.head.taken.load(Relaxed))
    }
}

impl Letterbox {
    /// A new one; `None` where there is no such memory.
    #[cfg(unix)]
    pub fn new() -> Option<Letterbox> {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANON);
        // SAFETY: a new mapping, of zeros, where nothing else is.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Shared>(), prot, flags, -1, 0) };
        // SAFETY: it is as long as a `Shared` and aligned to a page; zeros are atomics of 0; it is never
        // unmapped; and whoever writes to it, in this process or another, does it by atomics.
        (start != libc::MAP_FAILED).then(|| Letterbox(unsafe { &*start.cast::<Shared>() }))
    }

    /// There is no such memory.
    #[cfg(not(unix))]
    pub fn new() -> Option<Letterbox> {
        None
    }

    /// Takes a slot; `None` when there is none left.
    pub fn take_slot(self) -> Option<usize> {
        let slot = self.0.head.taken.fetch_add(1, Relaxed) as usize;
        (slot < SLOTS).then_some(slot)
    }

    /// How many wanted a slot.
    pub fn wanted(self) -> usize {
        self.0.head.taken.load(Relaxed) as usize
    }

    /// Puts a letter of a round into a slot of this process's own. Returns whether it fits.
    pub fn put(self, slot: usize, round: u32, letter: &[u8]) -> bool {
        let mut words = u64::from(round).to_ne_bytes().to_vec();
        words.extend(letter);
        self.0.slots[slot].put(&words)
    }

    /// The last letter of each slot that has one of this round.
    pub fn letters(self) -> Vec<Vec<u8>> {
        let round = self.round();
        self.0.slots[..self.wanted().min(SLOTS)]
            .iter()
            .filter_map(|slot| {
                let mut words = slot.get()?;
                let letter = words.split_off(WORD.min(words.len()));
                (words == u64::from(round).to_ne_bytes()).then_some(letter)
            })
            .collect()
    }

    /// The round that is on.
    pub fn round(self) -> u32 {
        self.0.head.round.load(Relaxed)
    }

    /// Begins a round: all slots are free, and the memory of the letters goes back.
    pub fn begin(self) {
        self.0.head.round.fetch_add(1, Relaxed);
        let used = self.0.head.taken.swap(0, Relaxed);
        #[cfg(target_os = "linux")]
        if used > 0 {
            let start = self.0.slots.as_ptr();
            // SAFETY: pages of our own mapping, after which they read as zeros: slots without a letter.
            // Where the kernel refuses, the letters stay, and are of another round.
            unsafe {
                libc::madvise(
                    start.cast_mut().cast(),
                    size_of_val(&self.0.slots),
                    libc::MADV_REMOVE,
                )
            };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = used;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_last_letter_is_read_and_what_does_not_fit_is_refused() {
        let letters = Letterbox::new().expect("there is shared memory");
        let (first, second) =
            (letters.take_slot().expect("free"), letters.take_slot().expect("free"));
        assert!(letters.letters().is_empty());
        assert!(
            letters.put(first, 0, b"one")
                && letters.put(first, 0, b"three")
                && letters.put(first, 0, b"2")
        );
        assert!(letters.put(second, 0, &[7; LETTER]));
        assert!(!letters.put(second, 0, &[7; LETTER + 1]));
        assert_eq!(letters.letters(), [b"2".to_vec(), vec![7; LETTER]]);
    }

    #[test]
    fn there_are_as_many_slots_as_it_says() {
        let letters = Letterbox::new().expect("there is shared memory");
        assert_eq!((0..SLOTS + 3).filter_map(|_| letters.take_slot()).count(), SLOTS);
        assert_eq!(letters.wanted(), SLOTS + 3);
        assert!(letters.put(1, 0, b"old"));
        letters.begin();
        assert_eq!((letters.round(), letters.wanted()), (1, 0));
        let (first, second) =
            (letters.take_slot().expect("free"), letters.take_slot().expect("free"));
        // Somebody who has not heard of the new round.
        assert!(letters.put(second, 0, b"late"));
        assert!(letters.put(first, 1, b"new"));
        assert_eq!(letters.letters(), [b"new".to_vec()]);
    }
}
