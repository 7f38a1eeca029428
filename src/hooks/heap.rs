//! What the C library's allocator keeps for itself.

/// Bytes that malloc holds and nobody uses, in all of its arenas (mallinfo2(3), `fordblks`); `None` where
/// it cannot be asked. Not all of them need be resident. It takes malloc's locks, and up to half a
/// microsecond for each free chunk: never to be called inside of a hook, nor again and again.
pub fn free_in_malloc() -> Option<u64> {
    #[cfg(native_hooks)]
    return imp::free_in_malloc();
    #[cfg(not(native_hooks))]
    None
}

/// Finds the arenas of threads, once in a process, for [`taken_by_malloc`]. Before a recording begins: what it
/// says of two moments must be of the same arenas.
pub fn find_arenas() {
    #[cfg(native_hooks)]
    super::arenas::learn();
}

/// How many bytes malloc has taken from the kernel: by `brk` since the process began, for the arenas of threads
/// if these were found, and in chunks of their own that came or went while the hooks were on. Only differences
/// mean something. It takes no lock and makes no call; `None` where it is not known.
pub fn taken_by_malloc() -> Option<i64> {
    #[cfg(native_hooks)]
    return imp::taken_by_malloc();
    #[cfg(not(native_hooks))]
    None
}

/// Whether a heap of one of the threads' arenas begins at this address, whatever is there.
pub fn begins_heap(start: usize) -> bool {
    #[cfg(native_hooks)]
    return super::arenas::begins_heap(start);
    #[cfg(not(native_hooks))]
    {
        let _ = start;
        false
    }
}

/// Has malloc give back the pages that nobody uses (malloc_trim(3)). As [`free_in_malloc`] it takes time and
/// locks.
pub fn give_back() {
    #[cfg(native_hooks)]
    imp::give_back();
}

#[cfg(native_hooks)]
mod imp {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

    /// Written by `native.c`.
    #[unsafe(export_name = "memprofile_chunks_mapped")]
    static CHUNKS_MAPPED: AtomicI64 = AtomicI64::new(0);

    pub(super) fn taken_by_malloc() -> Option<i64> {
        // SAFETY: with 0 it changes nothing, and only reads where the heap ends.
        let end = unsafe { libc::sbrk(0) } as isize as i64;
        (end != -1)
            .then(|| end + CHUNKS_MAPPED.load(Relaxed) + super::super::arenas::taken() as i64)
    }

    pub(super) fn give_back() {
        // SAFETY: it only unmaps pages of chunks that are free, under malloc's own locks.
        unsafe { libc::malloc_trim(0) };
    }

    type Mallinfo2 = unsafe extern "C" fn() -> libc::mallinfo2;

    /// Looked up by name, since glibc has it from 2.33 on only.
    fn mallinfo2() -> Option<Mallinfo2> {
        static FOUND: OnceLock<Option<Mallinfo2>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            // SAFETY: the name ends with a zero; a symbol of this name is glibc's function of this type.
            unsafe {
                let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"mallinfo2".as_ptr());
                (!symbol.is_null())
                    .then(|| std::mem::transmute::<*mut libc::c_void, Mallinfo2>(symbol))
            }
        })
    }

    pub(super) fn free_in_malloc() -> Option<u64> {
        // SAFETY: it reads malloc's own books under malloc's own locks.
        mallinfo2().map(|mallinfo2| unsafe { mallinfo2() }.fordblks as u64)
    }
}

#[cfg(all(test, native_hooks))]
mod tests {
    use super::*;

    #[test]
    fn free_chunks_are_counted() {
        // Below the threshold of mmap; every other one is freed, so that none can be given back.
        let mut blocks: Vec<Option<Box<[u8]>>> =
            (0..2000).map(|_| Some(vec![1u8; 20_000].into_boxed_slice())).collect();
        let Some(before) = free_in_malloc() else { return };
        blocks.iter_mut().step_by(2).for_each(|block| *block = None);
        let after = free_in_malloc().expect("it was there before");
        // Other tests allocate meanwhile.
        assert!(after >= before + 12_000_000, "{before} {after}");
    }

    #[test]
    fn what_malloc_takes_is_counted() {
        let before = taken_by_malloc().expect("there is a heap");
        // Of the main thread's arena; a test may run in another. So the end is moved by hand.
        // SAFETY: nobody else gives back what is above the end, and malloc bears a foreign sbrk.
        assert_ne!(unsafe { libc::sbrk(1 << 20) } as isize, -1);
        assert!(taken_by_malloc().expect("there is a heap") >= before + (1 << 20));
    }
}
