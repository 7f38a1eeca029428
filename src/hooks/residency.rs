//! How much of a range of addresses is in memory.

/// The resident bytes of a range (mincore(2)); all of it where that cannot be told. Whole pages are
/// looked at; the two ends are taken to be in use, since somebody writes beside a block.
pub fn resident(start: usize, length: usize) -> usize {
    imp::resident(start, length)
}

#[cfg(target_os = "linux")]
mod imp {
    const PAGE: usize = 4096;
    /// Pages that one call looks at.
    const STEP: usize = 4096;

    pub(super) fn resident(start: usize, length: usize) -> usize {
        let end = start.saturating_add(length) & !(PAGE - 1);
        let mut at = start.next_multiple_of(PAGE);
        if at >= end {
            return length;
        }
        let mut missing = 0;
        let mut pages = [0u8; STEP];
        while at < end {
            let bytes = (end - at).min(STEP * PAGE);
            // SAFETY: the kernel writes one byte a page, and `pages` has room for them; the range
            // itself is not touched, and one that is not mapped is an error, not a fault.
            let failed =
                unsafe { libc::mincore(at as *mut libc::c_void, bytes, pages.as_mut_ptr()) } != 0;
            if failed {
                return length;
            }
            missing += pages[..bytes / PAGE].iter().filter(|&&page| page & 1 == 0).count();
            at += bytes;
        }
        length - missing * PAGE
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
