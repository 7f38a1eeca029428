//! Tables of names and figures that are no recording's: of variables, of the heap, of ways to an object.

/// What one look at the memory found, ready to draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The answer as one sentence.
    pub headline: String,
    /// Figures that are good to know.
    pub facts: String,
    /// Its tables.
    pub sections: Vec<Section>,
    /// Ways from what is held to an object, each from the start to the end.
    pub ways: Vec<Vec<Stop>>,
    /// Objects that keep each other.
    pub rings: Vec<Ring>,
}

/// Objects each of which refers to the next, and the last one to the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring {
    /// What stands above it.
    pub caption: String,
    /// The objects; the first says how the last one refers to it.
    pub stops: Vec<Stop>,
}

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// What stands above it; may be empty.
    pub title: String,
    /// The heads of its columns.
    pub columns: Vec<String>,
    /// How many of the columns hold words; the others hold figures.
    pub words: usize,
    /// Its rows, a cell for each column.
    pub rows: Vec<Vec<String>>,
    /// What stands below it; may be empty.
    pub note: String,
}

/// An object on a way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stop {
    /// How the stop before refers to it; at the first: what keeps it.
    pub by: String,
    /// What it is.
    pub what: String,
}
