//! How long dominators of a large graph take, and how much memory: `make bench` runs it.
//!
//! Prints two numbers: seconds, and the bytes of the graph with all that the answer took at its peak.

use memprofile::graph::Dominators;
use memprofile::hooks::own_bytes;
use memprofile::profile::{Kind, ObjectGraph, Role};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const OBJECTS: u32 = 10_000_000;

/// References like those of a heap: most objects are made by one that was made shortly before, every third
/// is shared with another, and now and then one refers to what was made long ago.
fn heap() -> ObjectGraph {
    let mut state = 1_u64;
    // xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
    let mut draw = move |below: u32| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) * u64::from(below)) >> 32) as u32
    };
    let mut edges: Vec<(u32, u32)> = Vec::with_capacity(OBJECTS as usize * 27 / 20);
    for to in 1..OBJECTS {
        edges.push((to - 1 - draw(to.min(100)), to));
        if to % 20 < 7 {
            let near = draw(10) > 0;
            let from = if near { to.saturating_sub(draw(1000)) } else { draw(OBJECTS) };
            edges.push((from, to));
        }
    }
    let mut starts = vec![0_u32; OBJECTS as usize + 1];
    edges.iter().for_each(|&(from, _)| starts[from as usize + 1] += 1);
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut referents = vec![0; edges.len()];
    for (from, to) in edges {
        referents[next[from as usize] as usize] = to;
        next[from as usize] += 1;
    }
    let rows = OBJECTS as usize;
    ObjectGraph {
        kinds: vec![Kind { name: "object".into(), role: Role::Data }],
        kind: vec![0; rows],
        bytes: vec![64; rows],
        held: vec![false; rows],
        starts,
        referents,
    }
}

fn main() {
    let graph = heap();
    let (done, peak) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                peak.fetch_max(own_bytes(), Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let start = Instant::now();
        let tree = Dominators::of(graph.len(), 0, |row| graph.of(row));
        let kept = tree.retained(|row| graph.bytes[row as usize]);
        let took = start.elapsed();
        done.store(true, Relaxed);
        assert_eq!(kept[0], 64 * u64::from(OBJECTS), "the root keeps all");
        println!("{} {}", took.as_secs_f64(), peak.load(Relaxed));
    });
}
