//! The stacks of a recording, as a prefix tree.
//!
//! A sample's whole stack is looked up by one hash of its frames' keys; only a stack that was not
//! seen before is taken apart, and only a frame that was not seen before is named. So the usual
//! sample costs one pass over its frames and one look into a table.

use crate::profile::{
    Allocator, FileId, FileKind, Frame, FrameId, SourceFile, StackId, StackTable,
};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Qualified name of the function.
    pub function: String,
    /// File name as in a traceback.
    pub file: String,
    /// Line number from 1, 0 where unknown.
    pub line: u32,
}

/// The stack of one allocation, innermost frame first.
pub trait Frames {
    /// For each frame, innermost first, a number that is the same for the same place in the code.
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64>;
    /// Names a frame.
    fn place(&self, index: usize) -> Place;
    /// Between which frames some were left out, if any were.
    fn gap(&self) -> Option<usize>;
}

/// Which files are whose, by the beginnings of their names.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// Below these are the standard library and installed packages.
    pub library: Vec<String>,
    /// Below these is what runs a cell; it takes precedence over `library`.
    pub machinery: Vec<String>,
    /// The file that is profiled: the user's, even if its name is that of no file.
    pub profiled: Option<String>,
}

impl Paths {
    fn kind(&self, file: &str) -> FileKind {
        let below = |prefixes: &[String]| prefixes.iter().any(|p| file.starts_with(p.as_str()));
        if below(&self.machinery) {
            FileKind::Machinery
        } else if file.starts_with('<') && self.profiled.as_deref() == Some(file) {
            // `<%memprofile>`, `<console>`, `<string>` of `python -c`.
            FileKind::User
        } else if below(&self.library) {
            FileKind::Library
        } else if file.starts_with('<')
            && !file.starts_with("<ipython-input-")
            && !file.starts_with("<stdin")
        {
            // `<frozen importlib._bootstrap>`, `<string>` of a namedtuple: its caller answers.
            FileKind::Library
        } else {
            FileKind::User
        }
    }
}

/// A line of the user's own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its file, as in a traceback.
    pub file: &'a str,
    /// Its number, from 1.
    pub number: u32,
    /// The function that it is in.
    pub function: &'a str,
}

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = self.0.rotate_left(23) ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<AsIs>>;

/// What is known of a stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub stack: Option<StackId>,
    /// Its line of the user's own code: an index into [`Names::lines`].
    pub line: Option<u32>,
    /// How many Python frames it has.
    pub depth: u64,
    /// Its site for each allocator; [`NO_SITE`] until there is one.
    pub sites: [u32; ALLOCATORS],
}

fn depth_of(frames: Option<&impl Frames>) -> u64 {
    frames.map_or(0, |frames| frames.keys().count() as u64)
}

pub(super) const NO_SITE: u32 = u32::MAX;

const ALLOCATORS: usize = Allocator::ALL.len();

/// From this many rows on a new stack is cut down to its line: a program that makes new code
/// for ever must not fill our memory.
const MAX_ROWS: usize = 60_000;

/// The tables.
#[derive(Debug, Default)]
pub struct Names {
    paths: Paths,
    table: StackTable,
    files: HashMap<String, FileId>,
    frames: Map<u64, FrameId>,
    rows: Map<(u32, u32), StackId>,
    by_hash: Map<u64, u32>,
    known: Vec<Known>,
    lines: Vec<(FileId, u32)>,
    /// A frame of each line.
    line_frames: Vec<FrameId>,
    line_numbers: Map<(u32, u32), u32>,
    cut: bool,
}

impl Names {
    /// Empty tables.
    pub fn new(paths: Paths) -> Names {
        let mut names = Names { paths, ..Names::default() };
        names.by_hash.reserve(8192);
        names.known.reserve(8192);
        names
    }

    /// The number of a stack (`None`: of a thread without Python).
    ///
    /// `waiting` is the line that another thread runs meanwhile: a stack without a line of the
    /// user's own is put below it, since it works for that line.
    pub(super) fn intern(&mut self, frames: Option<&impl Frames>, waiting: Option<u32>) -> u32 {
        // The seed keeps the empty stack and the thread without Python apart.
        let hash = frames.map_or(1, |frames| {
            frames.keys().fold(2, |hash: u64, key| {
                (hash.rotate_left(5) ^ key).wrapping_mul(0x517c_c1b7_2722_0a95)
            })
        });
        let number = match self.by_hash.get(&hash) {
            Some(&number) => number,
            None => {
                let (stack, line) =
                    frames.map_or((None, None), |frames| self.take_apart(frames, None));
                self.add(hash, stack, line, depth_of(frames))
            }
        };
        match waiting {
            Some(waiting) if self.works_for_the_user(number, frames.is_some()) => {
                self.intern_below(hash, frames, waiting)
            }
            _ => number,
        }
    }

    /// The number of a thread without Python: of a library, while a line runs, as far as both are
    /// known. Its one row names the library; the line does not answer for it.
    pub(super) fn intern_native(&mut self, library: Option<&str>, waiting: Option<u32>) -> u32 {
        let mut hasher = AsIs(1);
        hasher.write(library.unwrap_or_default().as_bytes());
        hasher.write_u32(waiting.map_or(0, |line| line + 1));
        let hash = hasher.finish();
        if let Some(&number) = self.by_hash.get(&hash) {
            return number;
        }
        let stack = library.map(|library| {
            let frame = self.marked(library, "<native thread>");
            self.row(None, frame)
        });
        self.add(hash, stack, None, 0)
    }

    fn add(&mut self, hash: u64, stack: Option<StackId>, line: Option<u32>, depth: u64) -> u32 {
        let number = self.known.len() as u32;
        self.known.push(Known { stack, line, depth, sites: [NO_SITE; ALLOCATORS] });
        self.by_hash.insert(hash, number);
        number
    }

    /// Whether a stack of another thread is put below the line that runs meanwhile: a Python thread of
    /// a library, as of a pool, without a line of the user's own. The threads of the kernel work for
    /// nobody's line, and of native threads it is not known.
    fn works_for_the_user(&self, number: u32, python: bool) -> bool {
        let Known { stack, line, .. } = self.known[number as usize];
        let runs_cells =
            |stack| self.table.walk(stack).any(|f| self.table.file(f).kind == FileKind::Machinery);
        python && line.is_none() && stack.is_some_and(|stack| !runs_cells(stack))
    }

    fn intern_below(&mut self, hash: u64, frames: Option<&impl Frames>, waiting: u32) -> u32 {
        let hash =
            hash.rotate_left(9) ^ (u64::from(waiting) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(&number) = self.by_hash.get(&hash) {
            return number;
        }
        let (file, line) = self.lines[waiting as usize];
        let frame = self.table.frame_table.iter().position(|f| f.file == file && f.line == line);
        let above = frame.map(|index| self.row(None, FrameId(index as u32)));
        let thread = self.mark("another thread");
        let below = self.row(above, thread);
        let stack = frames.map_or(Some(below), |frames| self.take_apart(frames, Some(below)).0);
        self.add(hash, stack, Some(waiting), depth_of(frames))
    }

    /// The line that answers for a stack which allocates nothing, and so is not kept.
    pub(super) fn line_of(&mut self, frames: &impl Frames) -> Option<u32> {
        let (file, line) = frames.keys().enumerate().find_map(|(index, key)| {
            let id = self.frame_of(frames, index, key);
            let frame = &self.table.frame_table[id.0 as usize];
            let kind = self.table.files[frame.file.0 as usize].kind;
            matches!(kind, FileKind::User | FileKind::Cell).then_some((frame.file, frame.line))
        })?;
        self.line_numbers.get(&(file.0, line)).copied()
    }

    pub(super) fn known(&mut self, number: u32) -> &mut Known {
        &mut self.known[number as usize]
    }

    /// The lines that stacks are answered for by.
    pub fn lines(&self) -> &[(FileId, u32)] {
        &self.lines
    }

    /// A line by its number.
    pub(super) fn line(&self, line: u32) -> Option<Line<'_>> {
        let frame = &self.table.frame_table[self.line_frames.get(line as usize)?.0 as usize];
        let file = &self.table.file(frame).name;
        Some(Line { file, number: frame.line, function: &frame.function })
    }

    /// Whether stacks were cut down to their line for want of room.
    pub fn cut(&self) -> bool {
        self.cut
    }

    /// The rows of a stack below `root`, and its line.
    fn take_apart(
        &mut self,
        frames: &impl Frames,
        root: Option<StackId>,
    ) -> (Option<StackId>, Option<u32>) {
        let ids: Vec<FrameId> = frames
            .keys()
            .enumerate()
            .map(|(index, key)| self.frame_of(frames, index, key))
            .collect();
        let line = ids.iter().find_map(|&id| {
            let frame = &self.table.frame_table[id.0 as usize];
            let kind = self.table.files[frame.file.0 as usize].kind;
            matches!(kind, FileKind::User | FileKind::Cell).then_some((id, frame.file, frame.line))
        });
        let mut stack = root;
        if self.table.frames.len() < MAX_ROWS {
            for (index, &id) in ids.iter().enumerate().rev() {
                stack = Some(self.row(stack, id));
                if frames.gap() == Some(index) {
                    let gap = self.mark("… frames left out");
                    stack = Some(self.row(stack, gap));
                }
            }
        } else {
            self.cut = true;
            stack = line.map(|(id, ..)| self.row(None, id)).or(root);
        }
        (stack, line.map(|(id, file, number)| self.line_number(id, file, number)))
    }

    fn frame_of(&mut self, frames: &impl Frames, index: usize, key: u64) -> FrameId {
        match self.frames.get(&key) {
            Some(&id) => id,
            None => {
                let place = frames.place(index);
                self.add_frame(key, place)
            }
        }
    }

    fn row(&mut self, parent: Option<StackId>, frame: FrameId) -> StackId {
        let key = (parent.map_or(u32::MAX, |p| p.0), frame.0);
        *self.rows.entry(key).or_insert_with(|| {
            self.table.parents.push(parent);
            self.table.frames.push(frame);
            StackId(self.table.frames.len() as u32 - 1)
        })
    }

    fn add_frame(&mut self, key: u64, place: Place) -> FrameId {
        let file = self.file(place.file);
        let id = FrameId(self.table.frame_table.len() as u32);
        self.table.frame_table.push(Frame { function: place.function, file, line: place.line });
        self.frames.insert(key, id);
        id
    }

    /// A frame that is no code: it says something about the frames around it.
    fn mark(&mut self, text: &str) -> FrameId {
        self.marked(text, "<memprofile>")
    }

    fn marked(&mut self, text: &str, file: &str) -> FrameId {
        let key = text.bytes().chain(file.bytes()).fold(0x6d61_726b, |key: u64, byte| {
            (key ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        match self.frames.get(&key) {
            Some(&id) => id,
            None => {
                let place = Place { function: text.to_owned(), file: file.to_owned(), line: 0 };
                self.add_frame(key, place)
            }
        }
    }

    fn file(&mut self, name: String) -> FileId {
        if let Some(&id) = self.files.get(&name) {
            return id;
        }
        let id = FileId(self.table.files.len() as u32);
        let kind = self.paths.kind(&name);
        // The longest library folder that holds it is left out of its label.
        let folder = self
            .paths
            .library
            .iter()
            .filter(|p| name.starts_with(p.as_str()))
            .map(String::len)
            .max()
            .unwrap_or(0);
        let label = match folder {
            0 => name.clone(),
            _ => name[folder..].trim_start_matches('/').to_owned(),
        };
        self.table.files.push(SourceFile {
            name: name.clone(),
            label,
            kind,
            lines: std::collections::BTreeMap::new(),
        });
        self.files.insert(name, id);
        id
    }

    fn line_number(&mut self, frame: FrameId, file: FileId, line: u32) -> u32 {
        *self.line_numbers.entry((file.0, line)).or_insert_with(|| {
            self.lines.push((file, line));
            self.line_frames.push(frame);
            self.lines.len() as u32 - 1
        })
    }

    /// The stacks so far.
    pub fn table(&self) -> &StackTable {
        &self.table
    }

    /// The finished table, and the lines.
    pub fn finish(self) -> (StackTable, Vec<(FileId, u32)>) {
        (self.table, self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<(u64, &'static str, &'static str, u32)>, Option<usize>);

    impl Frames for Fixed {
        fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
            self.0.iter().map(|f| f.0)
        }
        fn place(&self, index: usize) -> Place {
            let (_, function, file, line) = self.0[index];
            Place { function: function.into(), file: file.into(), line }
        }
        fn gap(&self) -> Option<usize> {
            self.1
        }
    }

    fn paths() -> Paths {
        Paths {
            library: vec!["/lib".into()],
            machinery: vec!["/lib/IPython".into()],
            profiled: Some("<console>".into()),
        }
    }

    #[test]
    fn stacks_share_their_beginnings_and_the_user_line_answers() {
        let mut names = Names::new(paths());
        let run = (9, "run_code", "/lib/IPython/run.py", 1);
        let cell = (1, "<module>", "/tmp/cell.py", 3);
        let first = Fixed(vec![(2, "read", "/lib/pd/io.py", 8), cell, run], None);
        let second = Fixed(vec![(3, "sort", "/lib/pd/io.py", 9), cell, run], None);
        let a = names.intern(Some(&first), None);
        let b = names.intern(Some(&second), None);
        assert_ne!(a, b);
        assert_eq!(names.intern(Some(&first), None), a);
        let line = names.known(a).line;
        assert_eq!(line, names.known(b).line);
        let (table, lines) = names.finish();
        assert_eq!(table.frames.len(), 4);
        assert_eq!(lines, [(FileId(1), 3)]);
        let kinds: Vec<_> = table.files.iter().map(|f| (f.label.as_str(), f.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("pd/io.py", FileKind::Library),
                ("/tmp/cell.py", FileKind::User),
                ("IPython/run.py", FileKind::Machinery)
            ]
        );
    }

    #[test]
    fn a_profiled_file_without_a_file_is_the_users() {
        assert_eq!(paths().kind("<console>"), FileKind::User);
        assert_eq!(paths().kind("<string>"), FileKind::Library);
        assert_eq!(paths().kind("/lib/IPython/run.py"), FileKind::Machinery);
    }

    #[test]
    fn a_thread_without_python_is_no_empty_stack() {
        let mut names = Names::new(paths());
        let none = names.intern(None::<&Fixed>, None);
        let empty = names.intern(Some(&Fixed(vec![], None)), None);
        assert_ne!(none, empty);
        assert_eq!(names.known(none).stack, None);
    }

    #[test]
    fn another_thread_works_for_the_line_that_waits() {
        let mut names = Names::new(paths());
        let main = Fixed(vec![(1, "<module>", "/tmp/cell.py", 3)], None);
        let number = names.intern(Some(&main), None);
        let line = names.known(number).line;
        let worker = Fixed(vec![(7, "read", "/lib/pd/io.py", 8)], None);
        let python = names.intern(Some(&worker), line);
        let native = names.intern(None::<&Fixed>, line);
        let kernel =
            Fixed(vec![(8, "send", "/lib/zmq.py", 1), (9, "loop", "/lib/IPython/io.py", 1)], None);
        let kernel = names.intern(Some(&kernel), line);
        assert_eq!(names.intern(Some(&worker), line), python);
        assert_eq!(names.known(python).line, line);
        // A thread that runs a line of the user's own answers for itself.
        assert_eq!(names.intern(Some(&main), line), number);
        assert_eq!(names.known(native).line, None);
        assert_eq!(names.known(kernel).line, None);
        let stack = names.known(python).stack.expect("it has rows");
        let (table, _) = names.finish();
        let functions: Vec<_> = table.walk(stack).map(|f| f.function.as_str()).collect();
        assert_eq!(functions, ["read", "another thread", "<module>"]);
        assert_eq!(table.user_line(stack).map(|f| f.line), Some(3));
    }

    #[test]
    fn a_native_thread_is_named_by_its_library_and_the_line_meanwhile() {
        let mut names = Names::new(paths());
        let main = Fixed(vec![(1, "<module>", "/tmp/cell.py", 3)], None);
        let number = names.intern(Some(&main), None);
        let line = names.known(number).line;
        let polars = names.intern_native(Some("polars"), line);
        assert_eq!(names.intern_native(Some("polars"), line), polars);
        assert_ne!(names.intern_native(Some("polars"), None), polars);
        assert_ne!(names.intern_native(Some("numpy"), line), polars);
        let unknown = names.intern_native(None, line);
        assert_eq!(names.known(unknown).stack, None);
        assert_eq!(names.known(polars).line, None);
        let stack = names.known(polars).stack.expect("it has a row");
        let (table, _) = names.finish();
        assert_eq!(table.frame(stack).function, "polars");
        assert_eq!(table.user_line(stack), None);
    }

    #[test]
    fn frames_left_out_are_shown_where_they_were() {
        let mut names = Names::new(paths());
        let deep = Fixed(vec![(1, "f", "/tmp/a.py", 1), (2, "main", "/tmp/a.py", 9)], Some(1));
        let number = names.intern(Some(&deep), None);
        let stack = names.known(number).stack.expect("it has frames");
        let (table, _) = names.finish();
        let functions: Vec<_> = table.walk(stack).map(|f| f.function.as_str()).collect();
        assert_eq!(functions, ["f", "… frames left out", "main"]);
    }
}
