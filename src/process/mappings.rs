//! The private mappings of no file: which of them an allocator of a library's own has reserved, and in which
//! there may be room.
//!
//! `/proc/self/maps` tells all of them but one thing: whether a mapping is a reservation (`MAP_NORESERVE`, the flag
//! `nr`). `/proc/self/smaps` does, and has the kernel look at every page of the process for it, which takes
//! milliseconds. So what it said is kept, and it is read again only where there is a large mapping that it did not
//! tell of.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, TryLockError};

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The first.
    pub start: usize,
    /// Bytes.
    pub length: usize,
}

impl Addresses {
    fn end(&self) -> usize {
        self.start + self.length
    }

    /// The heap that malloc makes by `brk`, in pieces where somebody has given advice on a part.
    pub fn of_the_heap() -> Vec<Addresses> {
        heap(&fs::read_to_string("/proc/self/maps").unwrap_or_default())
    }
}

/// The private mappings of no file, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mappings {
    /// Those that can be written to, without the C library's heaps, the stacks of threads and what is in
    /// `reserved`.
    pub writable: Vec<Addresses>,
    /// The reservations that are not the C library's own, where they were asked for.
    pub reserved: Vec<Addresses>,
}

impl Mappings {
    /// Those that there are now, and `reserved` if it is asked for; none on a platform without `/proc`.
    /// `begins_heap` tells whether one of the C library's heaps begins at an address.
    pub fn now(with_reserved: bool, begins_heap: BeginsHeap<'_>) -> Mappings {
        let heads = parse_maps(&fs::read_to_string("/proc/self/maps").unwrap_or_default());
        let reserved =
            if with_reserved { reserved(&flagged_by_now(&heads), begins_heap) } else { Vec::new() };
        let writable =
            writable(&heads, begins_heap).into_iter().flat_map(|found| without(found, &reserved));
        Mappings { writable: writable.collect(), reserved }
    }
}

/// The head of a mapping that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Head {
    start: usize,
    end: usize,
    accessible: bool,
}

/// A mapping of this size is worth a look at `smaps`.
const LARGE: usize = 1 << 20;

/// Whether mappings are reservations, by the last look at `smaps`.
static FLAGS: Mutex<Option<HashMap<Head, bool>>> = Mutex::new(None);

/// As [`flagged`], by what is kept.
fn flagged_by_now(heads: &[Head]) -> Vec<(Head, bool)> {
    let read = || parse_smaps(&fs::read_to_string("/proc/self/smaps").unwrap_or_default());
    match FLAGS.try_lock() {
        Ok(mut kept) => flagged(heads, &mut kept, read),
        Err(TryLockError::Poisoned(kept)) => flagged(heads, &mut kept.into_inner(), read),
        // Another thread held it when this process was forked, and will never let it go.
        Err(TryLockError::WouldBlock) => flagged(heads, &mut None, read),
    }
}

/// Those of the mappings of which it is known, each with whether it is a reservation. `read` gives what
/// `smaps` says.
fn flagged(
    heads: &[Head],
    kept: &mut Option<HashMap<Head, bool>>,
    read: impl FnOnce() -> HashMap<Head, bool>,
) -> Vec<(Head, bool)> {
    let knows_all = |flags: &HashMap<Head, bool>| {
        heads.iter().all(|head| head.end - head.start < LARGE || flags.contains_key(head))
    };
    let flags = match kept.take().filter(knows_all) {
        Some(flags) => kept.insert(flags),
        None => kept.insert(read()),
    };
    heads.iter().filter_map(|head| Some((*head, *flags.get(head)?))).collect()
}

fn parse_maps(maps: &str) -> Vec<Head> {
    maps.lines().filter_map(|line| parse_head(line)?).collect()
}

fn parse_smaps(smaps: &str) -> HashMap<Head, bool> {
    let mut flags = HashMap::new();
    let mut last: Option<Head> = None;
    for line in smaps.lines() {
        if let Some(found) = line.strip_prefix("VmFlags:") {
            if let Some(head) = last.take() {
                flags.insert(head, found.split(' ').any(|flag| flag == "nr"));
            }
        } else if let Some(found) = parse_head(line) {
            last = found;
        }
    }
    flags
}

fn heap(maps: &str) -> Vec<Addresses> {
    let pieces = maps.lines().filter(|line| line.ends_with("[heap]")).filter_map(parse_range);
    pieces.map(|(start, end)| Addresses { start, length: end - start }).collect()
}

fn parse_range(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok().filter(|&end| end > start)?;
    Some((start, end))
}

/// The head of a mapping: `Some(None)` for one that is shared or of a file.
#[allow(clippy::option_option, reason = "another line, another mapping, or one that counts")]
fn parse_head(line: &str) -> Option<Option<Head>> {
    let (start, end) = parse_range(line)?;
    let mut fields = line.split_ascii_whitespace().skip(1);
    let mode = fields.next()?;
    let inode = fields.nth(2)?;
    let name = fields.next().unwrap_or_default();
    let counts = mode.ends_with('p') && inode == "0" && !matches!(name, "[heap]" | "[stack]");
    Some(counts.then_some(Head { start, end, accessible: mode.starts_with("rw") }))
}

/// Whether a heap of the C library's begins at an address.
type BeginsHeap<'a> = &'a dyn Fn(usize) -> bool;

/// glibc keeps the heap of a thread in so many bytes, and aligned to them (malloc/arena.c, HEAP_MAX_SIZE).
const HEAP: usize = 64 << 20;

fn reserved(flagged: &[(Head, bool)], begins_heap: BeginsHeap<'_>) -> Vec<Addresses> {
    let mut found: Vec<Addresses> = Vec::new();
    for (Head { start, end, accessible }, _) in flagged.iter().filter(|(_, reserved)| *reserved) {
        // An inaccessible one may be the rest of a heap of glibc's, whose blocks are counted.
        if *accessible || !drop_heap(&mut found, *start, *end, begins_heap) {
            found.push(Addresses { start: *start, length: end - start });
        }
    }
    found
}

/// If an inaccessible mapping is the rest of a heap of glibc's, takes the used part of that out. The kernel tells
/// of it in pieces where somebody has given advice on a part, as numpy does on blocks of 4 MiB (`madvise`). By its
/// place alone it may also be what guards the stack of a thread, where a large block ends below that.
fn drop_heap(
    found: &mut Vec<Addresses>,
    start: usize,
    end: usize,
    begins_heap: BeginsHeap<'_>,
) -> bool {
    let heap = end.wrapping_sub(HEAP);
    if !end.is_multiple_of(HEAP) || !(1..start).contains(&heap) {
        return false;
    }
    let pieces = found.iter().rev().scan(start, |next, piece| {
        let touches = piece.end() == *next && piece.end() > heap;
        *next = piece.start;
        touches.then_some(piece.start)
    });
    let pieces: Vec<usize> = pieces.collect();
    let reaches = |first: &&usize| **first <= heap && begins_heap(heap);
    let Some(&first) = pieces.last().filter(reaches) else { return false };
    found.truncate(found.len() - pieces.len());
    if first < heap {
        found.push(Addresses { start: first, length: heap - first });
    }
    true
}

/// The stack of a thread takes so many bytes above its guard page, unless somebody has asked for others.
const STACK: usize = 8 << 20;

fn writable(heads: &[Head], begins_heap: BeginsHeap<'_>) -> Vec<Addresses> {
    let mut found: Vec<Addresses> = Vec::new();
    let mut guard = 0;
    for &Head { start, end, accessible } in heads {
        if accessible {
            // The kernel makes one of a stack and a mapping that follows it.
            let start = if start == guard { start.saturating_add(STACK) } else { start };
            if start < end {
                found.push(Addresses { start, length: end - start });
            }
        } else if !drop_heap(&mut found, start, end, begins_heap) {
            guard = end;
        }
    }
    found
}

/// What of a range lies in none of others, which are in order.
fn without(range: Addresses, others: &[Addresses]) -> Vec<Addresses> {
    let mut left = Vec::new();
    let mut start = range.start;
    for other in others.iter().filter(|o| o.start < range.end() && o.end() > range.start) {
        if other.start > start {
            left.push(Addresses { start, length: other.start - start });
        }
        start = start.max(other.end());
    }
    if start < range.end() {
        left.push(Addresses { start, length: range.end() - start });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(found: &[Addresses]) -> Vec<(usize, usize)> {
        found.iter().map(|range| (range.start, range.length)).collect()
    }

    #[test]
    fn reservations_are_told_from_heaps_of_glibc() {
        let mapping = |head: &str, flags: &str| format!("{head}\nRss:  4 kB\nVmFlags: {flags} \n");
        let smaps = [
            mapping("5c36b800000-5c3ab800000 rw-p 00000000 00:00 0 ", "rd wr mr mw me nr hg"),
            mapping("7f8683980000-7f8684021000 rw-p 00000000 00:00 0 ", "rd wr mr nr"),
            mapping("7f8684021000-7f8688000000 ---p 00000000 00:00 0 ", "mr mw me nr"),
            mapping("7f8688000000-7f8688021000 rw-p 00000000 00:00 0 ", "rd wr mr nr"),
            mapping("7f8688021000-7f868c000000 ---p 00000000 00:00 0 ", "mr mw me nr"),
            mapping("7f868c000000-7f868c001000 rw-p 00000000 00:00 0 ", "rd wr mr nr"),
            mapping("7f868c001000-7f868c801000 rw-p 00000000 00:00 0 ", "rd wr mr nr hg"),
            mapping("7f868c801000-7f868c900000 rw-p 00000000 00:00 0 ", "rd wr mr nr"),
            mapping("7f868c900000-7f8690000000 ---p 00000000 00:00 0 ", "mr mw me nr"),
            mapping("7f8690000000-7f8690100000 rw-p 00000000 00:00 0 ", "rd wr mr ac"),
            mapping("7f8690200000-7f8690300000 rw-p 00000000 08:01 7 /a b", "rd wr mr nr"),
            mapping("7f8690400000-7f8690500000 ---p 00000000 00:00 0 ", "mr nr"),
        ]
        .concat();
        let flagged = flagged(&parse_maps(&smaps), &mut None, || parse_smaps(&smaps));
        let expected = [
            (0x5c3_6b80_0000, 1 << 30),
            (0x7f86_8398_0000, 0x68_0000),
            (0x7f86_9040_0000, 1 << 20),
        ];
        assert_eq!(spans(&reserved(&flagged, &|_| true)), expected);
    }

    #[test]
    fn the_heap_may_be_in_pieces() {
        let maps = "5600000000-5600100000 rw-p 00000000 00:00 0    [heap]\n\
                    5600100000-5600500000 rw-p 00000000 00:00 0    [heap]\n\
                    7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n";
        assert_eq!(spans(&heap(maps)), [(0x56_0000_0000, 1 << 20), (0x56_0010_0000, 4 << 20)]);
        assert_eq!(spans(&heap("")), []);
    }

    #[test]
    fn stacks_and_heaps_are_told_from_mappings() {
        let maps = "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n\
                    7f0000200000-7f0000300000 r--p 00000000 08:01 7 /usr/lib/a b.so\n\
                    7f0000300000-7f0000301000 ---p 00000000 00:00 0 \n\
                    7f0000301000-7f0000b01000 rw-p 00000000 00:00 0 \n\
                    7f0000c00000-7f0000c01000 ---p 00000000 00:00 0 \n\
                    7f0000c01000-7f0001601000 rw-p 00000000 00:00 0 \n\
                    7f0003f00000-7f0004001000 rw-p 00000000 00:00 0 \n\
                    7f0004001000-7f0004021000 rw-p 00000000 00:00 0 \n\
                    7f0004021000-7f0008000000 ---p 00000000 00:00 0 \n\
                    7f0008000000-7f0008021000 rw-p 00000000 00:00 0 \n\
                    7f0008021000-7f0008c00000 rw-p 00000000 00:00 0 \n\
                    7f0008c00000-7f000c000000 ---p 00000000 00:00 0 \n\
                    7f000c000000-7f000c100000 rw-s 00000000 00:00 0 \n\
                    7ff000000000-7ff000021000 rw-p 00000000 00:00 0 [stack]\n";
        let expected =
            [(0x7f00_0000_0000, 2 << 20), (0x7f00_0140_1000, 2 << 20), (0x7f00_03f0_0000, 1 << 20)];
        assert_eq!(spans(&writable(&parse_maps(maps), &|_| true)), expected);
    }

    #[test]
    fn the_guard_of_a_stack_is_no_rest_of_a_heap() {
        let maps = "7f0001000000-7f000bfff000 rw-p 00000000 00:00 0 \n\
                    7f000bfff000-7f000c000000 ---p 00000000 00:00 0 \n\
                    7f000c000000-7f000c800000 rw-p 00000000 00:00 0 \n";
        let heads = parse_maps(maps);
        let block = (0x7f00_0100_0000, (176 << 20) - 4096);
        assert_eq!(spans(&writable(&heads, &|_| false)), [block]);
        let below = (0x7f00_0100_0000, 0x0700_0000);
        let all = spans(&writable(&heads, &|start| start == 0x7f00_0800_0000));
        assert_eq!(all, [below, (0x7f00_0c00_0000, 8 << 20)]);
    }

    #[test]
    fn what_lies_against_a_reservation_is_left() {
        let range = |start, length| Addresses { start, length };
        let left = |others: &[Addresses]| spans(&without(range(1000, 1000), others));
        assert_eq!(left(&[]), [(1000, 1000)]);
        assert_eq!(left(&[range(0, 1000), range(2000, 10)]), [(1000, 1000)]);
        assert_eq!(left(&[range(1000, 1000)]), []);
        assert_eq!(left(&[range(500, 600), range(1300, 100)]), [(1100, 200), (1400, 600)]);
        assert_eq!(left(&[range(1200, 5000)]), [(1000, 200)]);
    }

    #[test]
    fn what_is_known_is_not_asked_for_again() {
        let mapping = |start: usize, pages: usize, flag: &str| {
            let end = start + pages * 4096;
            format!("{start:x}-{end:x} rw-p 00000000 00:00 0\nVmFlags: rd wr {flag}\n")
        };
        let mut kept = None;
        let mut reads = 0;
        let mut look = |smaps: String| {
            let found = flagged(&parse_maps(&smaps), &mut kept, || {
                reads += 1;
                parse_smaps(&smaps)
            });
            (spans(&reserved(&found, &|_| true)), reads)
        };
        let [region, block, small] = [1usize << 32, 1 << 33, 1 << 34];
        let both = mapping(region, 1024, "nr") + &mapping(block, 1024, "ac");
        assert_eq!(look(both.clone()), (vec![(region, 4 << 20)], 1));
        assert_eq!(look(both.clone()), (vec![(region, 4 << 20)], 1));
        assert_eq!(look(both.clone() + &mapping(small, 8, "nr")), (vec![(region, 4 << 20)], 1));
        assert_eq!(look(mapping(block, 1024, "ac")), (vec![], 1));
        let longer = mapping(region, 2048, "nr") + &mapping(block, 1024, "ac");
        assert_eq!(look(longer), (vec![(region, 8 << 20)], 2));
    }
}
