//! When the recorder looks at large blocks, on a history where each look has its price.

use crate::sampling::Line;
use memprofile::profile::Allocator;
use memprofile::sampling::{Block, Memory, Moved, Origin, Recorder, Settings};
use std::collections::HashMap;

const MIB: u64 = 1 << 20;

/// What of each block is resident, and a clock that every look sets forward.
#[derive(Default)]
struct Slow {
    resident: HashMap<usize, u64>,
    clock: u64,
    looks: usize,
}

impl Memory for Slow {
    fn watch(&mut self, _address: usize) {}
    fn unwatch(&mut self, _address: usize) {}
    fn clock(&mut self) -> u64 {
        self.clock
    }
    fn resident(&mut self, start: usize, _length: u64) -> u64 {
        self.looks += 1;
        self.clock += 5_000;
        self.resident.get(&start).copied().unwrap_or_default()
    }
}

#[derive(Default)]
struct Program {
    memory: Slow,
    now: u64,
}

impl Program {
    fn allocate(&mut self, recorder: &mut Recorder, address: usize, size: u64, line: u32) {
        self.now += 10_000;
        let block = Block {
            address,
            size,
            allocator: Allocator::Malloc,
            epoch: 0,
            moved: Moved::default(),
        };
        let origin = Origin { frames: Some(&Line(line)), recording_thread: true, library: None };
        recorder.allocated(block, size as i64, origin, self.now, &mut self.memory);
    }

    fn free(&mut self, recorder: &mut Recorder, address: usize, size: u64) {
        self.now += 10_000;
        recorder.freed(address, -(size as i64), self.now, &mut self.memory);
        self.memory.resident.remove(&address);
    }
}

/// A parser reserves 48 MiB, of which it fills little by little, and frees a small block at each row. Then
/// it makes a column of 20 MiB, frees 10 MiB of pieces, and does that once more.
#[test]
fn looks_are_kept_for_what_can_be_seen() {
    let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
    let mut program = Program::default();
    let [room, pieces, first, second, row] = [1, 2, 3, 4, 5].map(|block| block << 32);
    program.allocate(&mut recorder, room, 48 * MIB, 1);
    program.allocate(&mut recorder, pieces, 10 * MIB, 2);
    for rows in 0..5_000 {
        program.memory.resident.insert(room, rows * 200);
        program.memory.resident.insert(pieces, rows * 2_000);
        program.allocate(&mut recorder, row, 600, 3);
        program.free(&mut recorder, row, 600);
    }
    program.memory.resident.insert(pieces, 10 * MIB);
    program.allocate(&mut recorder, first, 20 * MIB, 4);
    program.memory.resident.insert(first, 20 * MIB);
    program.free(&mut recorder, pieces, 10 * MIB);
    program.allocate(&mut recorder, second, 20 * MIB, 5);
    program.memory.resident.insert(second, 20 * MIB);
    program.free(&mut recorder, first, 20 * MIB);

    let looks = program.memory.looks;
    let recorded = recorder.finish(program.now, 0, &mut program.memory);
    let room = 4_999 * 200;
    assert_eq!(recorded.peak.0.0, 40 * MIB + room);
    // And the curve never lacks what had been written to before the pieces went.
    let highest = recorded.timeline.points.iter().position(|p| p.footprint.0 as u64 > 30 * MIB);
    let later = &recorded.timeline.points[highest.expect("the pieces and the column show")..];
    assert!(later.iter().all(|p| p.footprint.0 as u64 >= 20 * MIB), "{later:?}");
    assert!(looks < 500, "{looks} looks");
}

/// The poll thread reads once more while the hooks come off, and only then the last look finds the peak.
#[test]
fn a_reading_that_came_late_is_no_fall() {
    let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
    let mut program = Program::default();
    program.allocate(&mut recorder, 1 << 32, 10 * MIB, 1);
    program.memory.resident.insert(1 << 32, 4 * MIB);
    recorder.measure(program.now, &mut program.memory);
    recorder.poll(0, program.now + 1_000);
    program.memory.resident.insert(1 << 32, 10 * MIB);
    let recorded = recorder.finish(program.now + 100, 0, &mut program.memory);
    assert_eq!(recorded.peak.0.0, 10 * MIB);
    let points = recorded.timeline.points;
    assert!(points.is_sorted_by_key(|point| (point.at.0, point.footprint.0)), "{points:?}");
}

/// A parser frees a large piece again and again beside twenty large blocks that are half in use: that is more than
/// looks may cost. What it makes of all is seen nevertheless, before the first part of what it was made of goes.
#[test]
fn a_large_result_is_seen_when_the_budget_is_spent() {
    let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
    let mut program = Program::default();
    let rooms: Vec<usize> = (1..=20).map(|block| block << 32).collect();
    let [piece, result] = [21, 22].map(|block| block << 32);
    for &room in &rooms {
        program.allocate(&mut recorder, room, 4 * MIB, 1);
        program.memory.resident.insert(room, 2 * MIB);
    }
    for _ in 0..60 {
        program.allocate(&mut recorder, piece, 8 * MIB, 2);
        program.memory.resident.insert(piece, 8 * MIB);
        program.free(&mut recorder, piece, 8 * MIB);
    }
    program.now += 11_000_000;
    program.allocate(&mut recorder, result, 40 * MIB, 3);
    program.memory.resident.insert(result, 40 * MIB);
    for &room in &rooms {
        program.free(&mut recorder, room, 4 * MIB);
    }

    let looks = program.memory.looks;
    let recorded = recorder.finish(program.now, 0, &mut program.memory);
    assert_eq!(recorded.peak.0.0, (20 * 2 + 40) * MIB);
    assert!(looks < 600, "{looks} looks");
}

/// A block that was just filled is part of the peak, whatever it is that goes next.
#[test]
fn there_is_a_look_before_anything_goes() {
    let goes: [fn(&mut Recorder, &mut Program); 3] = [
        |recorder, program| recorder.arena(9 << 32, -(1 << 20), program.now, &mut program.memory),
        |recorder, program| {
            recorder.freed_object(2 << 32, program.now, &mut program.memory);
        },
        |recorder, program| {
            recorder.going_back(1 << 32, 3 << 20, program.now, &mut program.memory);
            program.memory.resident.insert(1 << 32, 5 * MIB);
            recorder.gone_back(1 << 32, 3 << 20, 3 * MIB, program.now, &mut program.memory);
        },
    ];
    for (number, goes) in goes.into_iter().enumerate() {
        let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
        let mut program = Program::default();
        let origin = Origin { frames: Some(&Line(1)), recording_thread: true, library: None };
        let (size, allocator, moved) = (300_000, Allocator::Pymalloc, Moved::default());
        let object = Block { address: 2 << 32, size, allocator, epoch: 0, moved };
        recorder.allocated(object, 0, origin, 0, &mut program.memory);
        program.allocate(&mut recorder, 1 << 32, 8 * MIB, 1);
        program.memory.resident.insert(1 << 32, 8 * MIB);
        goes(&mut recorder, &mut program);
        let recorded = recorder.finish(program.now, 0, &mut program.memory);
        assert_eq!(recorded.peak.0.0, 8 * MIB + size, "{number}");
    }
}

impl Program {
    /// `realloc` moves a block with its contents: its pages, or a copy of them.
    fn grow(
        &mut self,
        recorder: &mut Recorder,
        [from, to]: [usize; 2],
        [old, new]: [u64; 2],
        copied: bool,
    ) {
        self.now += 10_000;
        let here = Some(&Line(1));
        let freed = recorder.moved_by(here, from, copied, self.now, &mut self.memory);
        let in_use = freed.and_then(|freed| freed.touched).expect("it is in the books");
        let moved = Moved { in_use, twice: if copied { in_use } else { 0 } };
        let block = Block { address: to, size: new, allocator: Allocator::Malloc, epoch: 0, moved };
        let origin = Origin { frames: Some(&Line(1)), recording_thread: true, library: None };
        let net = new as i64 - old as i64;
        recorder.allocated(block, net, origin, self.now, &mut self.memory);
    }
}

/// Where malloc cannot let a block grow it copies it, and for a moment both are there.
#[test]
fn a_block_that_is_copied_is_held_twice() {
    let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
    let mut program = Program::default();
    program.allocate(&mut recorder, 1 << 32, 8 * MIB, 1);
    program.memory.resident.insert(1 << 32, 6 * MIB);
    program.memory.resident.insert(2 << 32, 7 * MIB);
    program.grow(&mut recorder, [1 << 32, 2 << 32], [8 * MIB, 9 * MIB], true);
    assert_eq!(recorder.bytes() as u64, 6 * MIB);
    let recorded = recorder.finish(program.now, 0, &mut program.memory);
    assert_eq!((recorded.peak.0.0, recorded.footprint.0 as u64), (12 * MIB, 7 * MIB));
    let [peak, surviving, allocated, _] = recorded.sums.map(|sum| sum.value as u64);
    assert_eq!((peak, surviving, allocated), (12 * MIB, 7 * MIB, 17 * MIB));
}

/// A list grows by an eighth at a time: what of it is in use is known while it moves, without a look.
#[test]
fn a_block_that_moves_stays_in_use() {
    let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
    let mut program = Program::default();
    let mut size = 8 * MIB;
    program.allocate(&mut recorder, 1 << 32, size, 1);
    for place in 1..20 {
        let [from, to] = [place, place + 1].map(|place| place << 32);
        program.memory.resident.insert(from, size);
        recorder.measure(program.now, &mut program.memory);
        assert_eq!(recorder.bytes() as u64, size);
        let looks = program.memory.looks;
        program.grow(&mut recorder, [from, to], [size, size + size / 8], false);
        assert_eq!((recorder.bytes() as u64, program.memory.looks), (size, looks));
        size += size / 8;
    }
    // Where it shrinks, no more is in use than there is.
    program.grow(&mut recorder, [20 << 32, 1 << 32], [size, 4 * MIB], false);
    assert_eq!(recorder.bytes() as u64, 4 * MIB);
}

/// Whether the resident set proves that more is in use than is known.
#[test]
fn the_resident_set_says_when_the_footprint_lies_behind() {
    let mut recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
    let mut program = Program::default();
    const START: u64 = 1 << 30;
    recorder.regions_known(START);
    program.allocate(&mut recorder, 1 << 32, 100 * MIB, 1);
    assert!(!recorder.is_behind(START + MIB));
    assert!(recorder.is_behind(START + 3 * MIB));
    program.memory.resident.insert(1 << 32, 80 * MIB);
    recorder.measure(program.now, &mut program.memory);
    assert!(!recorder.is_behind(START + 84 * MIB), "less than a sixteenth cannot be seen");
    assert!(recorder.is_behind(START + 86 * MIB));
    // Nothing of what a look can find is missing: other memory has grown.
    program.memory.resident.insert(1 << 32, 100 * MIB);
    recorder.measure(program.now, &mut program.memory);
    assert!(!recorder.is_behind(START + 200 * MIB));
}
