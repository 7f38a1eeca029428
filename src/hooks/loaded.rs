//! What libraries that were loaded have written of themselves.
//!
//! The linker relocates the data of a library in place, and a library sets its own variables: the kernel copies
//! these pages, so that they are of no file any longer, and no hook sees them come. They lie in the segments that
//! may be written to.
//!
//! The linker tells of libraries in the order in which they were loaded. So how many there were at a moment says
//! which.

#[cfg(native_hooks)]
pub use imp::{count, now, written_since};

/// How many libraries were loaded when that was last asked for.
#[cfg(not(native_hooks))]
pub fn count() -> usize {
    0
}

/// How many there are now.
#[cfg(not(native_hooks))]
pub fn now() -> usize {
    0
}

/// For each library that was loaded after so many others: the bytes of it that are no file's any longer.
#[cfg(not(native_hooks))]
pub fn written_since(_count: usize) -> Vec<u64> {
    Vec::new()
}

#[cfg(native_hooks)]
mod imp {
    use crate::hooks::{elf, residency};

    /// How many libraries were loaded when the linker was last asked, as it is at each poll.
    pub fn count() -> usize {
        elf::libraries()
    }

    /// How many there are now. Not for a hook: it waits for the linker.
    pub fn now() -> usize {
        elf::libraries_changed();
        elf::libraries()
    }

    /// For each library that was loaded after so many others: the bytes of it that are no file's any longer. Not
    /// for a hook: it waits for the linker.
    pub fn written_since(count: usize) -> Vec<u64> {
        let look = residency::Look::begin();
        let mut seen = 0;
        let mut written = Vec::new();
        elf::each_library(|info| {
            seen += 1;
            if seen > count {
                let base = info.dlpi_addr as usize;
                let headers = elf::program_headers(info).iter();
                let segments = headers.filter(|header| {
                    header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0
                });
                let of_it = segments.map(|segment| {
                    look.of_no_file(base + segment.p_vaddr as usize, segment.p_memsz as usize)
                });
                written.push(of_it.sum::<usize>() as u64);
            }
            true
        });
        written
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_library_has_written_at_least_its_relocated_data() {
            let all = written_since(0);
            assert!(all.len() > 2, "{all:?}");
            // This program's own, which has tables of addresses.
            assert!(all[0] > 4096, "{all:?}");
            assert!(written_since(all.len()).is_empty());
            assert_eq!(written_since(1), all[1..]);
            assert_eq!(now(), all.len());
        }
    }
}
