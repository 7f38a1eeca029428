//! Immediate dominators by the semi-NCA algorithm.
//!
//! `a` dominates `b` when every way from the root to `b` goes through `a`: then `b` goes when `a` goes.
//! Georgiadis, Tarjan, Werneck, "Finding dominators in practice", JGAA 10(1), 2006, section 2.3.
//! It works on numbers in preorder of a depth-first search, in arrays of 32-bit numbers: some 45 bytes an
//! object and 4 a reference.

/// No row.
pub const NONE: u32 = u32::MAX;

/// The dominator tree below a root.
#[derive(Debug)]
pub struct Dominators {
    /// The immediate dominator of each row; the root's is itself, [`NONE`] where the root does not reach.
    pub immediate: Vec<u32>,
    /// The rows that are reached, the root first, each after its dominator.
    pub order: Vec<u32>,
}

impl Dominators {
    /// Of a graph with `rows` rows, where `referents(row)` are those that a row refers to.
    pub fn of<'a>(rows: usize, root: u32, referents: impl Fn(u32) -> &'a [u32]) -> Dominators {
        let search = Search::depth_first(rows, root, &referents);
        let (starts, sources) = search.referrers(&referents);
        let Search { number, order, mut parent } = search;
        drop(number);
        let count = order.len();
        let mut immediate = parent.clone();
        let mut semi: Vec<u32> = (0..count as u32).collect();
        let mut label: Vec<u32> = (0..count as u32).collect();
        let mut way = Vec::new();
        for at in (1..count).rev() {
            // Numbers above `at` are linked into the forest; its links are compressed in `parent`.
            let mut least = immediate[at];
            for &source in &sources[starts[at] as usize..starts[at + 1] as usize] {
                let best = lowest(source, at as u32 + 1, &mut parent, &mut label, &semi, &mut way);
                least = least.min(semi[best as usize]);
            }
            semi[at] = least;
        }
        drop((parent, label, sources, starts));
        for at in 1..count {
            let mut above = immediate[at];
            while above > semi[at] {
                above = immediate[above as usize];
            }
            immediate[at] = above;
        }
        let mut by_row = vec![NONE; rows];
        for (at, &row) in order.iter().enumerate() {
            by_row[row as usize] = order[immediate[at] as usize];
        }
        Dominators { immediate: by_row, order }
    }

    /// The sum of `sizes` over what each row dominates, itself included: its retained size.
    pub fn retained(&self, sizes: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut sums = vec![0; self.immediate.len()];
        for &row in self.order.iter().rev() {
            sums[row as usize] += sizes(row);
            let above = self.immediate[row as usize];
            if above != row {
                sums[above as usize] += sums[row as usize];
            }
        }
        sums
    }
}

/// The vertex with the least semidominator on the linked way above `vertex`, which is shortened.
fn lowest(
    vertex: u32,
    linked: u32,
    parent: &mut [u32],
    label: &mut [u32],
    semi: &[u32],
    way: &mut Vec<u32>,
) -> u32 {
    let mut at = vertex;
    if at < linked {
        return at;
    }
    way.clear();
    while parent[at as usize] >= linked {
        way.push(at);
        at = parent[at as usize];
    }
    let (above, mut best) = (parent[at as usize], label[at as usize]);
    while let Some(below) = way.pop() {
        parent[below as usize] = above;
        let own = label[below as usize];
        if semi[best as usize] < semi[own as usize] {
            label[below as usize] = best;
        } else {
            best = own;
        }
    }
    label[vertex as usize]
}

/// A depth-first search: numbers in preorder and back, and each number's parent's number.
struct Search {
    number: Vec<u32>,
    order: Vec<u32>,
    parent: Vec<u32>,
}

impl Search {
    fn depth_first<'a>(rows: usize, root: u32, referents: &impl Fn(u32) -> &'a [u32]) -> Search {
        let mut search = Search { number: vec![NONE; rows], order: Vec::new(), parent: Vec::new() };
        search.reach(root, 0);
        // A vertex's number and how many of its referents have been looked at.
        let mut stack = vec![(0_u32, 0_u32)];
        while let Some((number, next)) = stack.last_mut() {
            let (above, row) = (*number, search.order[*number as usize]);
            let targets = &referents(row)[*next as usize..];
            let new = targets.iter().position(|&to| search.number[to as usize] == NONE);
            match new {
                Some(offset) => {
                    *next += offset as u32 + 1;
                    let below = search.reach(targets[offset], above);
                    stack.push((below, 0));
                }
                None => {
                    stack.pop();
                }
            }
        }
        search
    }

    fn reach(&mut self, row: u32, parent: u32) -> u32 {
        let number = self.order.len() as u32;
        self.number[row as usize] = number;
        self.order.push(row);
        self.parent.push(parent);
        number
    }

    /// The referrers of each number, as numbers, in compressed rows.
    fn referrers<'a>(&self, referents: &impl Fn(u32) -> &'a [u32]) -> (Vec<u64>, Vec<u32>) {
        let mut starts = vec![0_u64; self.order.len() + 1];
        for &row in &self.order {
            for &to in referents(row) {
                starts[self.number[to as usize] as usize + 1] += 1;
            }
        }
        for at in 0..self.order.len() {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut sources = vec![0; starts[self.order.len()] as usize];
        for (number, &row) in self.order.iter().enumerate() {
            for &to in referents(row) {
                let at = &mut next[self.number[to as usize] as usize];
                sources[*at as usize] = number as u32;
                *at += 1;
            }
        }
        (starts, sources)
    }
}
