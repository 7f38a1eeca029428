//! Copies: what a line makes on the way to its result.

use super::{Bytes, LineKey};
use serde::{Deserialize, Serialize};

/// What one line of the user's own held, at the moment when it held most in blocks of 1 MiB or more.
///
/// Such blocks are always recorded, so these figures are exact. A *temporary* is a block that was
/// live then, in use, and freed by the line itself, which means: while it was still, or again, the
/// line that ran. The *result* is what the line has made to keep: the most that it held from then on
/// when another line freed a block of it, or at the end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Copies {
    /// Which line.
    pub line: LineKey,
    /// How many temporaries were live at once.
    pub temporaries: u32,
    /// Their bytes.
    pub temporary: Bytes,
    /// The size of the smallest and of the largest of them.
    pub sizes: (Bytes, Bytes),
    /// Bytes of the result at most: large blocks as asked for, and all smaller ones that the line
    /// held at that moment.
    pub result: Bytes,
    /// All that the line held at that moment.
    pub most: Bytes,
}
