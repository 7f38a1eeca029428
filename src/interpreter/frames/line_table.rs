//! A code object's location table: which line an instruction belongs to.
//!
//! Format: CPython, `Objects/locations.md` (3.11 to 3.13), `InternalDocs/code_objects.md` (from
//! 3.14). An entry begins with a byte whose high bit is set: bits 3 to 6 are its kind, bits 0 to 2
//! the number of code units that it covers, less one. What follows, with the high bit clear, holds
//! the change of the line (in kinds 10 to 14) and columns, which we do not need.

use std::sync::Mutex;

const NO_LOCATION: u8 = 15;

/// A variable-length integer: six bits a byte, least significant first, bit 6 says "more".
fn varint(bytes: &[u8]) -> u32 {
    let mut value = 0u32;
    for (index, byte) in bytes.iter().enumerate().take(6) {
        value |= u32::from(byte & 0x3f) << (6 * index as u32).min(31);
        if byte & 0x40 == 0 {
            break;
        }
    }
    value
}

/// The same with its sign in the lowest bit.
fn signed_varint(bytes: &[u8]) -> i32 {
    let value = varint(bytes);
    let magnitude = (value >> 1) as i32;
    if value & 1 == 1 { -magnitude } else { magnitude }
}

/// An entry of a table: the line of the instructions up to this offset in bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    end: u32,
    /// 0: they have none.
    line: u32,
}

/// A line number; 0 for what cannot be one.
fn positive(line: i32) -> u32 {
    u32::try_from(line).unwrap_or(0)
}

/// The entries of a table in the order of their offsets.
fn entries(table: &[u8], first_line: i32) -> impl Iterator<Item = Entry> + '_ {
    let (mut line, mut end, mut rest) = (first_line, 0u32, table);
    std::iter::from_fn(move || {
        let [head, after @ ..] = rest else { return None };
        let kind = (head >> 3) & 15;
        line = line.wrapping_add(match kind {
            10..=12 => i32::from(kind) - 10,
            13 | 14 => signed_varint(after),
            _ => 0,
        });
        end += 2 * (u32::from(head & 7) + 1);
        let next = after.iter().position(|b| b & 0x80 != 0).unwrap_or(after.len());
        rest = &after[next..];
        Some(Entry { end, line: if kind == NO_LOCATION { 0 } else { positive(line) } })
    })
}

/// The line of the instruction at `offset` bytes: 0 when it has none, the function's first line when
/// the frame has not begun. Damaged tables give a wrong line, never a panic.
pub(super) fn line_at(table: &[u8], first_line: i32, offset: i32) -> u32 {
    let Ok(offset) = u32::try_from(offset) else { return positive(first_line) };
    if (LONG..=LONGEST).contains(&table.len())
        && let Ok(mut last) = LAST.try_lock()
    {
        let decoded = match &*last {
            Some(known) if known.first_line == first_line && *known.table == *table => known,
            _ => last.insert(Decoded::new(table, first_line)),
        };
        return decoded.line_at(offset);
    }
    let found = entries(table, first_line).find(|entry| offset < entry.end);
    found.map_or(positive(first_line), |entry| entry.line)
}

/// Bytes of a table that are worth decoding once for all: the code of a module allocates at hundreds of
/// places, and looking each of them up from the table's beginning took more time than the cell.
const LONG: usize = 512;
/// Bytes of a table that are not worth the memory.
const LONGEST: usize = 256 << 10;

/// A decoded table.
#[derive(Debug)]
struct Decoded {
    /// What it was decoded from: an address says nothing, since it may belong to another by now.
    table: Box<[u8]>,
    first_line: i32,
    entries: Vec<Entry>,
}

/// The last long table. It is only ever tried: somebody who finds it taken (by another thread, or for
/// ever after a fork) decodes for himself.
static LAST: Mutex<Option<Decoded>> = Mutex::new(None);

impl Decoded {
    fn new(table: &[u8], first_line: i32) -> Decoded {
        Decoded { table: table.into(), first_line, entries: entries(table, first_line).collect() }
    }

    fn line_at(&self, offset: u32) -> u32 {
        let at = self.entries.partition_point(|entry| entry.end <= offset);
        self.entries.get(at).map_or(positive(self.first_line), |entry| entry.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `def f():\n    x = 1\n    return x` as compiled by CPython 3.11: RESUME on line 1, then
    /// two instructions a line.
    const TABLE: [u8; 8] = [0x80, 0x00, 0xd8, 0x08, 0x09, 0x80, 0x41, 0xd8];

    #[test]
    fn short_and_one_line_entries_add_up() {
        // 0x80: kind 0, one unit, same line. 0xd8: kind 11 (line + 1), one unit.
        assert_eq!(line_at(&TABLE, 1, 0), 1);
        assert_eq!(line_at(&TABLE, 1, 2), 2);
        assert_eq!(line_at(&TABLE, 1, 4), 2);
    }

    #[test]
    fn long_and_missing_entries() {
        // Kind 14, two units, line change -3 (7 as signed varint), then three varints; kind 15.
        let table = [0xf1, 0x07, 0x00, 0x01, 0x01, 0xf8];
        assert_eq!(line_at(&table, 10, 0), 7);
        assert_eq!(line_at(&table, 10, 3), 7);
        assert_eq!(line_at(&table, 10, 4), 0);
        assert_eq!(line_at(&table, 10, -2), 10);
    }

    #[test]
    fn varints_of_several_bytes() {
        assert_eq!(varint(&[0x3f]), 63);
        assert_eq!(varint(&[0x40 | 1, 1]), 65);
        assert_eq!(signed_varint(&[0x03]), -1);
        assert_eq!(signed_varint(&[0x02]), 1);
    }

    proptest! {
        #[test]
        fn a_decoded_table_says_the_same(
            table in proptest::collection::vec(any::<u8>(), 0..2 * LONG), first: i32, offset in -9i32..5000
        ) {
            let plain = u32::try_from(offset).ok().and_then(|offset| {
                entries(&table, first).find(|entry| offset < entry.end).map(|entry| entry.line)
            });
            prop_assert_eq!(line_at(&table, first, offset), plain.unwrap_or(positive(first)));
        }

        #[test]
        fn no_table_panics(table: Vec<u8>, first: i32, offset: i32) {
            line_at(&table, first, offset);
        }
    }
}
