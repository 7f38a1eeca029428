//! A profile from a file is checked once, when it is read, so that nothing above
//! has to fear an index out of range or a stack whose parents form a ring.

use super::{Child, Profile, StackTable, Timeline};
use crate::error::{Error, Result};

fn refuse(reason: impl Into<String>) -> Error {
    Error::NotAProfile { reason: reason.into() }
}

impl Profile {
    /// Holds every id against its table.
    pub(super) fn check(&self) -> Result<()> {
        self.stacks.check()?;
        self.timeline.check(self.stacks.files.len())?;
        self.children.iter().try_for_each(Child::check)?;
        let files = self.stacks.files.len();
        let mut lines =
            self.copies.iter().map(|c| c.line).chain(self.sites.iter().filter_map(|s| s.waiting));
        if lines.any(|line| line.file.0 as usize >= files) {
            return Err(refuse("a site or a line with copies names an unknown file"));
        }
        let stacks = self.stacks.parents.len();
        match self.sites.iter().find(|s| s.stack.is_some_and(|id| id.0 as usize >= stacks)) {
            Some(site) => Err(refuse(format!("a site names stack {:?} of {stacks}", site.stack))),
            None => Ok(()),
        }
    }
}

impl StackTable {
    fn check(&self) -> Result<()> {
        if self.parents.len() != self.frames.len() {
            return Err(refuse("its stack columns differ in length"));
        }
        // A parent stands before its child: that makes the table a forest.
        let parents_first =
            self.parents.iter().enumerate().all(|(i, p)| p.is_none_or(|p| (p.0 as usize) < i));
        let frames_known = self.frames.iter().all(|f| (f.0 as usize) < self.frame_table.len());
        let files_known = self.frame_table.iter().all(|f| (f.file.0 as usize) < self.files.len());
        if parents_first && frames_known && files_known {
            Ok(())
        } else {
            Err(refuse("a stack points outside of its table"))
        }
    }
}

impl Timeline {
    fn check(&self, files: usize) -> Result<()> {
        let width = self.lines.len();
        if self.lines.iter().any(|l| l.file.0 as usize >= files) {
            return Err(refuse("a line of the timeline names an unknown file"));
        }
        let sound = self
            .points
            .iter()
            .all(|p| p.held.len() <= width && p.running.is_none_or(|line| (line as usize) < width));
        if sound { Ok(()) } else { Err(refuse("a point of the timeline names an unknown line")) }
    }
}

impl Child {
    fn check(&self) -> Result<()> {
        if self.points.is_sorted_by_key(|point| point.at) {
            Ok(())
        } else {
            Err(refuse(format!("the points of child process {} are out of order", self.pid)))
        }
    }
}
