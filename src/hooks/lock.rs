//! A lock that a fork can hold.
//!
//! `fork` copies the process as it stands: a lock that another thread holds at that moment stays
//! locked for ever in the child. So the forking thread itself takes it before the fork and opens it
//! after, on both sides. A standard mutex cannot be opened by somebody without its guard; this one
//! can. It waits by yielding, since it is held for less than a microsecond at a time; by sleeping where
//! its holder seems to have lost its processor.
//!
//! A library may have handlers of its own around a fork (Arrow's allocate), and they run in the
//! forking thread while it holds the lock. Holding reaches no value, so that thread alone may take the lock
//! meanwhile.
//!
//! While there is a guard, what its thread allocates is our own and passes the hooks by: they would wait for
//! the lock for ever. It is not enough that the slots of our own library are not patched. In an executable
//! that is not position-independent (Debian's) `malloc` may stand for a stub there, whose slot is.

use super::reentrancy::{self, Pause};
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

/// Whoever comes next may take it.
const OPEN: u8 = 0;
/// There is a guard.
const TAKEN: u8 = 1;
/// A thread forks; there is no guard.
const HELD: u8 = 2;
/// There is a guard of the thread that forks.
const TAKEN_WHILE_HELD: u8 = 3;

/// How long a thread sleeps that waits for one without a processor.
const NAP: Duration = Duration::from_micros(50);

/// See the module.
#[derive(Debug)]
pub struct ForkLock<T> {
    state: AtomicU8,
    /// The thread that forks, while the lock is held.
    holder: AtomicUsize,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a `Guard` only, and there is one guard at a time: each comes
// of a change of the state to `TAKEN` or `TAKEN_WHILE_HELD`, from which only its end leads away.
unsafe impl<T: Send> Sync for ForkLock<T> {}

/// The lock, held.
#[derive(Debug)]
pub struct Guard<'a, T> {
    lock: &'a ForkLock<T>,
    // Dropped after the lock was opened.
    _own: Pause,
}

impl<T> ForkLock<T> {
    /// An open lock.
    pub const fn new(value: T) -> ForkLock<T> {
        ForkLock {
            state: AtomicU8::new(OPEN),
            holder: AtomicUsize::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until the lock is open and takes it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        let own = Pause::new();
        self.take();
        Guard { lock: self, _own: own }
    }

    #[inline]
    fn take(&self) {
        if !self.change(OPEN, TAKEN) {
            self.wait();
        }
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        let me = reentrancy::thread();
        let mut waits = 0u32;
        while !self.change(OPEN, TAKEN) {
            // Nobody but this thread itself writes its own number there, or takes it away.
            if self.holder.load(Ordering::Relaxed) == me && self.change(HELD, TAKEN_WHILE_HELD) {
                return;
            }
            waits += 1;
            match waits {
                _ if !waits.is_multiple_of(64) => std::hint::spin_loop(),
                ..2048 => std::thread::yield_now(),
                _ => std::thread::sleep(NAP),
            }
        }
    }

    /// Takes the lock for the time of a fork.
    pub(super) fn hold(&self) {
        self.take();
        self.holder.store(reentrancy::thread(), Ordering::Relaxed);
        self.state.store(HELD, Ordering::Release);
    }

    /// Opens it again, in the thread that held it: the same one in the parent, its copy in the child.
    pub(super) fn release(&self) {
        self.holder.store(0, Ordering::Relaxed);
        self.state.store(OPEN, Ordering::Release);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // Only the guard's own thread changes the state while there is one.
        let held = self.lock.state.load(Ordering::Relaxed) == TAKEN_WHILE_HELD;
        self.lock.state.store(if held { HELD } else { OPEN }, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_addition_is_lost() {
        static SUM: ForkLock<u64> = ForkLock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| *SUM.lock() += 1));
            }
        });
        assert_eq!(*SUM.lock(), 80_000);
    }

    #[test]
    fn what_the_holder_allocates_is_our_own_and_what_the_forking_thread_does_is_not() {
        static SUM: ForkLock<u64> = ForkLock::new(0);
        let guard = SUM.lock();
        assert!(!Pause::new().outermost());
        drop(guard);
        assert!(Pause::new().outermost());
        SUM.hold();
        assert!(Pause::new().outermost());
        SUM.release();
    }

    #[test]
    fn the_thread_that_forks_may_take_what_it_holds_and_no_other() {
        static SUM: ForkLock<u64> = ForkLock::new(0);
        SUM.hold();
        *SUM.lock() += 1;
        *SUM.lock() += 1;
        std::thread::scope(|scope| {
            let other = scope.spawn(|| *SUM.lock());
            assert!(!SUM.change(OPEN, TAKEN), "it stays held between the guards");
            *SUM.lock() += 1;
            SUM.release();
            assert_eq!(other.join().unwrap(), 3);
        });
        *SUM.lock() += 1;
        assert_eq!(*SUM.lock(), 4);
    }
}
