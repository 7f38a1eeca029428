//! The latest of a row of letters, in memory that several processes have: one writes, any reads.
//!
//! A letter goes to one of two halves in turn, and then the count of letters says that it is there. So
//! the last complete letter can always be read: a writer that is killed in the middle of one has spoilt
//! the other half, and there is no lock that it could have held. A reader that was overtaken sees the
//! count move and reads again (the sequence lock of Linux, `seqlock_t`, with a second copy: its
//! `seqcount_latch_t`).

use std::sync::atomic::{
    AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence,
};

/// Bytes of a word.
pub(super) const WORD: usize = size_of::<u64>();

/// Room for letters of `WORDS` words. Zeros are one without a letter.
#[repr(C)]
pub(super) struct Latest<const WORDS: usize> {
    /// How many letters were completed; the last is in half `count % 2`.
    count: AtomicU64,
    /// Bytes of each half's letter.
    lengths: [AtomicU64; 2],
    halves: [[AtomicU64; WORDS]; 2],
}

impl<const WORDS: usize> Latest<WORDS> {
    /// Bytes of a letter at most.
    pub(super) const ROOM: usize = WORDS * WORD;

    /// Puts a letter there, by the one writer. Returns whether it fits.
    pub(super) fn put(&self, letter: &[u8]) -> bool {
        if letter.len() > Self::ROOM {
            return false;
        }
        let count = self.count.load(Relaxed).wrapping_add(1);
        let half = count as usize % 2;
        // Whoever sees a word of this letter sees the count of the last one, too.
        fence(Release);
        self.lengths[half].store(letter.len() as u64, Relaxed);
        for (to, from) in self.halves[half].iter().zip(letter.chunks(WORD)) {
            let mut word = [0; WORD];
            word[..from.len()].copy_from_slice(from);
            to.store(u64::from_ne_bytes(word), Relaxed);
        }
        self.count.store(count, Release);
        true
    }

    /// The last complete letter; `None` when there is none yet.
    pub(super) fn get(&self) -> Option<Vec<u8>> {
        loop {
            let count = self.count.load(Acquire);
            if count == 0 {
                return None;
            }
            let half = count as usize % 2;
            let length = (self.lengths[half].load(Relaxed) as usize).min(Self::ROOM);
            let words = self.halves[half][..length.div_ceil(WORD)].iter();
            let mut letter: Vec<u8> =
                words.flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
            letter.truncate(length);
            fence(Acquire);
            // The half is written to again only by the letter after the next.
            if self.count.load(Relaxed) == count {
                return Some(letter);
            }
        }
    }

    /// The same by reads of somebody who has the bytes and not the memory: `read` fills a buffer from
    /// this offset on, or fails. A writer that is always faster ends it without a letter: `Ok(None)`.
    pub(super) fn get_by<E>(
        read: impl Fn(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Option<Vec<u8>>, E> {
        let word = |at: usize| -> Result<u64, E> {
            let mut word = [0; WORD];
            read(at as u64, &mut word)?;
            Ok(u64::from_ne_bytes(word))
        };
        let mut letter = Vec::new();
        for _ in 0..TRIES {
            let count = word(std::mem::offset_of!(Self, count))?;
            if count == 0 {
                return Ok(None);
            }
            let half = count as usize % 2;
            let length = word(std::mem::offset_of!(Self, lengths) + half * WORD)? as usize;
            letter.resize(length.min(Self::ROOM), 0);
            read((std::mem::offset_of!(Self, halves) + half * Self::ROOM) as u64, &mut letter)?;
            if word(std::mem::offset_of!(Self, count))? == count {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }
}

/// A read takes microseconds, and a writer is at work every few milliseconds.
const TRIES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    const WORDS: usize = 40;

    fn empty() -> Latest<WORDS> {
        Latest {
            count: AtomicU64::new(0),
            lengths: [const { AtomicU64::new(0) }; 2],
            halves: [const { [const { AtomicU64::new(0) }; WORDS] }; 2],
        }
    }

    /// The bytes as they lie in memory, as another process reads them.
    fn bytes(latest: &Latest<WORDS>) -> Vec<u8> {
        std::iter::once(&latest.count)
            .chain(&latest.lengths)
            .chain(latest.halves.iter().flatten())
            .flat_map(|word| word.load(Relaxed).to_ne_bytes())
            .collect()
    }

    fn read_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
        let read = |at: u64, room: &mut [u8]| -> Result<(), Infallible> {
            room.copy_from_slice(&bytes[at as usize..at as usize + room.len()]);
            Ok(())
        };
        let Ok(letter) = Latest::<WORDS>::get_by(read);
        letter
    }

    proptest! {
        /// A writer that is killed after any number of its stores leaves the letter before.
        #[test]
        fn a_killed_writer_leaves_the_last_complete_letter(
            letters in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..=Latest::<WORDS>::ROOM), 1..5),
            stores in 0usize..2 * WORDS,
        ) {
            let latest = empty();
            let (last, before) = letters.split_last().expect("one at least");
            before.iter().for_each(|letter| assert!(latest.put(letter)));
            let old = bytes(&latest);
            assert!(latest.put(last));
            let new = bytes(&latest);
            // In the order of `put`: the length, the words, the count; all but the first `stores` of
            // the words that differ were never written.
            let mut torn = old.clone();
            let words = |bytes: &[u8], at: usize| bytes[at..at + WORD].to_vec();
            let different = (WORD..old.len()).step_by(WORD)
                .filter(|&at| words(&old, at) != words(&new, at));
            for at in different.take(stores) {
                torn[at..at + WORD].copy_from_slice(&new[at..at + WORD]);
            }
            prop_assert_eq!(read_bytes(&torn), before.last().cloned());
            prop_assert_eq!(read_bytes(&new), Some(last.clone()));
            prop_assert_eq!(latest.get(), Some(last.clone()));
        }

        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), size_of::<Latest<WORDS>>())) {
            let letter = read_bytes(&bytes);
            prop_assert!(letter.is_none_or(|letter| letter.len() <= Latest::<WORDS>::ROOM));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_lost() {
        let latest = empty();
        assert_eq!(latest.get(), None);
        assert!(latest.put(b"") && latest.get() == Some(Vec::new()));
        assert!(latest.put(&[7; Latest::<WORDS>::ROOM]));
        assert!(!latest.put(&[8; Latest::<WORDS>::ROOM + 1]));
        assert_eq!(latest.get(), Some(vec![7; Latest::<WORDS>::ROOM]));
    }

    #[test]
    fn a_letter_is_whole_while_others_are_written() {
        let latest = empty();
        assert!(latest.put(&[0; 100]));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..20_000u32 {
                    assert!(latest.put(&vec![n as u8; 50 + n as usize % 100]));
                }
            });
            while !writer.is_finished() {
                let letter = latest.get().expect("it was there before");
                assert!(letter.iter().all(|byte| *byte == letter[0]), "{letter:?}");
            }
        });
    }
}
