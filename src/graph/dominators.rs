//! Immediate dominators by the semi-NCA algorithm.
//!
//! `a` dominates `b` when every way from the root to `b` goes through `a`: then `b` goes when `a` goes.
//! Georgiadis, Tarjan, Werneck, "Finding dominators in practice", JGAA 10(1), 2006, section 2.3. It works on
//! numbers in preorder of a depth-first search, so that what belongs together lies together. A link keeps
//! the least semidominator of its way itself, not the vertex that has it: nothing else is asked of it. All
//! is in 32-bit numbers: 24 bytes an object and 4 a reference at most.

/// No row.
pub const NONE: u32 = u32::MAX;

/// The dominator tree below a root.
#[derive(Debug)]
pub struct Dominators {
    /// The rows that are reached, the root first, each after its dominator.
    order: Vec<u32>,
    /// The place in `order` of the immediate dominator of each of them; the root's is its own.
    above: Vec<u32>,
    rows: usize,
}

impl Dominators {
    /// Of a graph with `rows` rows, where `referents(row)` are those that a row refers to: at most
    /// `u32::MAX` in all.
    pub fn of<'a>(rows: usize, root: u32, referents: impl Fn(u32) -> &'a [u32]) -> Dominators {
        let Search { number, order, parent } = Search::depth_first(rows, root, &referents);
        let (starts, sources) = referrers(&order, &number, &referents);
        drop(number);
        let mut semi = parent.clone();
        // What is below `linked` is not in the forest yet: a way by itself, with its own number.
        let mut links: Vec<Link> =
            parent.iter().zip(0..).map(|(&above, number)| Link { above, least: number }).collect();
        let mut way = Vec::new();
        for at in (1..order.len()).rev() {
            let mut least = semi[at];
            for &source in &sources[starts[at] as usize..starts[at + 1] as usize] {
                least = least.min(lowest(source, at as u32 + 1, &mut links, &mut way));
            }
            semi[at] = least;
            links[at].least = least;
        }
        drop((links, sources, starts));
        let mut above = parent;
        for at in 1..order.len() {
            let mut dominator = above[at];
            while dominator > semi[at] {
                dominator = above[dominator as usize];
            }
            above[at] = dominator;
        }
        Dominators { order, above, rows }
    }

    /// The immediate dominator of each row; the root's is itself, [`NONE`] where the root does not reach.
    pub fn immediate(&self) -> Vec<u32> {
        let mut by_row = vec![NONE; self.rows];
        for (&row, &above) in self.order.iter().zip(&self.above) {
            by_row[row as usize] = self.order[above as usize];
        }
        by_row
    }

    /// The sum of `sizes` over what each row dominates, itself included: its retained size.
    pub fn retained(&self, sizes: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut sums: Vec<u64> = self.order.iter().map(|&row| sizes(row)).collect();
        for at in (1..sums.len()).rev() {
            sums[self.above[at] as usize] += sums[at];
        }
        let mut by_row = vec![0; self.rows];
        for (&row, &sum) in self.order.iter().zip(&sums) {
            by_row[row as usize] = sum;
        }
        by_row
    }
}

/// A vertex of the forest: where its way goes on, and the least semidominator on the way so far.
#[derive(Debug, Clone, Copy)]
struct Link {
    above: u32,
    least: u32,
}

/// The least semidominator on the linked way above `vertex`, which is shortened.
fn lowest(vertex: u32, linked: u32, links: &mut [Link], way: &mut Vec<u32>) -> u32 {
    let mut at = vertex;
    if at < linked {
        return at;
    }
    loop {
        let above = links[at as usize].above;
        if above < linked {
            break;
        }
        way.push(at);
        at = above;
    }
    let mut top = links[at as usize];
    while let Some(below) = way.pop() {
        let link = &mut links[below as usize];
        top.least = top.least.min(link.least);
        *link = top;
    }
    top.least
}

/// A depth-first search: each row's number in preorder or [`NONE`], the rows in it, and each one's parent.
struct Search {
    number: Vec<u32>,
    order: Vec<u32>,
    parent: Vec<u32>,
}

impl Search {
    fn depth_first<'a>(rows: usize, root: u32, referents: &impl Fn(u32) -> &'a [u32]) -> Search {
        let mut search = Search { number: vec![NONE; rows], order: Vec::new(), parent: Vec::new() };
        // Rows to go to and where from. One may wait several times; the last time counts, since that is
        // when a search that goes into each referent at once would come to it.
        let mut waiting = vec![(root, 0)];
        while let Some((row, from)) = waiting.pop() {
            if search.number[row as usize] != NONE {
                continue;
            }
            let number = search.order.len() as u32;
            search.number[row as usize] = number;
            search.order.push(row);
            search.parent.push(from);
            for &to in referents(row).iter().rev() {
                if search.number[to as usize] == NONE {
                    waiting.push((to, number));
                }
            }
        }
        search
    }
}

/// The numbers of those that refer to each number, in compressed rows: so what goes through the numbers one
/// after the other reads them one after the other.
fn referrers<'a>(
    order: &[u32],
    number: &[u32],
    referents: &impl Fn(u32) -> &'a [u32],
) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; order.len() + 1];
    let reached = || (0..).zip(number).filter(|&(_, &number)| number != NONE);
    for (row, _) in reached() {
        referents(row).iter().for_each(|&to| starts[number[to as usize] as usize] += 1);
    }
    let mut sum = 0;
    for end in &mut starts {
        sum += *end;
        *end = sum;
    }
    // Each one's are filled in from their end, and so its end becomes its start.
    let mut sources = vec![0; sum as usize];
    for (row, &from) in reached() {
        for &to in referents(row) {
            let at = &mut starts[number[to as usize] as usize];
            *at -= 1;
            sources[*at as usize] = from;
        }
    }
    (starts, sources)
}
