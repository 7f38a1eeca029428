//! The shortest ways from what is held to an object.

use super::dominators::NONE;
use crate::profile::ObjectGraph;
use std::collections::VecDeque;

/// A way from a root to an object, both included.
pub type Path = Vec<u32>;

/// The shortest way to the object `to` through each of its referrers, shortest first, `most` of them at most.
/// `roots` in the order of preference where lengths are equal; no way goes through the object itself.
pub fn paths(graph: &ObjectGraph, roots: &[u32], to: u32, most: usize) -> Vec<Path> {
    let mut from = vec![NONE; graph.len()];
    let mut waiting = VecDeque::new();
    for &root in roots {
        if root != to && from[root as usize] == NONE {
            from[root as usize] = root;
            waiting.push_back(root);
        }
    }
    let mut found = Vec::new();
    while let Some(row) = waiting.pop_front() {
        let referents = graph.of(row);
        if referents.contains(&to) {
            found.push(way_to(row, &from, to));
            if found.len() == most {
                break;
            }
        }
        for &next in referents {
            if from[next as usize] == NONE && next != to {
                from[next as usize] = row;
                waiting.push_back(next);
            }
        }
    }
    found
}

fn way_to(referrer: u32, from: &[u32], to: u32) -> Path {
    let mut way = vec![to, referrer];
    let mut row = referrer;
    while from[row as usize] != row {
        row = from[row as usize];
        way.push(row);
    }
    way.reverse();
    way
}
