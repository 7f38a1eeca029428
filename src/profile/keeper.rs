//! Who keeps memory beside the names of the code.

use super::Bytes;
use serde::{Deserialize, Serialize};

/// What a notebook keeps by itself when a cell has ended: a result, the last traceback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// In a reader's words: `Out[3]`.
    pub name: String,
    /// What the objects that it reaches take, as they lay in memory after the recording.
    pub bytes: Bytes,
}
