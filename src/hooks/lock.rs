//! A lock that a fork can hold.
//!
//! `fork` copies the process as it stands: a lock that another thread holds at that moment stays
//! locked for ever in the child. So the forking thread itself takes it before the fork and opens it
//! after, on both sides. A standard mutex cannot be opened by somebody without its guard; this one
//! can. It waits by yielding: it is held for less than a microsecond at a time.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
#[derive(Debug)]
pub struct ForkLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a `Guard` only, and there is one guard at a time.
unsafe impl<T: Send> Sync for ForkLock<T> {}

/// The lock, held.
#[derive(Debug)]
pub struct Guard<'a, T>(&'a ForkLock<T>);

impl<T> ForkLock<T> {
    /// An open lock.
    pub const fn new(value: T) -> ForkLock<T> {
        ForkLock { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Waits until the lock is open and takes it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        self.take();
        Guard(self)
    }

    fn take(&self) {
        let open =
            || self.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed);
        let mut waits = 0u32;
        while open().is_err() {
            waits += 1;
            if waits.is_multiple_of(64) { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
    }

    /// Takes the lock for the time of a fork.
    pub(super) fn hold(&self) {
        self.take();
    }

    /// Opens it again, in the thread that held it: the same one in the parent, its copy in the child.
    pub(super) fn release(&self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.0.release();
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
}
