//! The memory that the recorder itself uses.
//!
//! Large tables are mapped straight from the kernel, for two reasons. What is freed to glibc
//! above its mmap threshold *raises* that threshold (mallopt(3), "dynamic mmap threshold"), so
//! a profiler that frees a 3 MiB table would change how the user's program gives memory back
//! ever after. And own pages can be counted exactly and leave no hole in the user's heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// From this size on a block is mapped: glibc's initial mmap threshold.
const MAPPED_FROM: usize = 128 * 1024;

static OWN_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes that this library holds now, as asked for.
pub fn own_bytes() -> usize {
    OWN_BYTES.load(Relaxed)
}

struct OwnMemory;

#[global_allocator]
static OWN_MEMORY: OwnMemory = OwnMemory;

fn mapped(layout: &Layout) -> bool {
    // Page alignment is what a mapping gives.
    cfg!(unix) && layout.size() >= MAPPED_FROM && layout.align() <= 4096
}

#[cfg(unix)]
fn map(size: usize) -> *mut u8 {
    // SAFETY: a fresh private anonymous mapping touches no memory that anybody uses.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED { std::ptr::null_mut() } else { start.cast() }
}

#[cfg(not(unix))]
fn map(_size: usize) -> *mut u8 {
    std::ptr::null_mut()
}

/// Gives a mapping another size; its pages move, and nothing is copied.
///
/// # Safety
///
/// `start` is what `map` gave, for `old` bytes.
#[cfg(target_os = "linux")]
unsafe fn remap(start: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: as the caller says; whoever asks for another size gives up the old place.
    let moved = unsafe { libc::mremap(start.cast(), old, new, libc::MREMAP_MAYMOVE) };
    if moved == libc::MAP_FAILED { std::ptr::null_mut() } else { moved.cast() }
}

// SAFETY: every request goes to the system allocator or to a mapping of its own, and `mapped`
// decides from the layout alone, so a block goes back to where it came from.
unsafe impl GlobalAlloc for OwnMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        OWN_BYTES.fetch_add(layout.size(), Relaxed);
        if mapped(&layout) {
            return map(layout.size());
        }
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        OWN_BYTES.fetch_add(layout.size(), Relaxed);
        if mapped(&layout) {
            // Fresh pages are zero, and stay untouched until they are used.
            return map(layout.size());
        }
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        OWN_BYTES.fetch_sub(layout.size(), Relaxed);
        #[cfg(unix)]
        if mapped(&layout) {
            // SAFETY: `block` came from `map` with this size, by the layout.
            unsafe { libc::munmap(block.cast(), layout.size()) };
            return;
        }
        // SAFETY: by the layout the block came from the system allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller gives a size that makes a layout with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        #[cfg(target_os = "linux")]
        if mapped(&layout) && mapped(&wanted) {
            // SAFETY: by the layout the block came from `map`.
            let moved = unsafe { remap(block, layout.size(), size) };
            if !moved.is_null() {
                OWN_BYTES.fetch_add(size, Relaxed);
                OWN_BYTES.fetch_sub(layout.size(), Relaxed);
            }
            return moved;
        }
        // SAFETY: the new block has the layout that was asked for, the old one the one that it was made by,
        // and both are as large as what is copied.
        unsafe {
            let fresh = self.alloc(wanted);
            if !fresh.is_null() {
                fresh.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Larger than all that other tests hold meanwhile; its pages are never touched.
    const TABLE: usize = 1 << 30;

    #[test]
    fn a_large_table_is_counted_and_given_back() {
        let table = vec![0u8; TABLE];
        assert!(own_bytes() >= TABLE);
        assert_eq!(table[TABLE / 2], 0);
        drop(table);
        assert!(own_bytes() < TABLE);
    }

    #[test]
    fn a_table_that_grows_keeps_what_it_held() {
        let mut table = vec![7u8; 3 << 20];
        for size in [5 << 20, 1000, 200_000] {
            let before = table.len();
            table.resize(size, 9);
            table.shrink_to_fit();
            assert!(table[..size.min(1000)].iter().all(|&byte| byte == 7));
            assert_eq!(table[size - 1], if size > before { 9 } else { 7 });
        }
    }
}
