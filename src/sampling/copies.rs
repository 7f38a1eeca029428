//! What lines make on the way to their results: their large blocks, at each line's own maximum.
//!
//! Only blocks of the heap of [`super::large::LARGE`] bytes or more, which are all recorded. A line is at its
//! maximum when one more block makes it hold more than ever; every block of it that is live then was
//! born by then and is freed later. So it is enough to number the births: a block that goes is one
//! of the maximum if it is not younger than that, and no snapshot is needed. It was a temporary
//! if the line freed it itself and all of it was in use; else it was a result, or too little is known
//! of it to call it anything else.

use super::large::LargeBlock;
use crate::profile::{Bytes, Copies, FileId, LineKey};
use std::collections::HashMap;

/// Of a block that is called a temporary, at least this share was in use.
const IN_USE: f64 = 0.9;

#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// Bytes of live blocks now, as asked for, and what of them is known to be in use.
    live: u64,
    touched: u64,
    /// The most of `live`, and the number of the birth that made it so.
    most: u64,
    most_at: u64,
    /// Bytes in smaller blocks at that moment.
    smaller: f64,
    /// Of the blocks that were live then, those that the line freed itself: how many, their bytes,
    /// the smallest and the largest.
    temporaries: u32,
    temporary: u64,
    sizes: (u64, u64),
}

/// See the module.
#[derive(Debug, Default)]
pub struct LineCopies {
    lines: Vec<Line>,
    /// By address: when the block was born, and on which line.
    born: HashMap<usize, (u64, u32)>,
    births: u64,
    /// The line that frees, while it does.
    pub freeing: Option<u32>,
}

impl LineCopies {
    /// A block was allocated by a line that holds so many bytes beside it.
    pub fn allocated(&mut self, address: usize, size: u64, line: u32, held: f64) {
        self.insert(address, LargeBlock { size, touched: 0, site: 0 }, line);
        let line = &mut self.lines[line as usize];
        if line.live > line.most {
            *line = Line {
                most: line.live,
                most_at: self.births,
                smaller: (held - line.touched as f64).max(0.0),
                live: line.live,
                touched: line.touched,
                ..Line::default()
            };
        }
    }

    fn insert(&mut self, address: usize, block: LargeBlock, line: u32) {
        self.births += 1;
        self.born.insert(address, (self.births, line));
        if self.lines.len() <= line as usize {
            self.lines.resize(line as usize + 1, Line::default());
        }
        let line = &mut self.lines[line as usize];
        line.live += block.size;
        line.touched += block.touched;
    }

    /// More of a line's blocks is in use than was known.
    pub fn grown(&mut self, line: u32, bytes: u64) {
        if let Some(line) = self.lines.get_mut(line as usize) {
            line.touched += bytes;
        }
    }

    /// A block went.
    pub fn freed(&mut self, address: usize, block: LargeBlock) {
        let Some((birth, number)) = self.born.remove(&address) else { return };
        let line = &mut self.lines[number as usize];
        line.live -= block.size;
        line.touched -= block.touched;
        let in_use = block.touched as f64 >= IN_USE * block.size as f64;
        if birth <= line.most_at && in_use && self.freeing == Some(number) {
            let (least, most) = line.sizes;
            let least = if line.temporaries == 0 { block.size } else { least.min(block.size) };
            line.sizes = (least, most.max(block.size));
            line.temporaries += 1;
            line.temporary += block.size;
        }
    }

    /// A block that was said to go is where it was: as if it had gone and another had come.
    pub fn stayed(&mut self, address: usize, block: LargeBlock, line: u32) {
        self.insert(address, block, line);
    }

    /// The lines that made temporaries; `lines` are the recorder's.
    pub fn finish(self, lines: &[(FileId, u32)]) -> Vec<Copies> {
        self.lines
            .into_iter()
            .zip(lines)
            .filter(|(line, _)| line.temporaries > 0)
            .map(|(line, &(file, number))| Copies {
                line: LineKey { file, line: number },
                temporaries: line.temporaries,
                temporary: Bytes(line.temporary),
                sizes: (Bytes(line.sizes.0), Bytes(line.sizes.1)),
                // The rest of the maximum: what others freed, and what stays.
                result: Bytes(line.most - line.temporary + line.smaller as u64),
            })
            .collect()
    }
}
