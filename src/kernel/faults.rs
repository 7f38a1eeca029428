//! What Python's `faulthandler` wrote when native code crashed: the lines that were running.
//!
//! ```text
//! Fatal Python error: Segmentation fault
//!
//! Current thread 0x00007f3a (most recent call first):
//!   File "/tmp/ipykernel_7/123.py", line 3 in <module>
//! ```

use crate::report::Stand;
use std::path::Path;

/// The name of the file, beside the child's connection file.
pub const FILE: &str = "faults";
/// More lines than these say nothing new.
const MOST: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame<'a> {
    file: &'a str,
    line: usize,
    function: &'a str,
}

impl<'a> Frame<'a> {
    fn parse(line: &'a str) -> Option<Frame<'a>> {
        let (file, rest) = line.trim_start().strip_prefix("File \"")?.rsplit_once("\", line ")?;
        let (number, function) = rest.split_once(" in ")?;
        Some(Frame { file, line: number.parse().ok()?, function })
    }

    /// Whether it is IPython's own, which called the cell.
    fn called_the_cell(&self) -> bool {
        self.file.ends_with("IPython/core/interactiveshell.py")
    }

    fn is_of_a_cell(&self) -> bool {
        self.file.contains("/ipykernel_") || self.file.starts_with("<ipython-input-")
    }
}

/// The lines that ran, the innermost first; `cell` is the source of what was executed.
pub fn places(text: &str, cell: &str) -> Vec<Stand> {
    // The last one: a forked process that crashed has written to the same file.
    let Some((_, crash)) = text.rsplit_once("Fatal Python error") else { return Vec::new() };
    let current = crash.lines().skip_while(|line| !line.starts_with("Current thread")).skip(1);
    let frames: Vec<Frame<'_>> = current.map_while(Frame::parse).collect();
    let outside = frames.iter().position(Frame::called_the_cell);
    let own = &frames[..outside.unwrap_or(frames.len())];
    let running = outside.and(own.last()).map(|frame| frame.file);
    own.iter().take(MOST).map(|frame| stand(frame, running, cell)).collect()
}

fn stand(frame: &Frame<'_>, running: Option<&str>, cell: &str) -> Stand {
    let line_of =
        |text: &str| text.lines().nth(frame.line.wrapping_sub(1)).map(|l| l.trim().to_owned());
    let within = match frame.function {
        "<module>" => String::new(),
        function => format!(" in {function}"),
    };
    if running == Some(frame.file) {
        let label = format!("line {}{within}", frame.line);
        return Stand { label, source: line_of(cell).unwrap_or_default() };
    }
    if frame.is_of_a_cell() {
        let label = format!("line {} of an earlier cell{within}", frame.line);
        return Stand { label, source: String::new() };
    }
    let name = Path::new(frame.file)
        .file_name()
        .map_or_else(|| frame.file.into(), |n| n.to_string_lossy());
    let source = std::fs::read_to_string(frame.file).ok().and_then(|text| line_of(&text));
    Stand { label: format!("{name}:{}{within}", frame.line), source: source.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"Fatal Python error: Segmentation fault

Current thread 0x1 (most recent call first):
  File "/tmp/ipykernel_8/9.py", line 1 in <module>

Fatal Python error: Segmentation fault

Thread 0x2 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Current thread 0x1 (most recent call first):
  File "/nowhere/lib.py", line 12 in load
  File "/tmp/ipykernel_7/99.py", line 1 in helper
  File "/tmp/ipykernel_7/123.py", line 2 in inner
  File "/tmp/ipykernel_7/123.py", line 4 in <module>
  File "/x/IPython/core/interactiveshell.py", line 3701 in run_code
  File "/x/IPython/core/interactiveshell.py", line 3646 in run_ast_nodes
"#;

    #[test]
    fn the_lines_of_the_thread_that_crashed_up_to_the_cell() {
        let found = places(TEXT, "def inner():\n    helper()\n\ninner()");
        let shown: Vec<(&str, &str)> =
            found.iter().map(|s| (s.label.as_str(), s.source.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("lib.py:12 in load", ""),
                ("line 1 of an earlier cell in helper", ""),
                ("line 2 in inner", "helper()"),
                ("line 4", "inner()"),
            ]
        );
    }

    #[test]
    fn what_is_cut_or_nothing_is_no_line() {
        assert!(places("", "x").is_empty());
        assert!(places("Fatal Python error: Aborted\n\nThread 0x1", "x").is_empty());
        for end in 0..TEXT.len() {
            places(&TEXT[..end], "x");
        }
    }
}
