//! What a recording knows while it runs.

use super::recorder::Recorder;
use super::stacks::Line;

impl Recorder {
    /// The largest footprint so far, in bytes above the start.
    pub fn peak(&self) -> i64 {
        self.peak
    }

    /// The line of the recording thread that allocated last.
    pub fn running(&self) -> Option<Line<'_>> {
        self.names.line(self.running?)
    }

    /// The lines that hold most, with their bytes, the largest first.
    pub fn holders(&self, most: usize) -> Vec<(Line<'_>, f64)> {
        let mut held = self.held(most);
        held.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        held.iter().filter_map(|&(line, bytes)| Some((self.names.line(line)?, bytes))).collect()
    }

    /// The lines that hold most, in no order.
    pub(super) fn held(&self, most: usize) -> Vec<(u32, f64)> {
        let mut held: Vec<(u32, f64)> = self
            .line_held
            .iter()
            .enumerate()
            .filter(|&(_, &bytes)| bytes >= 1.0)
            .map(|(line, &bytes)| (line as u32, bytes))
            .collect();
        if held.len() > most {
            held.select_nth_unstable_by(most, |a, b| b.1.total_cmp(&a.1));
            held.truncate(most);
        }
        held
    }
}
