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

#[cfg(native_hooks)]
mod imp {
    use std::sync::OnceLock;

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
}
