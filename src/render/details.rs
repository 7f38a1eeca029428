//! What is said below the pictures, folded: how it was measured, by allocator, the collector,
//! and, on a page of its own, the calls to unfold.

use super::breakdown;
use super::lettering::{clip, escape};
use super::text::count;
use super::{ledger, theme};
use crate::profile::{Allocator, Bytes, Nanos, SignedBytes, Totals};
use crate::report::{Kind, Node, Report};
use std::fmt::Write as _;

pub(super) fn section(out: &mut String, summary: &str, body: &str) {
    let _ = write!(
        out,
        "<details style=\"margin:0;color:{}\"><summary style=\"padding:3px 0\">{summary}</summary>{body}</details>",
        theme::TEXT.hex()
    );
}

fn item(out: &mut String, text: &str) {
    let _ = write!(out, "<li>{}</li>", escape(text));
}

fn list(items: impl FnOnce(&mut String)) -> String {
    let mut body = String::from("<ul style=\"margin:4px 0 6px;padding-left:22px\">");
    items(&mut body);
    body.push_str("</ul>");
    body
}

/// Appends the sections of the fragment.
pub fn write(out: &mut String, report: &Report) {
    if !report.allocators.is_empty() {
        section(out, "By allocator and size", &breakdown::tables(report));
    }
    ledger::write(out, report);
    collector(out, report);
    measured(out, report);
}

/// An allocator in a reader's words.
pub(super) fn allocator_words(allocator: Allocator) -> &'static str {
    match allocator {
        Allocator::Pymalloc => "small Python objects (pymalloc)",
        Allocator::Malloc => "the C library’s heap (malloc)",
        Allocator::Mmap => "pages from the kernel (mmap)",
        Allocator::Arrow => "Arrow’s memory pools",
        Allocator::Polars => "the allocator of polars",
        Allocator::Earlier => "memory from before the start, written to",
    }
}

/// Growth of files in memory that is worth a sentence.
const WORTH_SAYING: u64 = 1 << 20;

fn of_files(totals: &Totals) -> Option<String> {
    let files = &totals.of_files;
    (files.grown().0 >= WORTH_SAYING).then(|| {
        let stays = SignedBytes(files.end.0 as i64 - files.start.0 as i64);
        format!(
            "Of the resident set, files mapped into memory (data, libraries): {} at most, {stays} at the end, above the start. They are not in the footprint: the kernel can drop their pages.",
            files.grown()
        )
    })
}

fn collector(out: &mut String, report: &Report) {
    let c = &report.collector;
    let runs =
        if c.runs == 1 { "1 run".to_owned() } else { format!("{} runs", count(c.runs as f64)) };
    if c.runs == 0 {
        section(out, "Garbage collector: no run", "");
        return;
    }
    let least = if c.partial { "at least " } else { "" };
    let body = list(|body| {
        item(body, &format!("{least}{} objects freed", count(c.collected as f64)));
        if c.uncollectable > 0 {
            item(body, &format!("{} objects could not be freed", count(c.uncollectable as f64)));
        }
        if c.partial {
            item(body, "not every run was timed; of these the longest are kept");
        }
    });
    let summary = format!("Garbage collector: {runs}, {least}{}", Nanos(c.nanos));
    section(out, &summary, &body);
}

fn measured(out: &mut String, report: &Report) {
    let r = &report.recording;
    let body = list(|body| {
        item(
            body,
            &if r.exact() {
                let asked = if r.exact_asked { ", as --exact asks for" } else { "" };
                format!(
                    "Exact: every allocation was recorded{asked}, {} in all; no figure is an estimate.",
                    count(report.table.total.count.value)
                )
            } else {
                format!(
                    "Sampled: one allocation every {} on average, {} samples; ± beside a line’s figure is half of its 95% interval, left out below 0.5%, and “rough” means that the error may be as large as the figure. The peak and the footprint at the end are exact. --exact records every allocation, for more time and memory.",
                    r.sample_interval,
                    count(r.events as f64)
                )
            },
        );
        if let Some(overhead) = report.overhead() {
            item(
                body,
                &format!(
                    "Overhead as measured: {} of {} ({overhead}) were spent in the recorder, which held {} at most; the few instructions that each allocation passes besides are not in it.",
                    r.overhead, r.duration, r.own_memory
                ),
            );
        }
        let t = &report.totals;
        let mark = if t.peak_rss_exact {
            "the kernel’s own high-water mark".to_owned()
        } else {
            format!("the largest reading, one every {}", r.poll_period)
        };
        item(
            body,
            &format!(
                "Resident set: {} at the start, {} at most ({mark}), {} at the end.",
                t.start_rss, t.peak_rss, t.end_rss
            ),
        );
        if let Some(sentence) = of_files(t) {
            item(body, &sentence);
        }
        item(
            body,
            &format!(
                "Footprint at the end: {} against the start. All sizes are above the start; KiB, MiB, GiB count by 1024.",
                t.footprint_delta
            ),
        );
        for gap in report.gaps.iter().take(12) {
            item(body, &clip(gap, 400));
        }
        if report.gaps.len() > 12 {
            item(body, &format!("and {} more notes", report.gaps.len() - 12));
        }
        item(body, &format!("{} on {}", clip(&r.interpreter, 80), clip(&r.platform, 80)));
    });
    let how =
        if r.exact() { "exact".to_owned() } else { format!("sampled every {}", r.sample_interval) };
    section(out, &format!("How this was measured: {how}"), &body);
}

/// Appends the calls that held memory at the peak, as nested sections to unfold.
pub fn calls(out: &mut String, root: &Node, letters: usize) {
    let whole = root.bytes.max(1.0);
    for child in &root.children {
        call(out, child, whole, letters);
    }
}

fn call(out: &mut String, node: &Node, whole: f64, letters: usize) {
    let detail = if node.detail.is_empty() {
        String::new()
    } else {
        format!(" · {}", clip(&node.detail, letters.min(200)))
    };
    let share = node.bytes / whole * 100.0;
    let text = escape(&format!("{}{detail}", clip(&node.label, letters)));
    let label = format!(
        "<span style=\"display:inline-block;width:12px;height:12px;margin-right:6px;background:{}\"></span><strong>{}</strong> ({share:.1}%) {text}",
        theme::of(node.hue).hex(),
        Bytes::from_f64(node.bytes),
    );
    if node.children.is_empty() {
        let _ = write!(out, "<div style=\"margin:2px 0 2px 16px\">{label}</div>");
        return;
    }
    let open = if node.kind == Kind::Line { " open" } else { "" };
    let _ = write!(
        out,
        "<details{open} style=\"margin:0 0 0 16px\"><summary style=\"padding:3px 0\">{label}</summary>"
    );
    for child in &node.children {
        call(out, child, whole, letters);
    }
    out.push_str("</details>");
}
