//! Who held it at the peak: an icicle tree that starts from the user's lines.
//!
//! These are the lines of the table, each the innermost one of a stack, in the same colours: a
//! line that called a function of the user's own is said beside the line inside of it and has no
//! box around it, which would have to show memory that the table gives to the other.
//!
//! Below a line stand the library frames that it called, outermost first, without their line
//! numbers. The machinery that runs a cell is left out. A function that calls itself, directly
//! or through others, is folded into its first call, and a long run of frames that all hold the
//! same memory into its first and last, so the depth of the tree says something.

use super::hues::Hue;
use super::tally::{Names, Tally};
use crate::profile::{Bytes, FileId, FileKind, Frame, LineKey, Profile, Site, ThreadKind};
use std::collections::{BTreeMap, HashMap};

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything at the peak.
    Root,
    /// A line of the user's own.
    Line,
    /// A function of a library, or a thread of one.
    Frame,
    /// Several that are too small, or too alike, to be shown.
    Merged,
}

/// A box of the icicle.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The name: `line 7`, `DataFrame.pivot_table`.
    pub label: String,
    /// More, where there is room: the source, the file.
    pub detail: String,
    /// Live at the peak, with everything below, in bytes.
    pub bytes: f64,
    /// The colour of the line that it stands under.
    pub hue: Option<Hue>,
    /// What it stands for.
    pub kind: Kind,
    /// Largest first; they never add up to more than `bytes`.
    pub children: Vec<Node>,
}

impl Node {
    /// The tree with all that held less than `smallest` bytes merged, beside the others of its parent.
    pub fn pruned(&self, smallest: f64) -> Node {
        let mut kept: Vec<Node> = Vec::new();
        let (mut count, mut bytes) = (0, 0.0);
        for child in &self.children {
            if child.bytes >= smallest {
                kept.push(child.pruned(smallest));
            } else {
                count += 1;
                bytes += child.bytes;
            }
        }
        if count > 0 {
            kept.push(Node {
                label: format!("{count} smaller"),
                detail: String::new(),
                bytes,
                hue: self.hue,
                kind: Kind::Merged,
                children: Vec::new(),
            });
        }
        let Node { label, detail, bytes, hue, kind, .. } = self;
        let (label, detail) = (label.clone(), detail.clone());
        Node { label, detail, bytes: *bytes, hue: *hue, kind: *kind, children: kept }
    }
}

/// How much of the tree is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Nodes smaller than this share of the whole are merged.
    too_small: f64,
    /// Levels below the lines.
    deepest: usize,
    /// Whether long runs of calls that hold the same are folded.
    folded: bool,
}

/// What a picture of 700 pixels can show.
pub(super) const SMALL: Extent = Extent { too_small: 0.004, deepest: 6, folded: true };
/// What can be zoomed into: a box of a pixel still is one at a tenth of the tree.
pub(super) const UNFOLDED: Extent = Extent { too_small: 0.0002, deepest: 40, folded: false };
/// A child with this share of its parent says nothing that the parent does not.
const ALIKE: f64 = 0.97;
/// The most frames of a path that are told apart: a branch is dropped by recursion, and its depth
/// comes from the profile, which may be anybody's file.
const LONGEST: usize = 256;

type Key = (String, FileId);

#[derive(Default)]
struct Branch {
    bytes: f64,
    children: HashMap<Key, Branch>,
}

impl Branch {
    fn add(&mut self, path: &[Key], bytes: f64) {
        self.bytes += bytes;
        let mut branch = self;
        for key in path {
            branch = branch.children.entry(key.clone()).or_default();
            branch.bytes += bytes;
        }
    }
}

/// What was live at the peak, `None` when nothing was.
pub(super) fn icicle(
    profile: &Profile,
    tally: &Tally,
    names: &Names<'_>,
    hues: &BTreeMap<LineKey, Hue>,
    extent: Extent,
) -> Option<Node> {
    let mut lines: BTreeMap<LineKey, Branch> = BTreeMap::new();
    let mut callers: BTreeMap<LineKey, BTreeMap<LineKey, f64>> = BTreeMap::new();
    let mut libraries = Branch::default();
    let mut native = Branch::default();
    for site in profile.sites.iter().filter(|site| site.peak.value > 0.0) {
        let line = site.stack.and_then(|stack| profile.stacks.user_line(stack));
        let branch = match line {
            Some(f) => {
                let key = LineKey { file: f.file, line: f.line };
                let from = outermost(profile, site).unwrap_or(key);
                *callers.entry(key).or_default().entry(from).or_default() += site.peak.value;
                lines.entry(key).or_default()
            }
            None if site.thread == ThreadKind::Native => &mut native,
            None => &mut libraries,
        };
        branch.add(&path(profile, site), site.peak.value);
    }
    let slack = profile.totals.peak_footprint.as_f64() - tally.total.peak.value;
    let whole = tally.total.peak.value + slack.max(0.0);
    if whole <= 0.0 {
        return None;
    }
    let grow = Grow { profile, smallest: whole * extent.too_small, folded: extent.folded };
    let mut children: Vec<Node> = Vec::new();
    for (key, branch) in lines {
        let hue = hues.get(&key).copied();
        let (label, source) = (names.line(key), names.source(key));
        let caller = callers[&key]
            .iter()
            .find(|(from, bytes)| **from != key && **bytes >= ALIKE * branch.bytes);
        let detail = match caller {
            Some((from, _)) if source.is_empty() => format!("called from {}", names.line(*from)),
            Some((from, _)) => format!("called from {} · {source}", names.line(*from)),
            None => source.to_owned(),
        };
        children.push(grow.node(label, detail, hue, Kind::Line, branch, extent.deepest));
    }
    for (label, branch) in [("libraries", libraries), ("native threads", native)] {
        if branch.bytes > 0.0 {
            let detail = String::new();
            children.push(grow.node(
                label.into(),
                detail,
                None,
                Kind::Frame,
                branch,
                extent.deepest,
            ));
        }
    }
    let mut children = grow.merge_small(children, None);
    if slack >= 1.0 {
        children.push(Node {
            label: "slack".to_owned(),
            detail: "of the allocators, and not attributed".to_owned(),
            bytes: slack,
            hue: None,
            kind: Kind::Merged,
            children: Vec::new(),
        });
    }
    let new = profile.totals.peak_footprint.to_string();
    let detail = if slack <= -1.0 && new != Bytes::from_f64(whole).to_string() {
        // The parts were larger than the growth: say so, or the two sizes seem to disagree.
        format!("in {new} of new memory")
    } else {
        String::new()
    };
    Some(Node {
        label: profile.recording.title.clone(),
        detail,
        bytes: whole,
        hue: None,
        kind: Kind::Root,
        children,
    })
}

/// The outermost of the user's lines on a stack: the one that started it all.
fn outermost(profile: &Profile, site: &Site) -> Option<LineKey> {
    let own =
        |frame: &&Frame| matches!(profile.stacks.file(frame).kind, FileKind::Cell | FileKind::User);
    let frame = profile.stacks.walk(site.stack?).filter(own).last()?;
    Some(LineKey { file: frame.file, line: frame.line })
}

/// The library frames of a stack below the user's line, outermost first, recursion folded; of more
/// than [`LONGEST`] the outermost ones and the last.
fn path(profile: &Profile, site: &Site) -> Vec<Key> {
    let Some(stack) = site.stack else { return Vec::new() };
    let mut inward: Vec<Key> = Vec::new();
    for frame in profile.stacks.walk(stack) {
        match profile.stacks.file(frame).kind {
            FileKind::Cell | FileKind::User => break,
            FileKind::Library => inward.push((frame.function.clone(), frame.file)),
            FileKind::Machinery => {}
        }
    }
    let mut path: Vec<Key> = Vec::with_capacity(inward.len());
    for key in inward.into_iter().rev() {
        match path.iter().position(|seen| *seen == key) {
            Some(first) => path.truncate(first + 1),
            None if path.len() < LONGEST => path.push(key),
            None => path[LONGEST - 1] = key,
        }
    }
    path
}

struct Grow<'a> {
    profile: &'a Profile,
    smallest: f64,
    folded: bool,
}

impl Grow<'_> {
    fn node(
        &self,
        label: String,
        detail: String,
        hue: Option<Hue>,
        kind: Kind,
        branch: Branch,
        levels: usize,
    ) -> Node {
        let bytes = branch.bytes;
        let mut children = Vec::new();
        if levels > 0 && bytes >= self.smallest {
            let branch = if self.folded { fold_chain(branch) } else { branch };
            for (key, child) in branch.children {
                let (label, detail, kind) = self.describe(&key);
                children.push(self.node(label, detail, hue, kind, child, levels - 1));
            }
            children = self.merge_small(children, hue);
        }
        Node { label, detail, bytes, hue, kind, children }
    }

    fn describe(&self, (function, file): &Key) -> (String, String, Kind) {
        match self.profile.stacks.files.get(file.0 as usize) {
            // `<native thread>` and the like are no files.
            Some(file) if file.label.starts_with('<') => {
                (function.clone(), String::new(), Kind::Frame)
            }
            Some(file) => (function.clone(), file.label.clone(), Kind::Frame),
            None => (function.clone(), String::new(), Kind::Merged),
        }
    }

    /// Sorts by size; what is too small becomes one node at the end.
    fn merge_small(&self, nodes: Vec<Node>, hue: Option<Hue>) -> Vec<Node> {
        let (mut kept, mut small): (Vec<Node>, Vec<Node>) =
            nodes.into_iter().partition(|node| node.bytes >= self.smallest);
        kept.sort_by(|a, b| {
            b.bytes
                .total_cmp(&a.bytes)
                .then_with(|| (&a.label, &a.detail).cmp(&(&b.label, &b.detail)))
        });
        // One alone keeps its name.
        if small.len() == 1 {
            kept.append(&mut small);
        }
        let bytes: f64 = small.iter().map(|node| node.bytes).sum();
        if bytes >= self.smallest || (bytes > 0.0 && !kept.is_empty()) {
            let label = format!("{} smaller", small.len());
            let detail = String::new();
            kept.push(Node { label, detail, bytes, hue, kind: Kind::Merged, children: Vec::new() });
        }
        kept
    }
}

/// The id that no file has: it marks frames that were folded.
const FOLDED: FileId = FileId(u32::MAX);

/// Replaces a run of more than three only children by the first, a mark, and the last.
fn fold_chain(branch: Branch) -> Branch {
    let mut run: Vec<(Key, f64)> = Vec::new();
    let mut end = branch;
    let bytes = end.bytes;
    while end.children.len() == 1 {
        let (key, child) = end.children.drain().next().expect("there is one child");
        let alike = child.bytes >= ALIKE * bytes;
        let size = child.bytes;
        if !alike {
            end.children.insert(key, child);
            break;
        }
        run.push((key, size));
        end = child;
    }
    if run.len() > 3 {
        let hidden = run.len() - 2;
        let size = run[1].1;
        run.splice(1..=hidden, [((format!("⋯ {hidden} calls deeper"), FOLDED), size)]);
    }
    // The last of the run is `end` itself; wrap it in the others, innermost first.
    for (key, _) in run.iter().rev() {
        let size = end.bytes;
        end = Branch { bytes: size, children: HashMap::from([(key.clone(), end)]) };
    }
    end
}
