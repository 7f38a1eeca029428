//! Threads that run no Python: their bytes by the library that asked, and the line that ran meanwhile.
//!
//! They are rows of their own and no part of that line: a thread may go on from an earlier one. Beside them
//! stands memory from before the start that was written to while no line allocated: nobody saw who did it.

use super::tally::{Figures, Names, Tally};
use crate::profile::{Allocator, Estimate, LineKey, Profile, Site, ThreadKind};
use std::collections::BTreeMap;

/// The row of memory from before the start.
pub const EARLIER: &str = "memory from before the start, written to while no line allocated";

/// Rows at most; the others are one more.
const ROWS: usize = 5;
/// Below this share of all that was held and allocated a part has no row: the kernel's own sockets always
/// move some bytes.
const WORTH_A_ROW: f64 = 0.001;

/// The rows, as (label, figures), largest first, and what is too little for one. Together they are all
/// native threads.
pub(super) fn rows(
    profile: &Profile,
    tally: &Tally,
    names: &Names<'_>,
) -> (Vec<(String, Figures)>, Figures) {
    let mut parts: BTreeMap<(bool, Option<&str>, Option<LineKey>), Figures> = BTreeMap::new();
    for site in profile.sites.iter().filter(|site| is_native(profile, site)) {
        let library = site.stack.map(|stack| profile.stacks.frame(stack).function.as_str());
        let earlier = site.allocator == Allocator::Earlier;
        parts.entry((earlier, library, site.waiting)).or_default().add_site(site);
    }
    let share = |part: Estimate, all: Estimate| part.value >= (WORTH_A_ROW * all.value).max(1.0);
    let matters = |f: &Figures| {
        share(f.peak, tally.total.peak)
            || share(f.surviving, tally.total.surviving)
            || share(f.allocated, tally.total.allocated)
    };
    let (mut parts, little): (Vec<_>, Vec<_>) =
        parts.into_iter().filter(|(_, f)| !f.is_empty()).partition(|(_, f)| matters(f));
    let weight = |f: &Figures| f.peak.value.max(f.surviving.value);
    parts.sort_by(|(a, x), (b, y)| {
        let by_weight = weight(y).total_cmp(&weight(x));
        by_weight.then(y.allocated.value.total_cmp(&x.allocated.value)).then(a.cmp(b))
    });
    // One alone keeps its name.
    let kept = if parts.len() == ROWS + 1 { parts.len() } else { ROWS.min(parts.len()) };
    let others = parts.split_off(kept);
    let mut rows: Vec<(String, Figures)> = parts
        .into_iter()
        .map(|((earlier, library, waiting), figures)| {
            let label = if earlier { EARLIER.to_owned() } else { label(library, waiting, names) };
            (label, figures)
        })
        .collect();
    if !others.is_empty() {
        let label = format!("native threads: {} more", others.len());
        let mut sum = Figures::default();
        others.into_iter().for_each(|(_, figures)| sum += figures);
        rows.push((label, sum));
    }
    let mut sum = Figures::default();
    little.into_iter().for_each(|(_, figures)| sum += figures);
    (rows, sum)
}

/// As the tally has it: a native thread on whose stack is no line of the user's own.
fn is_native(profile: &Profile, site: &Site) -> bool {
    site.thread == ThreadKind::Native
        && site.stack.and_then(|stack| profile.stacks.user_line(stack)).is_none()
}

fn label(library: Option<&str>, waiting: Option<LineKey>, names: &Names<'_>) -> String {
    let of = library.map_or(String::new(), |library| format!(" of {library}"));
    let meanwhile =
        waiting.map_or(String::new(), |line| format!(", while {} ran", names.line(line)));
    format!("native threads{of}{meanwhile}")
}
