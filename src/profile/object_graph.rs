//! Objects and who refers to whom, as columns.
//!
//! An object is its row. The referents of row `i` are `referents[starts[i]..starts[i + 1]]`
//! (compressed sparse rows), once for each reference. Nothing here points into the interpreter:
//! the objects may be gone when it is read.

/// What a type's instances are to someone who looks for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user's data.
    Data,
    /// What the program itself consists of: modules, types, functions, code.
    Program,
    /// A name, which is no object: a row of its own that refers to one.
    Name,
}

/// A type of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// As Python prints it: `list`, `pandas.core.frame.DataFrame`.
    pub name: String,
    /// What its instances are.
    pub role: Role,
}

/// Objects and their references.
#[derive(Debug, Clone, Default)]
pub struct ObjectGraph {
    /// The types of the objects.
    pub kinds: Vec<Kind>,
    /// The type of each object.
    pub kind: Vec<u32>,
    /// The shallow size of each object, in bytes; 0 of a static one.
    pub bytes: Vec<u64>,
    /// Whether something that is no object of the graph refers to it: C code, a running frame, an object
    /// beyond the border; or it lives for ever.
    pub held: Vec<bool>,
    /// Where the referents of each object begin, and one more for the end.
    pub starts: Vec<u32>,
    /// The referents, by row.
    pub referents: Vec<u32>,
}

impl ObjectGraph {
    /// The number of objects.
    pub fn len(&self) -> usize {
        self.kind.len()
    }

    /// Whether it has no objects.
    pub fn is_empty(&self) -> bool {
        self.kind.is_empty()
    }

    /// The objects that one refers to, once for each reference.
    pub fn of(&self, row: u32) -> &[u32] {
        let at = row as usize;
        &self.referents[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// Adds references, each from a row to a row.
    pub fn add_references(&mut self, mut more: Vec<(u32, u32)>) {
        more.sort_unstable();
        let mut more = more.into_iter().peekable();
        let old = std::mem::take(&mut self.referents);
        let mut referents = Vec::with_capacity(old.len() + more.len());
        let mut begin = 0;
        for row in 0..self.len() {
            let end = self.starts[row + 1] as usize;
            referents.extend_from_slice(&old[begin..end]);
            while let Some((_, to)) = more.next_if(|(from, _)| *from as usize == row) {
                referents.push(to);
            }
            begin = end;
            self.starts[row + 1] = referents.len() as u32;
        }
        self.referents = referents;
    }

    /// What an object is.
    pub fn role(&self, row: u32) -> Role {
        self.kinds[self.kind[row as usize] as usize].role
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_references_come_after_those_that_were_there() {
        let mut graph = ObjectGraph {
            kind: vec![0; 3],
            starts: vec![0, 2, 2, 3],
            referents: vec![1, 2, 0],
            ..ObjectGraph::default()
        };
        graph.add_references(vec![(2, 2), (0, 0), (1, 2)]);
        let rows: Vec<&[u32]> = (0..3).map(|row| graph.of(row)).collect();
        assert_eq!(rows, [&[1, 2, 0][..], &[2], &[0, 2]]);
    }
}
