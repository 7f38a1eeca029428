//! What lines make on the way to their results: their large blocks, at each line's own maximum.
//!
//! Only blocks of the heap of [`super::large::LARGE`] bytes or more, which are all recorded. A line is at its
//! maximum when one more block makes it hold more than ever; every block of it that is live then was
//! born by then and is freed later. So it is enough to number the births: a block that goes is one
//! of the maximum if it is not younger than that, and no snapshot is needed. It was a temporary
//! if the line freed it itself and all of it was in use; else it was a result, or too little is known
//! of it to call it anything else.
//!
//! A result may also be born after the maximum, when the temporaries are gone already. What a line
//! holds after its maximum when somebody else frees a block of it, or at the end, it has made to keep: the
//! most of that is its result. A block that the line itself moves (`realloc`, as tables grow) is neither: it
//! goes on under another number.

use super::in_use::Looks;
use super::large::LargeBlock;
use super::recorder::{Freed, Memory, Recorder};
use super::stacks::Frames;
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
    /// Bytes of those that the line freed and that were not in use.
    idle: u64,
    /// The most that it held since then when another freed a block.
    result: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LineCopies {
    lines: Vec<Line>,
    /// By address: when the block was born, and on which line.
    born: HashMap<usize, (u64, u32)>,
    births: u64,
    /// The line that frees or moves a block, while it does.
    pub freeing: Option<u32>,
    /// Whether it moves it.
    pub moving: bool,
    /// For [`Recorder::look_at_a_copy`].
    pub(super) looks: Looks,
}

impl LineCopies {
    /// A block was allocated by a line that holds so many bytes beside it.
    pub fn allocated(&mut self, address: usize, size: u64, line: u32, held: f64) {
        self.insert(address, LargeBlock::new(size, 0, 0), line);
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

    /// More of a block is in use than was known.
    pub fn grown(&mut self, address: usize, bytes: u64) {
        if let Some((_, line)) = self.born.get(&address) {
            self.lines[*line as usize].touched += bytes;
        }
    }

    /// Whether the block is one of its line's maximum, and that line is the one that frees: then it
    /// matters how much of it is in use.
    pub fn asks_for(&self, address: usize) -> bool {
        self.born.get(&address).is_some_and(|&(birth, line)| {
            self.freeing == Some(line) && birth <= self.lines[line as usize].most_at
        })
    }

    /// A block went.
    pub fn freed(&mut self, address: usize, block: LargeBlock) {
        let Some((birth, number)) = self.born.remove(&address) else { return };
        let line = &mut self.lines[number as usize];
        let by_itself = self.freeing == Some(number);
        if !by_itself {
            line.result = line.result.max(line.live);
        } else if self.moving {
            // It is still there, and still the line's.
        } else if birth <= line.most_at && block.touched as f64 >= IN_USE * block.size as f64 {
            let (least, most) = line.sizes;
            let least = if line.temporaries == 0 { block.size } else { least.min(block.size) };
            line.sizes = (least, most.max(block.size));
            line.temporaries += 1;
            line.temporary += block.size;
        } else if birth <= line.most_at {
            line.idle += block.size;
        }
        line.live -= block.size;
        line.touched -= block.touched;
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
            .map(|(line, &(file, number))| {
                let smaller = line.smaller as u64;
                Copies {
                    line: LineKey { file, line: number },
                    temporaries: line.temporaries,
                    temporary: Bytes(line.temporary),
                    sizes: (Bytes(line.sizes.0), Bytes(line.sizes.1)),
                    result: Bytes(line.result.max(line.live) + smaller),
                    most: Bytes(line.most - line.idle + smaller),
                }
            })
            .collect()
    }
}

impl Recorder {
    /// Whether a large block is at an address: of these it is worth while to know who frees them.
    pub fn is_large(&self, address: usize) -> bool {
        self.large.get(address).is_some()
    }

    /// As [`Recorder::freed`], by a thread with this stack.
    pub fn freed_by(
        &mut self,
        frames: Option<&impl Frames>,
        address: usize,
        net: i64,
        now: u64,
        memory: &mut impl Memory,
    ) {
        self.copies.freeing = frames.and_then(|frames| self.names.line_of(frames));
        self.look_at_a_copy(address, now, memory);
        self.freed(address, net, now, memory);
        self.copies.freeing = None;
    }

    /// As [`Recorder::freed`], of a block that a thread with this stack moves by `realloc`. If it may be `copied`,
    /// what is in use of it now will be at two places.
    pub fn moved_by(
        &mut self,
        frames: Option<&impl Frames>,
        address: usize,
        copied: bool,
        now: u64,
        memory: &mut impl Memory,
    ) -> Option<Freed> {
        self.copies.freeing = frames.and_then(|frames| self.names.line_of(frames));
        self.copies.moving = true;
        if copied {
            self.look_at_one(address, now, memory);
        }
        let freed = self.freed(address, 0, now, memory);
        (self.copies.freeing, self.copies.moving) = (None, false);
        freed
    }

    /// Before a line frees what may have been a temporary: how much of it is in use?
    fn look_at_a_copy(&mut self, address: usize, now: u64, memory: &mut impl Memory) {
        if self.copies.asks_for(address) {
            self.look_at_one(address, now, memory);
        }
    }

    fn look_at_one(&mut self, address: usize, now: u64, memory: &mut impl Memory) {
        if let Some(partial) = self.large.partial_at(address)
            && self.copies.looks.took_less_than_half(now)
        {
            let found = self.copies.looks.look(vec![partial], memory);
            self.touched(&found, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [(FileId, u32); 2] = [(FileId(0), 1), (FileId(0), 2)];

    /// Blocks of some size, all in use, of line 0.
    #[derive(Default)]
    struct Cell(LineCopies);

    impl Cell {
        fn make(&mut self, address: usize, size: u64) {
            self.0.allocated(address, size, 0, 0.0);
        }

        fn free(&mut self, address: usize, size: u64, by: Option<u32>) {
            self.0.grown(address, size);
            self.0.freeing = by;
            self.0.freed(address, LargeBlock::new(size, size, 0));
            self.0.freeing = None;
        }

        fn end(self) -> Vec<Copies> {
            self.0.finish(&LINES)
        }
    }

    #[test]
    fn what_a_line_frees_itself_is_temporary() {
        let mut cell = Cell::default();
        (1..=4).for_each(|address| cell.make(address, 100));
        (1..=3).for_each(|address| cell.free(address, 100, Some(0)));
        let [copies] = cell.end()[..] else { panic!("there is one line") };
        assert_eq!((copies.temporaries, copies.temporary), (3, Bytes(300)));
        assert_eq!((copies.result, copies.most), (Bytes(100), Bytes(400)));
        assert_eq!(copies.sizes, (Bytes(100), Bytes(100)));
    }

    #[test]
    fn a_result_may_come_when_the_temporaries_are_gone() {
        let mut cell = Cell::default();
        cell.make(1, 100);
        cell.make(2, 100);
        cell.free(1, 100, Some(0));
        cell.make(3, 100);
        cell.free(2, 100, Some(0));
        let [copies] = cell.end()[..] else { panic!("there is one line") };
        assert_eq!((copies.temporaries, copies.result, copies.most), (2, Bytes(100), Bytes(200)));
    }

    #[test]
    fn what_another_line_frees_was_a_result() {
        for by in [Some(1), None] {
            let mut cell = Cell::default();
            cell.make(1, 100);
            cell.make(2, 100);
            cell.free(1, 100, by);
            cell.free(2, 100, by);
            assert!(cell.end().is_empty());
        }
    }

    /// A table that shrinks by `realloc` beside temporaries: what is live while it moves is no result.
    #[test]
    fn what_the_line_itself_moves_is_neither_freed_nor_a_result() {
        for (by, result) in [(Some(0), 90), (Some(1), 400)] {
            let mut cell = Cell::default();
            (1..=4).for_each(|address| cell.make(address, 100));
            cell.0.moving = true;
            cell.free(4, 100, by);
            cell.0.moving = false;
            cell.make(5, 90);
            (1..=3).for_each(|address| cell.free(address, 100, Some(0)));
            let [copies] = cell.end()[..] else { panic!("there is one line") };
            assert_eq!((copies.temporaries, copies.temporary), (3, Bytes(300)));
            assert_eq!((copies.result, copies.most), (Bytes(result), Bytes(400)));
        }
    }

    /// A function that is called again and again: its line holds one result at a time.
    #[test]
    fn results_of_many_calls_are_not_added_up() {
        let mut cell = Cell::default();
        for call in 0..10 {
            cell.make(10 * call + 1, 100);
            cell.make(10 * call + 2, 90);
            cell.free(10 * call + 2, 90, Some(0));
            cell.free(10 * call + 1, 100, Some(1));
        }
        let [copies] = cell.end()[..] else { panic!("there is one line") };
        assert_eq!((copies.temporaries, copies.temporary), (1, Bytes(90)));
        assert_eq!((copies.result, copies.most), (Bytes(100), Bytes(190)));
    }

    #[test]
    fn a_block_that_was_not_in_use_is_no_temporary() {
        let mut copies = LineCopies::default();
        copies.allocated(1, 100, 0, 0.0);
        copies.freeing = Some(0);
        copies.freed(1, LargeBlock::new(100, 0, 0));
        assert!(copies.finish(&LINES).is_empty());
    }
}
