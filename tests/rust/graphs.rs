//! Dominators, retained sizes and paths, held against what is true by definition on random graphs.

use memprofile::graph::{Dominators, Marks, NONE, deep, knots, paths, retained, retained_of_many};
use memprofile::profile::{Kind, ObjectGraph, Role};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn graph(rows: usize, edges: &[(usize, usize)], held: &[usize]) -> ObjectGraph {
    let mut out: Vec<Vec<u32>> = vec![Vec::new(); rows];
    for &(from, to) in edges {
        out[from % rows].push((to % rows) as u32);
    }
    let mut graph = ObjectGraph {
        kinds: vec![Kind { name: "x".into(), role: Role::Data }],
        kind: vec![0; rows],
        bytes: (0..rows as u64).map(|row| 1 << (row % 40)).collect(),
        held: (0..rows).map(|row| held.iter().any(|h| h % rows == row)).collect(),
        starts: vec![0],
        referents: Vec::new(),
    };
    for targets in out {
        graph.referents.extend(targets);
        graph.starts.push(graph.referents.len() as u32);
    }
    graph
}

/// What is reached from `from` when `without` is not there.
fn reached(graph: &ObjectGraph, from: &[u32], without: Option<u32>) -> BTreeSet<u32> {
    let mut seen: BTreeSet<u32> =
        from.iter().copied().filter(|&row| Some(row) != without).collect();
    let mut waiting: Vec<u32> = seen.iter().copied().collect();
    while let Some(row) = waiting.pop() {
        for &to in graph.of(row) {
            if Some(to) != without && seen.insert(to) {
                waiting.push(to);
            }
        }
    }
    seen
}

fn any_graph() -> impl Strategy<Value = ObjectGraph> {
    let edges = prop::collection::vec((0..40_usize, 0..40_usize), 0..120);
    let held = prop::collection::vec(0..40_usize, 0..4);
    (1..40_usize, edges, held).prop_map(|(rows, edges, held)| graph(rows, &edges, &held))
}

proptest! {
    #[test]
    fn a_dominator_is_on_every_way(graph in any_graph()) {
        let found = Dominators::of(graph.len(), 0, |row| graph.of(row));
        let immediate = found.immediate();
        let all = reached(&graph, &[0], None);
        let sums = found.retained(|row| graph.bytes[row as usize]);
        for row in 0..graph.len() as u32 {
            let mut above = immediate[row as usize];
            if !all.contains(&row) {
                prop_assert_eq!(above, NONE);
                continue;
            }
            let mut said = BTreeSet::from([row]);
            if above != row {
                said.insert(above);
            }
            while above != immediate[above as usize] {
                above = immediate[above as usize];
                said.insert(above);
            }
            let lost = |without: u32| {
                let left = reached(&graph, &[0], Some(without));
                all.iter().copied().filter(|r| !left.contains(r)).collect::<BTreeSet<u32>>()
            };
            let truth: BTreeSet<u32> =
                all.iter().copied().filter(|&other| lost(other).contains(&row)).collect();
            prop_assert_eq!(&said, &truth, "dominators of {}", row);
            let freed: u64 = lost(row).iter().map(|&r| graph.bytes[r as usize]).sum();
            prop_assert_eq!(sums[row as usize], freed, "retained by {}", row);
        }
    }

    #[test]
    fn what_goes_with_an_object_is_what_nothing_else_reaches(graph in any_graph()) {
        // A gathered graph holds what the object reaches, and nothing else.
        let whole = reached(&graph, &[0], None);
        let held: Vec<u32> = whole.iter().copied().filter(|&r| graph.held[r as usize]).collect();
        let left = reached(&graph, &held, Some(0));
        let mut marks = Marks::new(&graph);
        let mut went = BTreeSet::new();
        retained(&graph, 0, &mut marks, |row| { went.insert(row); });
        let outside: BTreeSet<u32> =
            (0..graph.len() as u32).filter(|r| !whole.contains(r)).collect();
        if outside.iter().all(|&r| !graph.held[r as usize]) {
            let truth: BTreeSet<u32> = whole.difference(&left).copied().collect();
            prop_assert_eq!(went.difference(&outside).copied().collect::<BTreeSet<_>>(), truth.clone());
            let mut of_many = BTreeSet::new();
            retained_of_many(&graph, 0, |row| { of_many.insert(row); });
            prop_assert_eq!(of_many, truth);
        }
    }

    #[test]
    fn a_deep_size_counts_each_object_once(graph in any_graph()) {
        let mut marks = Marks::new(&graph);
        for from in 0..graph.len() as u32 {
            let mut seen = Vec::new();
            deep(&graph, from, &mut marks, |row| seen.push(row));
            let truth = reached(&graph, &[from], None);
            prop_assert_eq!(seen.len(), truth.len());
            prop_assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), truth);
        }
    }

    #[test]
    fn a_knot_is_what_keeps_each_other(graph in any_graph(), some in prop::collection::vec(any::<bool>(), 40)) {
        // All rows that some other of the same knot reaches and is reached by, by definition.
        let among: Vec<u32> = (0..graph.len() as u32).filter(|&row| some[row as usize]).collect();
        let within = |from: u32| {
            let mut seen = BTreeSet::new();
            let mut waiting = vec![from];
            while let Some(row) = waiting.pop() {
                for &to in graph.of(row) {
                    if some[to as usize] && seen.insert(to) {
                        waiting.push(to);
                    }
                }
            }
            seen
        };
        let reach: Vec<BTreeSet<u32>> = (0..graph.len() as u32).map(within).collect();
        let mut truth = BTreeSet::new();
        for &row in among.iter().filter(|&&row| reach[row as usize].contains(&row)) {
            let knot: Vec<u32> = among
                .iter()
                .copied()
                .filter(|&other| {
                    reach[row as usize].contains(&other) && reach[other as usize].contains(&row)
                })
                .collect();
            truth.insert(knot);
        }
        let (found, kinds) = knots(&graph, &among, 100);
        // All rows are of one type, so knots of as many objects are alike.
        let sizes: BTreeSet<usize> = truth.iter().map(Vec::len).collect();
        prop_assert_eq!((found.len(), kinds), (sizes.len(), sizes.len()));
        prop_assert_eq!(found.iter().map(|k| k.alike).sum::<u64>(), truth.len() as u64);
        let bytes = |rows: &[u32]| rows.iter().map(|&r| graph.bytes[r as usize]).sum::<u64>();
        prop_assert_eq!(
            found.iter().map(|k| k.bytes).sum::<u64>(),
            truth.iter().map(|knot| bytes(knot)).sum::<u64>()
        );
        for knot in &found {
            let of = truth.iter().find(|of| of.contains(&knot.ring[0])).unwrap();
            prop_assert!(of.iter().all(|&r| graph.bytes[r as usize] <= graph.bytes[knot.ring[0] as usize]));
            let next = knot.ring.iter().cycle().skip(1);
            for (&row, &next) in knot.ring.iter().zip(next) {
                prop_assert!(of.contains(&row) && graph.of(row).contains(&next));
            }
            // None is shorter: by levels from the first back to it.
            let (mut level, mut length) = (BTreeSet::from([knot.ring[0]]), 0);
            loop {
                level = level.iter().flat_map(|&r| graph.of(r)).copied().filter(|r| of.contains(r)).collect();
                length += 1;
                if level.contains(&knot.ring[0]) {
                    break;
                }
            }
            prop_assert_eq!(knot.ring.len(), length);
        }
    }

    #[test]
    fn the_first_path_is_a_shortest_one(graph in any_graph(), to in 0..40_u32) {
        let to = to % graph.len() as u32;
        let found = paths(&graph, &[0], to, 3);
        // By levels: how far `to` is.
        let (mut level, mut seen, mut distance) = (vec![0_u32], BTreeSet::from([0]), None);
        for steps in 0..graph.len() {
            if to != 0 && level.iter().any(|&row| graph.of(row).contains(&to)) {
                distance = Some(steps + 2);
                break;
            }
            level = level
                .iter()
                .flat_map(|&row| graph.of(row).iter().copied())
                .filter(|&row| row != to && seen.insert(row))
                .collect();
        }
        prop_assert_eq!(found.first().map(Vec::len), distance);
        for way in &found {
            prop_assert_eq!((way[0], way[way.len() - 1]), (0, to));
            prop_assert!(way.windows(2).all(|pair| graph.of(pair[0]).contains(&pair[1])));
        }
    }
}

#[test]
fn a_chain_of_a_million_needs_no_stack() {
    let rows = 1_000_000;
    let chain = ObjectGraph {
        kinds: vec![Kind { name: "x".into(), role: Role::Data }],
        kind: vec![0; rows],
        bytes: vec![1; rows],
        held: vec![false; rows],
        starts: (0..=rows as u32).map(|row| row.min(rows as u32 - 1)).collect(),
        referents: (1..rows as u32).collect(),
    };
    let found = Dominators::of(rows, 0, |row| chain.of(row));
    assert_eq!(found.retained(|_| 1)[0], rows as u64);
    assert_eq!(found.immediate()[rows - 1], rows as u32 - 2);
}
