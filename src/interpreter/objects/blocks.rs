//! What a block of memory really takes: asked of the allocator's own header, and believed only
//! where that fits the request.
//!
//! A block of up to 512 bytes lies in a pool of pymalloc's, whose header says its size class
//! (CPython, `pycore_obmalloc.h`); a larger one, or one that shrank, in a chunk of glibc's `malloc`
//! (glibc, `malloc.c`, "A malloc chunk"). Nothing is called: neither `malloc_usable_size`, which ends the
//! process when a block is another allocator's, nor CPython's own map of arenas, which is not exported.
//! Under another allocator (`PYTHONMALLOC=debug`, jemalloc) no header fits, and the size is what
//! glibc would take. What lies in a library's or the executable's own data takes nothing.

use std::ops::Range;

/// The largest request that pymalloc serves.
const SMALL_REQUEST: usize = 512;
const POOL: usize = 1 << 14;
const POOL_HEADER: usize = 48;
const PAGE: usize = 4096;
/// glibc's chunk: two words in front, of which the first is the neighbour's while that is in use.
const WORD: usize = 8;
const SMALLEST_CHUNK: usize = 32;
const IS_MMAPPED: usize = 2;
const FLAGS: usize = 7;

/// What memory is mapped how, as it was when this was made.
#[derive(Debug, Default)]
pub struct AddressSpace {
    /// Readable, writable memory that belongs to no file, by start.
    anonymous: Vec<Range<usize>>,
    /// Data of the executable and the libraries, by start.
    images: Vec<Range<usize>>,
    /// The last range of `anonymous` that was asked for: blocks are neighbours.
    last: Range<usize>,
}

fn holding(ranges: &[Range<usize>], address: usize) -> Option<&Range<usize>> {
    let after = ranges.partition_point(|range| range.start <= address);
    ranges[..after].last().filter(|range| address < range.end)
}

impl AddressSpace {
    /// Reads what is mapped now.
    pub fn read() -> AddressSpace {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut anonymous: Vec<Range<usize>> = Vec::new();
        for range in maps.lines().filter_map(writable_without_file) {
            match anonymous.last_mut() {
                Some(before) if before.end == range.start => before.end = range.end,
                _ => anonymous.push(range),
            }
        }
        AddressSpace { anonymous, images: images(), last: 0..0 }
    }

    /// Whether this is in the data of the executable or a library, where no allocator gave it.
    pub fn is_static(&self, address: usize) -> bool {
        holding(&self.images, address).is_some()
    }

    /// The bytes that a block takes for which `request` bytes were asked: those that its owner may
    /// use, as `malloc_usable_size` says them.
    pub fn block(&mut self, address: usize, request: usize) -> usize {
        if !self.last.contains(&address) {
            if self.is_static(address) {
                return 0;
            }
            self.last = holding(&self.anonymous, address).cloned().unwrap_or(0..0);
        }
        if self.last.contains(&address) && address.is_multiple_of(16) {
            if let Some(size) = self.pool_says(address, request) {
                return size;
            }
            if let Some(size) = self.chunk_says(address, request) {
                return size;
            }
        }
        typical(request)
    }

    /// The same for memory that `mmap` gave: pages, or nothing where they are a file's.
    pub fn mapping(&self, address: usize, request: usize) -> usize {
        match holding(&self.anonymous, address) {
            Some(_) => request.next_multiple_of(PAGE),
            None => 0,
        }
    }

    fn pool_says(&self, address: usize, request: usize) -> Option<usize> {
        let pool = address & !(POOL - 1);
        if request > SMALL_REQUEST || pool < self.last.start || address - pool < POOL_HEADER {
            return None;
        }
        // struct pool_header: count, two words of lists and one more, then four numbers.
        let number = |offset: usize| read::<u32>(pool + offset) as usize;
        let (count, class, largest_offset) = (number(0), number(36), number(44));
        let size = (class + 1) * 16;
        let fits = size >= request
            && size <= SMALL_REQUEST
            && largest_offset == POOL - size
            && (1..=(POOL - POOL_HEADER) / size).contains(&count)
            && (address - pool - POOL_HEADER).is_multiple_of(size);
        fits.then_some(size)
    }

    fn chunk_says(&self, address: usize, request: usize) -> Option<usize> {
        if address < self.last.start + 2 * WORD {
            return None;
        }
        let header = read::<usize>(address - WORD);
        let size = header & !FLAGS;
        if header & IS_MMAPPED != 0 {
            let fits = size.is_multiple_of(PAGE)
                && (request + 2 * WORD..request + 2 * WORD + 2 * PAGE).contains(&size);
            return fits.then(|| size - 2 * WORD);
        }
        let least = chunk(request);
        // A rest too small for a chunk of its own stays with the block.
        (least..=least + SMALLEST_CHUNK).contains(&size).then(|| size - WORD)
    }
}

fn chunk(request: usize) -> usize {
    (request + WORD).next_multiple_of(16).max(SMALLEST_CHUNK)
}

/// What glibc's malloc takes for a request, or pymalloc for a small one.
pub fn typical(request: usize) -> usize {
    if request <= SMALL_REQUEST { request.next_multiple_of(16) } else { chunk(request) - WORD }
}

fn read<T: Copy>(address: usize) -> T {
    // SAFETY: every caller has found the address, which is aligned for T, inside of a range that
    // is mapped and readable; it holds a live block's header, so it stays mapped while the caller
    // has the GIL. Volatile, since another thread's malloc may write a flag of the header meanwhile.
    unsafe { std::ptr::with_exposed_provenance::<T>(address).read_volatile() }
}

/// A line of `/proc/self/maps` (proc_pid_maps(5)), if it tells of writable memory without a file.
fn writable_without_file(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (range, permissions) = (fields.next()?, fields.next()?);
    let (inode, path) = (fields.nth(2)?, fields.next().unwrap_or(""));
    // Shared anonymous memory, such as mmap.mmap(-1, n), shows as a file that nobody can name.
    let no_file = inode == "0" || path == "/dev/zero";
    if !permissions.starts_with("rw") || !no_file {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(target_os = "linux")]
fn images() -> Vec<Range<usize>> {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" fn note(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: the linker gives one library's description, and `found` is the vector below.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Range<usize>>>()) };
        for at in 0..usize::from(info.dlpi_phnum) {
            // SAFETY: there are dlpi_phnum program headers.
            let header = unsafe { &*info.dlpi_phdr.add(at) };
            if header.p_type == libc::PT_LOAD {
                let start = (info.dlpi_addr + header.p_vaddr) as usize;
                found.push(start..start + header.p_memsz as usize);
            }
        }
        0
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    // SAFETY: `note` keeps nothing of what it is given, and does not panic while it pushes numbers.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut found).cast()) };
    found.sort_unstable_by_key(|range| range.start);
    found
}

#[cfg(not(target_os = "linux"))]
fn images() -> Vec<Range<usize>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_malloc_says_its_size() {
        let mut space = AddressSpace::read();
        for request in [1, 24, 25, 600, 5000, 100_000, 3_000_000] {
            // SAFETY: malloc and free of one block, and glibc's word for its size.
            unsafe {
                let block = libc::malloc(request);
                space = AddressSpace { last: 0..0, ..AddressSpace::read() };
                let said = space.chunk_or_typical(block.expose_provenance(), request);
                assert_eq!(said, libc::malloc_usable_size(block), "{request}");
                libc::free(block);
            }
        }
        drop(space);
    }

    impl AddressSpace {
        fn chunk_or_typical(&mut self, address: usize, request: usize) -> usize {
            self.last = holding(&self.anonymous, address).cloned().unwrap_or(0..0);
            assert!(self.last.contains(&address));
            self.chunk_says(address, request).unwrap_or_else(|| typical(request))
        }
    }

    #[test]
    fn what_the_library_holds_itself_is_static() {
        static HERE: u64 = 7;
        let mut space = AddressSpace::read();
        let address = (&raw const HERE).expose_provenance();
        assert!(space.is_static(address));
        assert_eq!(space.block(address, 8), 0);
        let boxed = Box::new(7_u64);
        assert!(!space.is_static((&raw const *boxed).expose_provenance()));
    }

    #[test]
    fn lines_of_maps() {
        let line = |text| writable_without_file(text);
        assert_eq!(line("1000-2000 rw-p 00000000 00:00 0 [heap]"), Some(0x1000..0x2000));
        assert_eq!(line("1000-2000 r--p 00000000 00:00 0"), None);
        assert_eq!(line("1000-2000 rw-p 00000000 08:01 77 /lib/x.so"), None);
        assert!(line("1000-2000 rw-s 00000000 00:01 5 /dev/zero (deleted)").is_some());
        assert_eq!(line(""), None);
    }

    #[test]
    fn a_header_that_does_not_fit_is_not_believed() {
        let mut space = AddressSpace::read();
        // Inside of a block: what stands in front of it is no header.
        let block = vec![0xffff_ffff_ffff_ffff_u64; 4096];
        let inside = (&raw const block[512]).expose_provenance() & !15;
        assert_eq!(space.block(inside, 100), typical(100));
        assert_eq!(space.block(inside, 1000), typical(1000));
    }
}
