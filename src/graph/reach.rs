//! What an object reaches, and what of it only the object keeps.

use crate::profile::{ObjectGraph, Role};
use std::ops::Range;

/// Which rows have been seen in this round; a new round costs nothing.
#[derive(Debug)]
pub struct Marks {
    seen: Vec<u32>,
    round: u32,
    stack: Vec<u32>,
}

impl Marks {
    /// Room for a graph.
    pub fn new(graph: &ObjectGraph) -> Marks {
        Marks { seen: vec![0; graph.len()], round: 0, stack: Vec::new() }
    }

    /// Whether the row was reached in the last round.
    pub fn has(&self, row: u32) -> bool {
        self.seen[row as usize] == self.round
    }

    fn begin(&mut self) {
        self.round += 1;
        self.stack.clear();
    }

    /// Whether the row is new in this round; from now on it is not.
    fn mark(&mut self, row: u32) -> bool {
        std::mem::replace(&mut self.seen[row as usize], self.round) != self.round
    }

    fn push(&mut self, row: u32) {
        if self.mark(row) {
            self.stack.push(row);
        }
    }
}

/// Calls `note` with every object that a row reaches, itself first: its deep size is their sum. What the
/// program consists of (types, modules, functions) ends the way, except where it starts.
pub fn deep(graph: &ObjectGraph, from: u32, marks: &mut Marks, mut note: impl FnMut(u32)) {
    marks.begin();
    marks.push(from);
    while let Some(row) = marks.stack.pop() {
        note(row);
        for &to in graph.of(row) {
            if graph.role(to) != Role::Program || (graph.role(row) == Role::Name) {
                marks.push(to);
            }
        }
    }
}

/// Calls `note` with every object that would go if the row went, itself first: its retained size is
/// their sum. The graph must hold all that the row reaches; what is `held` stays, with all it reaches.
///
/// That is how CPython's collector tells garbage (`deduce_unreachable`, gcmodule.c), for one object.
pub fn retained(graph: &ObjectGraph, of: u32, marks: &mut Marks, mut note: impl FnMut(u32)) {
    marks.begin();
    // The object itself goes, whoever refers to it.
    marks.mark(of);
    note(of);
    unheld(graph, marks, note);
}

/// The same in a graph that holds more than what the row reaches, of which other rows may be garbage already.
pub fn retained_of_many(graph: &ObjectGraph, of: u32, mut note: impl FnMut(u32)) {
    let (mut reached, mut kept) = (Marks::new(graph), Marks::new(graph));
    reached.begin();
    reached.push(of);
    while let Some(row) = reached.stack.pop() {
        graph.of(row).iter().for_each(|&to| reached.push(to));
    }
    retained(graph, of, &mut kept, |row| {
        if reached.has(row) {
            note(row);
        }
    });
}

/// Calls `note` with every object that nothing held reaches: cycles that nobody has, and what hangs on them.
pub fn garbage(graph: &ObjectGraph, note: impl FnMut(u32)) {
    let mut marks = Marks::new(graph);
    marks.begin();
    unheld(graph, &mut marks, note);
}

/// Calls `note` with every row that is neither marked already nor reached from what is held.
fn unheld(graph: &ObjectGraph, marks: &mut Marks, note: impl FnMut(u32)) {
    let rows = 0..graph.len() as u32;
    rows.clone().filter(|&row| graph.held[row as usize]).for_each(|row| marks.push(row));
    while let Some(row) = marks.stack.pop() {
        graph.of(row).iter().for_each(|&to| marks.push(to));
    }
    rows.filter(|&row| !marks.has(row)).for_each(note);
}

/// The bytes that each of some groups of names keeps and no group before it: what no other than the names of
/// the graph holds, and the group reaches. Together that is what would go if they all went.
pub fn kept_in_turn(graph: &ObjectGraph, groups: &[Range<u32>]) -> Vec<u64> {
    let mut marks = Marks::new(graph);
    marks.begin();
    let rows = 0..graph.len() as u32;
    rows.filter(|&row| graph.held[row as usize] && graph.role(row) != Role::Name)
        .for_each(|row| marks.push(row));
    let mut spread = |from: Range<u32>| {
        from.for_each(|name| marks.push(name));
        let mut bytes = 0;
        while let Some(row) = marks.stack.pop() {
            bytes += graph.bytes[row as usize];
            graph.of(row).iter().for_each(|&to| marks.push(to));
        }
        bytes
    };
    spread(0..0);
    groups.iter().cloned().map(spread).collect()
}

/// An object with all of its size that no part before it has, and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The object.
    pub row: u32,
    /// Its deep size, less what an earlier part has.
    pub bytes: u64,
    /// How many objects that is.
    pub count: u64,
    /// What it refers to, to the depth that was asked for, in the order of its references.
    pub parts: Vec<Part>,
}

/// The deep size of an object, by its parts down to `levels`, no further away than `limit` references.
/// What several parts reach belongs to the first, so that parts add up to the whole. What an object refers to
/// only `through` which it has its parts, as a dict of attributes, is no level.
pub fn parts(
    graph: &ObjectGraph,
    of: u32,
    levels: u32,
    limit: Option<u32>,
    through: &mut dyn FnMut(u32, u32) -> bool,
) -> Part {
    let mut marks = Marks::new(graph);
    marks.begin();
    marks.mark(of);
    part(graph, of, levels, limit.unwrap_or(u32::MAX), &mut marks, through)
}

fn part(
    graph: &ObjectGraph,
    row: u32,
    levels: u32,
    limit: u32,
    marks: &mut Marks,
    through: &mut dyn FnMut(u32, u32) -> bool,
) -> Part {
    let mut whole = Part { row, bytes: graph.bytes[row as usize], count: 1, parts: Vec::new() };
    if limit == 0 {
        return whole;
    }
    if levels == 0 {
        let mut level = vec![row];
        for _ in 0..limit {
            let mut next = Vec::new();
            for &row in level.iter().flat_map(|&row| graph.of(row)) {
                if marks.mark(row) {
                    whole.bytes += graph.bytes[row as usize];
                    whole.count += 1;
                    next.push(row);
                }
            }
            level = next;
            if level.is_empty() {
                break;
            }
        }
        return whole;
    }
    for &to in graph.of(row) {
        if marks.mark(to) {
            let below = if through(row, to) { levels } else { levels - 1 };
            let inner = part(graph, to, below, limit - 1, marks, through);
            whole.bytes += inner.bytes;
            whole.count += inner.count;
            whole.parts.push(inner);
        }
    }
    whole
}
