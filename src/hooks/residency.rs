//! How much of a range of addresses is in memory.
//!
//! Two ways to ask the kernel: `PAGEMAP_SCAN` (from Linux 6.7 on), which skips what is not there, and
//! mincore(2). They differ in one thing that matters: a page that was only read is the kernel's one page
//! of zeros. It costs nothing and is not in the resident set, but mincore takes it for resident.

/// The resident bytes of a range; all of it where that cannot be told. Whole pages are looked at; the two
/// ends are taken to be in use, since somebody writes beside a block.
pub fn resident(start: usize, length: usize) -> usize {
    imp::resident(start, length)
}

#[cfg(target_os = "linux")]
mod imp {
    const PAGE: usize = 4096;

    pub(super) fn resident(start: usize, length: usize) -> usize {
        let end = start.saturating_add(length) & !(PAGE - 1);
        let start = start.next_multiple_of(PAGE);
        if start >= end {
            return length;
        }
        let found = super::pagemap::present(start, end).or_else(|| in_core(start, end));
        length - (end - start) + found.unwrap_or(end - start)
    }

    /// Pages that one call looks at.
    const STEP: usize = 4096;

    /// By mincore(2); `None` where a part is not mapped.
    fn in_core(mut at: usize, end: usize) -> Option<usize> {
        let mut pages = [0u8; STEP];
        let mut found = 0;
        while at < end {
            let bytes = (end - at).min(STEP * PAGE);
            // SAFETY: the kernel writes one byte a page, and `pages` has room for them; the range
            // itself is not touched, and one that is not mapped is an error, not a fault.
            let failed =
                unsafe { libc::mincore(at as *mut libc::c_void, bytes, pages.as_mut_ptr()) } != 0;
            if failed {
                return None;
            }
            found += pages[..bytes / PAGE].iter().filter(|&&page| page & 1 == 1).count();
            at += bytes;
        }
        Some(found * PAGE)
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

    /// The bytes between two page boundaries that are present and are not the page of zeros; `None`
    /// where the kernel does not know this call. The file is opened each time: one that was open at a
    /// fork would tell of the parent.
    pub(super) fn present(start: usize, end: usize) -> Option<usize> {
        // SAFETY: a constant path, ended by a zero.
        let file =
            unsafe { libc::open(c"/proc/self/pagemap".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if file < 0 {
            return None;
        }
        let found = scan(file, start as u64, end as u64);
        // SAFETY: it was opened above and is nobody else's.
        unsafe { libc::close(file) };
        found
    }

    fn scan(file: libc::c_int, mut start: u64, end: u64) -> Option<usize> {
        let mut regions = [Region::default(); ROOM];
        let mut bytes = 0;
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
            bytes += found.iter().map(|region| region.end - region.start).sum::<u64>();
            if scan.walk_end <= start {
                return None;
            }
            start = scan.walk_end;
        }
        usize::try_from(bytes).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn resident(_start: usize, length: usize) -> usize {
        length
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
        match pagemap::present(start.next_multiple_of(4096), (start + length) & !4095) {
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
}
