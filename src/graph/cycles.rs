//! Objects that keep each other: the strongly connected components of what nobody refers to.
//!
//! Tarjan, "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1(2), 1972, without
//! its recursion.

use super::dominators::NONE;
use crate::profile::ObjectGraph;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};

/// Objects each of which keeps all the others, and others of the same types that do so, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knot {
    /// How many there are of the same types.
    pub alike: u64,
    /// Their objects and bytes, all together.
    pub objects: u64,
    /// See `objects`.
    pub bytes: u64,
    /// The bytes of what else among the rows they reach.
    pub hanging: u64,
    /// The shortest ring through the largest object of the largest of them, which is the first.
    pub ring: Vec<u32>,
}

/// What hangs on them is looked up for so many times the knots that are asked for.
const LOOKED_UP: usize = 20;

/// Knots of the same types, while they are found.
struct Alike {
    knot: Knot,
    largest: Vec<u32>,
    largest_bytes: u64,
    /// The objects of all of them.
    rows: Vec<u32>,
}

/// The knots among some rows, what is largest with all that hangs on it first, `most` at most; and how many
/// kinds of them there are.
pub fn knots(graph: &ObjectGraph, among: &[u32], most: usize) -> (Vec<Knot>, usize) {
    let mut alike: HashMap<Vec<u32>, Alike> = HashMap::new();
    each_component(graph, among, |component| {
        let only = component[0];
        if component.len() == 1 && !graph.of(only).contains(&only) {
            return;
        }
        let bytes = component.iter().map(|&row| graph.bytes[row as usize]).sum();
        let mut kinds: Vec<u32> = component.iter().map(|&row| graph.kind[row as usize]).collect();
        kinds.sort_unstable();
        let knot = Knot { alike: 0, objects: 0, bytes: 0, hanging: 0, ring: Vec::new() };
        let none = Alike { knot, largest: Vec::new(), largest_bytes: 0, rows: Vec::new() };
        let alike = alike.entry(kinds).or_insert(none);
        alike.knot.alike += 1;
        alike.knot.objects += component.len() as u64;
        alike.knot.bytes += bytes;
        alike.rows.extend_from_slice(component);
        if bytes > alike.largest_bytes || alike.largest.is_empty() {
            (alike.largest, alike.largest_bytes) = (component.to_vec(), bytes);
        }
    });
    let found = alike.len();
    let mut alike: Vec<Alike> = alike.into_values().collect();
    alike.sort_by_key(|alike| (Reverse(alike.knot.bytes), alike.rows.iter().min().copied()));
    alike.truncate(most.saturating_mul(LOOKED_UP));
    let mut inside = vec![false; graph.len()];
    among.iter().for_each(|&row| inside[row as usize] = true);
    for alike in &mut alike {
        alike.knot.hanging = hanging(graph, &alike.rows, &inside);
    }
    alike.sort_by_key(|alike| Reverse(alike.knot.bytes + alike.knot.hanging));
    alike.truncate(most);
    let complete = |alike: Alike| Knot { ring: ring(graph, &alike.largest), ..alike.knot };
    (alike.into_iter().map(complete).collect(), found)
}

/// Calls `note` with the rows of each component of some rows, every one once.
fn each_component(graph: &ObjectGraph, among: &[u32], mut note: impl FnMut(&[u32])) {
    // Numbers begin at 1 and are given in the order of finding; what is not among the rows, or belongs to
    // a component that was noted, counts as found last.
    let mut number = vec![NONE; graph.len()];
    among.iter().for_each(|&row| number[row as usize] = 0);
    let mut last = 0;
    let mut open: Vec<u32> = Vec::new();
    // A row, its next reference, and the least number that its way leads back to.
    let mut way: Vec<(u32, u32, u32)> = Vec::new();
    for &start in among {
        if number[start as usize] != 0 {
            continue;
        }
        last += 1;
        number[start as usize] = last;
        open.push(start);
        way.push((start, 0, last));
        while let Some((row, next, least)) = way.last_mut() {
            if let Some(&to) = graph.of(*row).get(*next as usize) {
                *next += 1;
                match number[to as usize] {
                    0 => {
                        last += 1;
                        number[to as usize] = last;
                        open.push(to);
                        way.push((to, 0, last));
                    }
                    found => *least = (*least).min(found),
                }
                continue;
            }
            let (row, least) = (*row, *least);
            way.pop();
            if let Some((_, _, above)) = way.last_mut() {
                *above = (*above).min(least);
            }
            if least == number[row as usize] {
                let begin = open.iter().rposition(|&other| other == row).unwrap_or(0);
                note(&open[begin..]);
                open.drain(begin..).for_each(|row| number[row as usize] = NONE);
            }
        }
    }
}

/// The shortest way from the largest row of a component back to it.
fn ring(graph: &ObjectGraph, component: &[u32]) -> Vec<u32> {
    let size = |row: u32| (graph.bytes[row as usize], Reverse(row));
    let Some(start) = component.iter().copied().max_by_key(|&row| size(row)) else {
        return Vec::new();
    };
    let mut from: HashMap<u32, u32> = component.iter().map(|&row| (row, NONE)).collect();
    let mut waiting = VecDeque::from([start]);
    while let Some(row) = waiting.pop_front() {
        for &to in graph.of(row) {
            if to == start {
                let mut way = vec![row];
                while way[way.len() - 1] != start {
                    way.push(from[&way[way.len() - 1]]);
                }
                way.reverse();
                return way;
            }
            if let Some(known) = from.get_mut(&to).filter(|known| **known == NONE) {
                *known = row;
                waiting.push_back(to);
            }
        }
    }
    vec![start]
}

/// The bytes of what some rows reach `inside` and is none of them.
fn hanging(graph: &ObjectGraph, rows: &[u32], inside: &[bool]) -> u64 {
    let mut seen: HashSet<u32> = rows.iter().copied().collect();
    let mut waiting = rows.to_vec();
    let mut bytes = 0;
    while let Some(row) = waiting.pop() {
        for &to in graph.of(row) {
            if inside[to as usize] && seen.insert(to) {
                bytes += graph.bytes[to as usize];
                waiting.push(to);
            }
        }
    }
    bytes
}
