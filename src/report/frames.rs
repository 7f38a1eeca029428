//! What a DataFrame holds, column by column, and which smaller types would do.
//!
//! A byte is a column's *own* (it goes with the column), *within* the frame (several columns refer to
//! it and nothing else does) or *shared* (something outside refers to it too). The frame's own bytes
//! are those of its columns and what is within, each once.

use crate::error::{Error, Result};
use crate::profile::Bytes;
use serde::Deserialize;

/// A frame as it was found; `FrameReport.to_dict()` of Python.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Frame {
    /// What the user calls it.
    pub name: String,
    /// What it is: `pandas DataFrame`.
    pub kind: String,
    /// What goes with it.
    pub owned: Bytes,
    /// What it uses and something outside of it refers to as well.
    pub shared: Bytes,
    /// Of its own bytes, what views keep alive and no column uses.
    pub unused: Bytes,
    /// Whole arrays of which it uses a part only.
    pub keeps_alive: Bytes,
    /// Blocks of numpy's types that could be one with others.
    #[serde(default)]
    pub spare_blocks: u64,
    /// What `code` frees.
    pub saved: Bytes,
    /// The best advice for every column, to paste at once.
    pub code: String,
    /// What may be done to it as a whole.
    pub advice: Vec<Advice>,
    /// Columns in their order, then the index and the labels.
    pub columns: Vec<Column>,
}

/// A column, an index or the column labels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its label.
    pub name: String,
    /// `column`, `index` or `labels`.
    pub role: String,
    /// Its type.
    pub dtype: String,
    /// Its length.
    pub rows: u64,
    /// Missing values, where there can be some.
    pub nulls: Option<u64>,
    /// Its own bytes.
    pub owned: Bytes,
    /// Bytes that other columns of the frame refer to as well.
    pub within: Bytes,
    /// Bytes that something outside refers to as well.
    pub shared: Bytes,
    /// Pages of a file.
    pub mapped: Bytes,
    /// All of them by what is in them, the largest first.
    #[serde(deserialize_with = "in_order")]
    pub parts: Vec<(String, Bytes)>,
    /// Of its own bytes, those that nobody uses.
    pub unused: Bytes,
    /// Whole arrays of which it uses a part or all.
    pub keeps_alive: Bytes,
    /// Whether it uses a part only.
    pub is_view: bool,
    /// Names outside that hold the same arrays.
    pub holders: Vec<String>,
    /// Names outside that hold a view of a part of what it owns.
    pub viewers: Vec<String>,
    /// Whether something without a known name holds them.
    pub unnamed_holder: bool,
    /// Smaller types, the best first.
    pub advice: Vec<Advice>,
}

/// A smaller type that holds every value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Advice {
    /// The type.
    pub dtype: String,
    /// Bytes now.
    pub before: Bytes,
    /// Bytes then.
    pub after: Bytes,
    /// What to paste.
    pub code: String,
    /// What one gives for it.
    pub price: String,
}

fn in_order<'de, D>(parts: D) -> std::result::Result<Vec<(String, Bytes)>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let by_name = std::collections::BTreeMap::<String, Bytes>::deserialize(parts)?;
    let mut parts: Vec<(String, Bytes)> = by_name.into_iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.1));
    Ok(parts)
}

/// A column with less than this share of a frame's bytes.
const HARDLY: f64 = 0.01;
/// From so many on each operation notices them.
const MANY_BLOCKS: u64 = 10;

impl Frame {
    /// Reads what Python found.
    ///
    /// # Errors
    /// [`Error::Drawing`] when the text is something else.
    pub fn from_json(text: &str) -> Result<Frame> {
        serde_json::from_str(text).map_err(|error| Error::Drawing { reason: error.to_string() })
    }

    /// The rows of the frame.
    pub fn rows(&self) -> u64 {
        self.columns.iter().map(|column| column.rows).next().unwrap_or(0)
    }

    fn shape(&self) -> String {
        let columns = self.columns.iter().filter(|column| column.role == "column").count();
        let rows = counted(self.rows(), "row", "rows");
        match columns {
            0 | 1 => rows,
            several => format!("{rows} × {several} columns"),
        }
    }

    /// The verdict, in pieces that are strong or not.
    pub fn headline(&self) -> Vec<(String, bool)> {
        if let Some(holders) = self.view_of() {
            return vec![
                (self.name.clone(), true),
                (" holds a view of ".to_owned(), false),
                (holders, true),
                (format!(": {} of its own, keeps ", self.owned), false),
                (self.keeps_alive.to_string(), true),
                (format!(" alive, in {}.", self.shape()), false),
            ];
        }
        let mut said = vec![
            (self.name.clone(), true),
            (" holds ".to_owned(), false),
            (self.owned.to_string(), true),
        ];
        if self.mostly_shared() {
            said.push((" of its own and shares ".to_owned(), false));
            said.push((self.shared.to_string(), true));
        }
        said.push((format!(" in {}.", self.shape()), false));
        if self.saved > Bytes(0) {
            let left = Bytes(self.owned.0.saturating_sub(self.saved.0));
            said.push((" The same values fit into ".to_owned(), false));
            said.push((left.to_string(), true));
            said.push((".".to_owned(), false));
        }
        said
    }

    /// Whether what it shares with others is the larger part, which the verdict then says.
    fn mostly_shared(&self) -> bool {
        self.shared > self.owned
    }

    /// What all of its columns are a view of, when they are and there is hardly more to it.
    fn view_of(&self) -> Option<String> {
        let whole: u64 = self.columns.iter().map(|column| column.total().0).sum();
        // A small column beside them, such as a new one of flags, makes it no less a view.
        let counts = |column: &&Column| column.total().as_f64() >= HARDLY * whole as f64;
        let columns =
            || self.columns.iter().filter(|column| column.role == "column").filter(counts);
        let first = columns().next()?;
        let same = |column: &Column| column.is_view && column.holders == first.holders;
        let hardly_own = self.owned.0 <= (self.owned.0 + self.shared.0) / 20;
        if !columns().all(same) || !hardly_own {
            return None;
        }
        Some(first.held_by())
    }

    /// The verdict as one sentence.
    pub fn sentence(&self) -> String {
        self.headline().into_iter().map(|(piece, _)| piece).collect()
    }

    /// What stands below the verdict.
    pub fn facts(&self) -> String {
        let mut said = vec![self.kind.clone()];
        let is_view = self.view_of().is_some();
        if self.shared > Bytes(0) && self.owned > Bytes(0) && (is_view || !self.mostly_shared()) {
            said.push(format!("{} more are shared with something outside of it", self.shared));
        }
        let viewers = self.viewers();
        if !viewers.is_empty() {
            let (verb, it) = if viewers.len() == 1 { ("holds", "it") } else { ("hold", "they") };
            said.push(format!(
                "{} {verb} a view of it: its memory goes only when {it} {} too",
                viewers.join(", "),
                if viewers.len() == 1 { "goes" } else { "go" }
            ));
        }
        if self.unused > Bytes(0) {
            said.push(format!("{} are kept alive by views and not used", self.unused));
        }
        if self.spare_blocks >= MANY_BLOCKS {
            said.push(format!(
                "fragmented into {} blocks more than its types need: {name} = {name}.copy() joins them",
                separated(self.spare_blocks),
                name = self.name,
            ));
        }
        said.join(" · ")
    }

    /// Names outside that hold views of its memory.
    fn viewers(&self) -> Vec<&str> {
        let mut viewers: Vec<&str> = Vec::new();
        for name in self.columns.iter().flat_map(|column| &column.viewers) {
            if !viewers.contains(&name.as_str()) {
                viewers.push(name);
            }
        }
        viewers
    }

    /// The bytes of the largest column.
    pub fn largest(&self) -> Bytes {
        self.columns.iter().map(Column::total).max().unwrap_or_default()
    }

    /// What several columns refer to, once: the frame's own bytes less those of each column.
    pub fn within(&self) -> Bytes {
        let own: u64 = self.columns.iter().map(|column| column.owned.0).sum();
        Bytes(self.owned.0.saturating_sub(own))
    }

    /// The largest columns, in the order of the frame, and the others.
    pub fn largest_columns(&self, most: usize) -> (Vec<&Column>, Vec<&Column>) {
        let mut ranked: Vec<usize> = (0..self.columns.len()).collect();
        ranked.sort_by_key(|i| std::cmp::Reverse(self.columns[*i].total()));
        let mut shown: Vec<usize> = ranked.iter().copied().take(most).collect();
        let mut others: Vec<usize> = ranked.iter().copied().skip(most).collect();
        shown.sort_unstable();
        others.sort_unstable();
        let pick = |of: Vec<usize>| of.into_iter().map(|i| &self.columns[i]).collect();
        (pick(shown), pick(others))
    }

    /// All advice, what frees most first; the best of each column only.
    pub fn best(&self) -> Vec<(&str, &Advice)> {
        let columns = self.columns.iter();
        let mut best: Vec<(&str, &Advice)> = columns
            .filter_map(|column| Some((column.name.as_str(), column.advice.first()?)))
            .chain(self.advice.iter().map(|advice| (self.name.as_str(), advice)))
            .collect();
        best.sort_by_key(|(_, advice)| std::cmp::Reverse(advice.saved()));
        best
    }
}

impl Advice {
    /// What it frees.
    pub fn saved(&self) -> Bytes {
        Bytes(self.before.0.saturating_sub(self.after.0))
    }

    /// `38.1 MiB → 4.77 MiB`.
    pub fn change(&self) -> String {
        format!("{} → {}", self.before, self.after)
    }
}

impl Column {
    /// All bytes that it uses or keeps alive.
    pub fn total(&self) -> Bytes {
        Bytes(self.owned.0 + self.within.0 + self.shared.0 + self.mapped.0)
    }

    /// What it is a view of, who else holds it, and what it keeps alive; the less where `frame` says it of
    /// all of its columns.
    pub fn words(&self, frame: &Frame) -> Option<String> {
        if self.is_view && frame.view_of().is_some_and(|holders| holders == self.held_by()) {
            return Some(format!("keeps {} alive", self.keeps_alive));
        }
        if !self.viewers.is_empty()
            && self.holders.is_empty()
            && !self.unnamed_holder
            && frame.columns.iter().all(|c| c.viewers == self.viewers || c.role != "column")
        {
            return None;
        }
        let keeps = self.keeps_alive;
        let names = self.holders.join(", ");
        if self.mapped > Bytes(0) {
            return Some(format!(
                "{} of a file mapped into memory, which the kernel can drop",
                self.mapped
            ));
        }
        match (names.is_empty(), self.unnamed_holder, self.is_view) {
            (false, _, true) => {
                Some(format!("a view of {names}: {} of its own, keeps {keeps} alive", self.owned))
            }
            (false, _, false) => Some(format!("the same memory as {names}")),
            (true, true, true) => Some(format!(
                "a view of what something else holds too: {} of its own, keeps {keeps} alive",
                self.owned
            )),
            (true, true, false) => Some("something else holds the same memory".to_owned()),
            (true, false, true) => Some(format!(
                "a view that alone keeps {keeps} alive; {} of it are not used",
                self.unused
            )),
            (true, false, false) if !self.viewers.is_empty() => {
                Some(format!("a part of it is kept by {}, too", self.viewers.join(", ")))
            }
            (true, false, false) if self.within > Bytes(0) => {
                Some(format!("{} are in other columns too", self.within))
            }
            _ => None,
        }
    }

    /// The names that hold the same arrays.
    fn held_by(&self) -> String {
        match self.holders.join(", ") {
            names if names.is_empty() => "what something else holds too".to_owned(),
            names => names,
        }
    }

    /// What its bytes are made of, when that is more than one thing.
    pub fn made_of(&self) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|(what, bytes)| format!("{} {bytes}", part_words(what)))
            .collect();
        if parts.len() > 1 { parts.join(", ") } else { String::new() }
    }

    /// Missing values as text.
    pub fn missing(&self) -> String {
        match (self.nulls, self.role.as_str()) {
            (Some(0), "column") => "0".to_owned(),
            (Some(nulls), "column") => separated(nulls),
            _ => "–".to_owned(),
        }
    }
}

/// What stands for a part.
fn part_words(part: &str) -> &str {
    match part {
        "missing" => "missing values' marks",
        "engine" => "hash table of lookups",
        "cache" => "caches",
        "places" => "places of values",
        "unused" => "not used",
        other => other,
    }
}

/// `1 row`, `5,000,000 rows`.
fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", separated(count), if count == 1 { one } else { several })
}

/// A number with separators.
pub fn separated(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
