//! What each of some names reaches, keeps alone and shares.

use super::dominators::Dominators;
use super::reach::{Marks, deep};
use crate::profile::ObjectGraph;

/// A name's figures, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// The objects that it refers to.
    pub shallow: u64,
    /// All that it reaches.
    pub deep: u64,
    /// What would go if the name went.
    pub retained: u64,
    /// Other names that reach a part of it, and how much of it, the largest part first.
    pub with: Vec<(u32, u64)>,
}

/// The figures of the first `count` rows of a graph, which are names. What is `held` by something else
/// is nobody's alone; a part that more than two names reach counts for each with the first.
pub fn shares(graph: &ObjectGraph, count: usize) -> Vec<Share> {
    let root = graph.len() as u32;
    let held: Vec<u32> = (0..root).filter(|&row| graph.held[row as usize]).collect();
    let tree = Dominators::of(graph.len() + 1, root, |row| {
        if row == root { held.as_slice() } else { graph.of(row) }
    });
    let kept = tree.retained(|row| graph.bytes.get(row as usize).copied().unwrap_or(0));
    let mut marks = Marks::new(graph);
    let mut first = vec![u32::MAX; graph.len()];
    let mut found = vec![Share::default(); count];
    let mut shared = std::collections::HashMap::<(u32, u32), u64>::new();
    for name in 0..count as u32 {
        let mut all = 0;
        deep(graph, name, &mut marks, |row| {
            let bytes = graph.bytes[row as usize];
            all += bytes;
            match first[row as usize] {
                u32::MAX => first[row as usize] = name,
                other if bytes > 0 => *shared.entry((other, name)).or_default() += bytes,
                _ => {}
            }
        });
        let share = &mut found[name as usize];
        share.deep = all;
        share.retained = kept[name as usize];
        let mut own: Vec<u32> = graph.of(name).to_vec();
        own.sort_unstable();
        own.dedup();
        share.shallow = own.iter().map(|&row| graph.bytes[row as usize]).sum();
    }
    for ((one, other), bytes) in shared {
        found[one as usize].with.push((other, bytes));
        found[other as usize].with.push((one, bytes));
    }
    for share in &mut found {
        share.with.sort_unstable_by_key(|&(name, bytes)| (std::cmp::Reverse(bytes), name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::kept_in_turn;
    use crate::profile::{Kind, Role};

    /// Names 0 to 2, of which 2 keeps nothing; objects of 1, 10, 100 and 1000 bytes, the last one held.
    #[test]
    fn each_name_has_what_it_reaches_and_keeps() {
        let kind = |role| Kind { name: String::new(), role };
        let graph = ObjectGraph {
            kinds: vec![kind(Role::Name), kind(Role::Data)],
            kind: vec![0, 0, 0, 1, 1, 1, 1],
            bytes: vec![0, 0, 0, 1, 10, 100, 1000],
            held: vec![true, true, false, false, false, false, true],
            starts: vec![0, 2, 4, 5, 6, 6, 6, 6],
            referents: vec![3, 4, 4, 6, 3, 5],
        };
        let found = shares(&graph, 3);
        let figures: Vec<_> = found.iter().map(|s| (s.shallow, s.deep, s.retained)).collect();
        assert_eq!(figures, [(11, 111, 101), (1010, 1010, 0), (1, 101, 0)]);
        assert_eq!(found[0].with, [(2, 101), (1, 10)]);
        assert_eq!(found[1].with, [(0, 10)]);
        // Name 2 adds nothing to the others; before them it has its way to the 1 and the 100.
        assert_eq!(kept_in_turn(&graph, &[0..2, 2..3]), [111, 0]);
        assert_eq!(kept_in_turn(&graph, &[2..3, 0..1, 1..2]), [101, 10, 0]);
    }
}
