//! What happens to a recording when the process forks.
//!
//! The parent goes on. The child has its own memory from then on, and none of the parent's threads: its
//! locks are open, and its hooks stay where they are and pass everything through, until a higher floor
//! has it record for itself.

use super::lock::ForkLock;
use std::sync::{Once, OnceLock};

/// What a higher floor does around a fork.
#[derive(Debug, Clone, Copy)]
pub struct Handlers {
    /// In the forking thread, before any lock is taken.
    pub before: fn(),
    /// In the parent, after it.
    pub parent: fn(),
    /// In the child, with its locks open and its recording off. It must not wait for anything.
    pub child: fn(),
}

/// A lock that is to be held while the process forks.
pub trait Held: Sync {
    /// Takes it.
    fn hold(&self);
    /// Opens it.
    fn release(&self);
}

impl<T: Send> Held for ForkLock<T> {
    fn hold(&self) {
        ForkLock::hold(self);
    }
    fn release(&self) {
        ForkLock::release(self);
    }
}

static WATCHED: OnceLock<(Handlers, Locks)> = OnceLock::new();

/// Locks in the order in which whoever takes several takes them.
pub type Locks = &'static [&'static dyn Held];

/// Calls the handlers at each fork from now on, once a process, with `locks` held across it.
pub fn watch(handlers: Handlers, locks: Locks) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        WATCHED.get_or_init(|| (handlers, locks));
        #[cfg(unix)]
        // SAFETY: the three functions live as long as this library, which is never unloaded.
        unsafe {
            libc::pthread_atfork(Some(before), Some(parent), Some(child));
        }
    });
}

/// The lock of the libraries' slots, where there are any.
fn elf_lock() -> Option<&'static dyn Held> {
    #[cfg(native_hooks)]
    return Some(super::elf::known_lock());
    #[cfg(not(native_hooks))]
    None
}

#[cfg(unix)]
extern "C" fn before() {
    if let Some((handlers, locks)) = WATCHED.get() {
        (handlers.before)();
        locks.iter().for_each(|lock| lock.hold());
        elf_lock().inspect(|lock| lock.hold());
    }
}

#[cfg(unix)]
extern "C" fn parent() {
    if let Some((handlers, locks)) = WATCHED.get() {
        elf_lock().inspect(|lock| lock.release());
        locks.iter().rev().for_each(|lock| lock.release());
        (handlers.parent)();
    }
}

#[cfg(unix)]
extern "C" fn child() {
    super::switch_off();
    super::filter::clear();
    #[cfg(native_hooks)]
    super::native::forget_threads();
    if let Some((handlers, locks)) = WATCHED.get() {
        elf_lock().inspect(|lock| lock.release());
        locks.iter().rev().for_each(|lock| lock.release());
        (handlers.child)();
    }
}
