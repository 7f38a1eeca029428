//! A code object's location table: which line an instruction belongs to.
//!
//! Format: CPython, `Objects/locations.md` (3.11 to 3.13), `InternalDocs/code_objects.md` (from
//! 3.14). An entry begins with a byte whose high bit is set: bits 3 to 6 are its kind, bits 0 to 2
//! the number of code units that it covers, less one. What follows, with the high bit clear, holds
//! the change of the line (in kinds 10 to 14) and columns, which we do not need.

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

/// The line of the instruction at `offset` bytes: 0 when it has none, the function's first line when
/// the frame has not begun. Damaged tables give a wrong line, never a panic.
pub(super) fn line_at(table: &[u8], first_line: i32, offset: i32) -> u32 {
    let positive = |line: i32| u32::try_from(line).unwrap_or(0);
    let Ok(offset) = usize::try_from(offset) else { return positive(first_line) };
    let mut line = first_line;
    let mut start = 0usize;
    let mut rest = table;
    while let [head, after @ ..] = rest {
        let kind = (head >> 3) & 15;
        line = line.wrapping_add(match kind {
            10..=12 => i32::from(kind) - 10,
            13 | 14 => signed_varint(after),
            _ => 0,
        });
        let end = start + 2 * (usize::from(head & 7) + 1);
        if offset < end {
            return if kind == NO_LOCATION { 0 } else { positive(line) };
        }
        start = end;
        let next = after.iter().position(|b| b & 0x80 != 0).unwrap_or(after.len());
        rest = &after[next..];
    }
    positive(first_line)
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
        fn no_table_panics(table: Vec<u8>, first: i32, offset: i32) {
            line_at(&table, first, offset);
        }
    }
}
