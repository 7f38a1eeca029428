//! Memory that only a library knows, as Arrow's buffers: its objects are asked for it, and each byte counts
//! once.
//!
//! That runs code of the library, so it is done when all else has been read. What lies in a block of an
//! object of Python's own, such as an array of numpy's, is that object's.

use super::gather::Gathered;
use super::measure::Measure;
use super::pieces::{Piece, Stretch, holding, pieces};
use crate::profile::{Kind, Role};
use pyo3::prelude::*;

/// A block of fewer bytes is no buffer that a library has taken over.
pub(super) const LARGE: usize = 4096;

/// Blocks of objects that were looked at, with whose they are.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<(Stretch, u32)>);

impl Blocks {
    /// Adds the large blocks of the object that was measured last, which was not one block of a known size.
    pub fn add(&mut self, measure: &Measure<'_>, of: u32) {
        self.0.extend(measure.last_blocks().filter(|block| block.1 >= LARGE).map(|b| (b, of)));
    }

    /// By their places, and whose each is.
    pub fn in_order(mut self) -> (Vec<Stretch>, Vec<u32>) {
        self.0.sort_unstable();
        self.0.dedup_by_key(|block| block.0.0);
        self.0.into_iter().unzip()
    }
}

/// The pieces of `held` that lie in nobody's block and in memory that is no file's.
pub(super) fn outside(
    held: &[Vec<Stretch>],
    known: &[Stretch],
    measure: &Measure<'_>,
) -> Vec<Piece> {
    let mut found = pieces(held);
    found
        .retain(|piece| holding(known, piece.start).is_none() && measure.is_anonymous(piece.start));
    found
}

impl Gathered {
    /// The objects that a library is to be asked for.
    pub fn foreign<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        // SAFETY: each was alive when the graph was gathered, and the GIL has not been let go since.
        let bound = |&row: &u32| unsafe { Bound::from_borrowed_ptr(py, self.address(row)) };
        self.foreign_rows.iter().map(bound).collect()
    }

    /// Adds what these hold, in the order of [`Gathered::foreign`]: a row for each piece of memory, after all
    /// objects.
    pub fn add_buffers(&mut self, py: Python<'_>, held: &[Vec<Stretch>]) {
        let (known, owners) = std::mem::take(&mut self.blocks).in_order();
        let measure = Measure::new(py);
        let mut references = Vec::new();
        for piece in pieces(held) {
            let row = match holding(&known, piece.start) {
                Some(at) => owners[at],
                None => {
                    let row = self.graph.len() as u32;
                    let kind = self.kind_of_buffer(piece.holders[0]);
                    self.graph.kind.push(kind);
                    let bytes = if measure.is_anonymous(piece.start) { piece.bytes } else { 0 };
                    self.graph.bytes.push(bytes);
                    self.graph.held.push(false);
                    self.graph.starts.push(self.graph.referents.len() as u32);
                    self.add_buffer_at(piece.start);
                    row
                }
            };
            let holders = piece.holders.iter();
            references.extend(holders.map(|&holder| (self.foreign_rows[holder as usize], row)));
        }
        self.graph.add_references(references);
    }

    /// The kind of a buffer by the library whose object holds it: `polars.buffer`.
    fn kind_of_buffer(&mut self, holder: u32) -> u32 {
        let kinds = &mut self.graph.kinds;
        let holder = self.graph.kind[self.foreign_rows[holder as usize] as usize];
        let package = kinds[holder as usize].name.split('.').next().unwrap_or_default();
        let name = format!("{package}.buffer");
        if let Some(known) = kinds.iter().rposition(|kind| kind.name == name) {
            return known as u32;
        }
        kinds.push(Kind { name, role: Role::Data });
        (kinds.len() - 1) as u32
    }
}
