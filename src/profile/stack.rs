//! Stacks as a prefix tree.
//!
//! A stack is a row: its innermost frame and the id of the stack that called it. Two
//! stacks that begin alike share their rows, so a million allocations from the same
//! loop are one row. A parent always stands before its children, so one pass over
//! the rows in order visits every parent first.

use serde::{Deserialize, Serialize};

/// A row of [`StackTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StackId(pub u32);

/// A row of [`StackTable::frame_table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(pub u32);

/// A row of [`StackTable::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(pub u32);

/// Whose code a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A notebook cell.
    Cell,
    /// A file of the user's own, outside of every library folder.
    User,
    /// The standard library or an installed package.
    Library,
    /// The machinery that runs the cell (IPython, ipykernel, ourselves): never shown.
    Machinery,
}

/// A source file, with those of its lines that a report shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// As in a traceback.
    pub name: String,
    /// What a reader calls it: `cell [12]`, `pandas/core/frame.py`.
    pub label: String,
    /// Whose code it is.
    pub kind: FileKind,
    /// Text of its lines by line number (from 1): all lines of a cell, else those that allocated.
    #[serde(default)]
    pub lines: std::collections::BTreeMap<u32, String>,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The qualified name of the function; `<module>` for a cell's own lines.
    pub function: String,
    /// Its file.
    pub file: FileId,
    /// The line that was running, from 1; 0 where unknown.
    pub line: u32,
}

/// Every distinct stack of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackTable {
    /// The caller's row; `None` at a root.
    pub parents: Vec<Option<StackId>>,
    /// The innermost frame of each row.
    pub frames: Vec<FrameId>,
    /// The distinct frames.
    pub frame_table: Vec<Frame>,
    /// The files that the frames are in.
    pub files: Vec<SourceFile>,
}

impl StackTable {
    /// The innermost frame of a stack.
    pub fn frame(&self, stack: StackId) -> &Frame {
        &self.frame_table[self.frames[stack.0 as usize].0 as usize]
    }

    /// The file that a frame is in.
    pub fn file(&self, frame: &Frame) -> &SourceFile {
        &self.files[frame.file.0 as usize]
    }

    /// The stack that called this one.
    pub fn parent(&self, stack: StackId) -> Option<StackId> {
        self.parents[stack.0 as usize]
    }

    /// The frames of a stack, innermost first.
    pub fn walk(&self, stack: StackId) -> impl Iterator<Item = &Frame> {
        std::iter::successors(Some(stack), |&s| self.parent(s)).map(|s| self.frame(s))
    }

    /// The line that answers for a stack: its innermost frame in a cell or another file
    /// of the user's own, or `None` when only libraries are on it.
    pub fn user_line(&self, stack: StackId) -> Option<&Frame> {
        self.walk(stack).find(|f| matches!(self.file(f).kind, FileKind::Cell | FileKind::User))
    }
}
