//! How much of a range of addresses is in memory.
//!
//! Two ways to ask the kernel: `PAGEMAP_SCAN` (from Linux 6.7 on), which skips what is not there, and
//! mincore(2). They differ in one thing that matters: a page that was only read is the kernel's one page
//! of zeros. It costs nothing and is not in the resident set, but mincore takes it for resident.

/// The resident bytes of a range; all of it where that cannot be told. Whole pages are looked at; the two
/// ends are taken to be in use, since somebody writes beside a block.
pub fn resident(start: usize, length: usize) -> usize {
    Look::begin().filled(start, length).0
}

/// A look at several ranges.
#[derive(Debug)]
pub struct Look(imp::Look);

impl Look {
    /// It is not to be kept: in a forked child it would tell of the parent.
    pub fn begin() -> Look {
        Look(imp::Look::new())
    }

    /// As [`resident`], and how many of these bytes there are from the start on without a gap.
    pub fn filled(&self, start: usize, length: usize) -> (usize, usize) {
        self.0.filled(start, length)
    }

    /// The bytes of the pages of a range that are in memory and of no file; 0 where that cannot be told.
    pub fn of_no_file(&self, start: usize, length: usize) -> usize {
        self.0.of_no_file(start, length)
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::pagemap::Pagemap;

    const PAGE: usize = 4096;

    #[derive(Debug)]
    pub(super) struct Look(Option<Pagemap>);

    impl Look {
        pub(super) fn new() -> Look {
            Look(Pagemap::open())
        }

        pub(super) fn filled(&self, start: usize, length: usize) -> (usize, usize) {
            let end = start.saturating_add(length) & !(PAGE - 1);
            let first = start.next_multiple_of(PAGE);
            if first >= end {
                return (length, length);
            }
            let known = self.0.as_ref().and_then(|pagemap| pagemap.present(first, end));
            let (found, front) =
                known.or_else(|| in_core(first, end)).unwrap_or((end - first, end - first));
            (length - (end - first) + found, first - start + front)
        }

        pub(super) fn of_no_file(&self, start: usize, length: usize) -> usize {
            let (first, end) = (start / PAGE, start.saturating_add(length).div_ceil(PAGE));
            self.0.as_ref().map_or(0, |pagemap| pagemap.of_no_file(first, end) * PAGE)
        }
    }

    /// Pages that one call looks at.
    const STEP: usize = 4096;

    /// By mincore(2), in all and without a gap; `None` where a part is not mapped.
    fn in_core(mut at: usize, end: usize) -> Option<(usize, usize)> {
        let mut pages = [0u8; STEP];
        let (mut found, mut front, start) = (0, 0, at);
        while at < end {
            let bytes = (end - at).min(STEP * PAGE);
            // SAFETY: the kernel writes one byte a page, and `pages` has room for them; the range
            // itself is not touched, and one that is not mapped is an error, not a fault.
            let failed =
                unsafe { libc::mincore(at as *mut libc::c_void, bytes, pages.as_mut_ptr()) } != 0;
            if failed {
                return None;
            }
            let pages = &pages[..bytes / PAGE];
            let is_in = |page: &u8| page & 1 == 1;
            if front == at - start {
                front += pages.iter().take_while(|page| is_in(page)).count() * PAGE;
            }
            found += pages.iter().filter(|page| is_in(page)).count();
            at += bytes;
        }
        Some((found * PAGE, front))
    }
}

#[cfg(target_os = "linux")]
mod pagemap {
    //! `PAGEMAP_SCAN` of `/proc/self/pagemap` (Linux, `Documentation/admin-guide/mm/pagemap.rst` and
    //! `include/uapi/linux/fs.h`).

    use std::mem::size_of;

    /// `struct pm_scan_arg`.
    #[repr(C)]
    #[derive(Default)]
    struct Scan {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    /// `struct page_region`.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Region {
        start: u64,
        end: u64,
        categories: u64,
    }

    const PRESENT: u64 = 1 << 3;
    const ZERO: u64 = 1 << 5;
    /// `_IOWR('f', 16, struct pm_scan_arg)`.
    const PAGEMAP_SCAN: libc::c_ulong =
        3 << 30 | (size_of::<Scan>() as libc::c_ulong) << 16 | (b'f' as libc::c_ulong) << 8 | 16;

    /// Regions that one call returns.
    const ROOM: usize = 256;

    /// The file, open.
    #[derive(Debug)]
    pub(super) struct Pagemap(libc::c_int);

    impl Pagemap {
        pub(super) fn open() -> Option<Pagemap> {
            let path = c"/proc/self/pagemap";
            // SAFETY: a constant path, ended by a zero.
            let file = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
            (file >= 0).then_some(Pagemap(file))
        }

        /// The bytes between two page boundaries that are present and are not the page of zeros, in all and
        /// from the first on without a gap; `None` where the kernel does not know this call.
        pub(super) fn present(&self, start: usize, end: usize) -> Option<(usize, usize)> {
            scan(self.0, start as u64, end as u64)
        }
    }

    impl Pagemap {
        /// How many of the pages with these numbers are in memory and of no file: the file has a word for each page
        /// (`pagemap.rst`).
        pub(super) fn of_no_file(&self, first: usize, end: usize) -> usize {
            const IN_MEMORY: u64 = 1 << 63;
            const OF_A_FILE: u64 = 1 << 61;
            let mut words = [0u64; ROOM];
            let mut found = 0;
            let mut at = first;
            while at < end {
                let wanted = (end - at).min(ROOM) * size_of::<u64>();
                let offset = (at * size_of::<u64>()) as libc::off_t;
                // SAFETY: the kernel writes at most `wanted` bytes, for which `words` has room.
                let read =
                    unsafe { libc::pread(self.0, words.as_mut_ptr().cast(), wanted, offset) };
                let count = usize::try_from(read).unwrap_or(0) / size_of::<u64>();
                if count == 0 {
                    break;
                }
                let is_ours = |word: &&u64| *word & IN_MEMORY != 0 && *word & OF_A_FILE == 0;
                found += words[..count].iter().filter(is_ours).count();
                at += count;
            }
            found
        }
    }

    impl Drop for Pagemap {
        fn drop(&mut self) {
            // SAFETY: it was opened by `open` and is nobody else's.
            unsafe { libc::close(self.0) };
        }
    }

    fn scan(file: libc::c_int, mut start: u64, end: u64) -> Option<(usize, usize)> {
        let mut regions = [Region::default(); ROOM];
        let (mut bytes, mut front) = (0, start);
        let first = start;
        while start < end {
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                start,
                end,
                vec: regions.as_mut_ptr() as u64,
                vec_len: ROOM as u64,
                category_inverted: ZERO,
                category_mask: PRESENT | ZERO,
                return_mask: PRESENT,
                ..Scan::default()
            };
            // SAFETY: `scan` is laid out as the kernel's struct of that size; the kernel writes at most
            // `vec_len` regions, which have room, and touches nothing in the range itself.
            let count = unsafe { libc::ioctl(file, PAGEMAP_SCAN as _, &raw mut scan) };
            let found = regions.get(..usize::try_from(count).ok()?)?;
            for region in found {
                bytes += region.end - region.start;
                if region.start == front {
                    front = region.end;
                }
            }
            if scan.walk_end <= start {
                return None;
            }
            start = scan.walk_end;
        }
        Some((usize::try_from(bytes).ok()?, usize::try_from(front - first).ok()?))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    #[derive(Debug)]
    pub(super) struct Look;

    impl Look {
        pub(super) fn new() -> Look {
            Look
        }

        pub(super) fn filled(&self, _start: usize, length: usize) -> (usize, usize) {
            (length, length)
        }

        pub(super) fn of_no_file(&self, _start: usize, _length: usize) -> usize {
            0
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn pages_that_were_only_read_are_the_kernels() {
        let block = vec![0u8; 64 << 20];
        assert!(block.iter().all(|&byte| byte == 0));
        let (start, length) = (block.as_ptr() as usize, block.len());
        let pagemap = pagemap::Pagemap::open().expect("it is there");
        match pagemap.present(start.next_multiple_of(4096), (start + length) & !4095) {
            Some(_) => assert!(resident(start, length) < 1 << 20),
            // An older kernel: mincore does not tell them apart.
            None => assert_eq!(resident(start, length), length),
        }
    }

    #[test]
    fn pages_count_when_they_were_written() {
        let mut block = vec![0u8; 64 << 20];
        let start = block.as_ptr() as usize;
        assert!(resident(start, block.len()) < 1 << 20);
        block[..16 << 20].fill(1);
        let touched = resident(start, block.len());
        assert!((16 << 20..18 << 20).contains(&touched), "{touched}");
        block.fill(2);
        assert_eq!(resident(start, block.len()), block.len());
    }

    #[test]
    fn the_front_ends_at_the_first_gap() {
        let mut block = vec![0u8; 64 << 20];
        let (start, length) = (block.as_ptr() as usize, block.len());
        block[..16 << 20].fill(1);
        block[32 << 20..40 << 20].fill(1);
        let (bytes, front) = Look::begin().filled(start, length);
        assert!((24 << 20..28 << 20).contains(&bytes), "{bytes}");
        assert!((16 << 20..18 << 20).contains(&front), "{front}");
        let behind = Look::begin().filled(start + front, length - front).0;
        assert_eq!(front + behind, bytes);
        block.fill(2);
        assert_eq!(Look::begin().filled(start, length), (length, length));
    }
}
