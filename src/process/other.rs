//! Other platforms: nothing is read yet, and the report says so.

use super::Resident;
use crate::profile::Bytes;

#[derive(Debug)]
pub(super) struct RssReader;

impl RssReader {
    pub(super) fn open() -> Option<RssReader> {
        None
    }

    pub(super) fn read(&self) -> Option<Resident> {
        None
    }
}

pub(super) fn reset_peak() -> bool {
    false
}

pub(super) fn peak() -> Option<Bytes> {
    None
}
