//! By allocator, by size and by line: each way to take a recording apart adds up to it.

use crate::fixtures;
use crate::reports::{parts_add_up, report};
use memprofile::profile::{
    Allocator, Bytes, Copies, Estimate, FileId, FileKind, LineKey, Profile, SizeClass, ThreadKind,
};
use memprofile::render;
use memprofile::report::{Figures, sizes};

fn sum(parts: impl Iterator<Item = Estimate>) -> Estimate {
    parts.fold(Estimate::default(), |mut sum, part| {
        sum += part;
        sum
    })
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1.0 + 1e-9 * a.abs().max(b.abs())
}

#[test]
fn allocators_and_sizes_add_up_to_the_sites() {
    for (name, profile) in fixtures::all() {
        let report = report(&profile);
        let of = |figure: fn(&Figures) -> Estimate| {
            sum(report.allocators.iter().map(|(_, figures)| figure(figures)))
        };
        for (part, whole) in [
            (of(|f| f.peak), profile.totals.live_at_peak),
            (of(|f| f.surviving), profile.totals.surviving),
            (of(|f| f.allocated), profile.totals.allocated),
            (of(|f| f.count), profile.totals.allocation_count),
            (sum(report.sizes.iter().map(|row| row.allocated)), profile.totals.allocated),
            (sum(report.sizes.iter().map(|row| row.count)), profile.totals.allocation_count),
        ] {
            assert!(close(part.value, whole.value), "{name}: {part:?} of {whole:?}");
            assert!(close(part.variance, whole.variance), "{name}: {part:?} of {whole:?}");
        }
    }
}

#[test]
fn bytes_without_a_size_are_a_row_of_their_own() {
    let mut profile = fixtures::exact_small();
    let lost = profile.sizes.pop().unwrap();
    let rows = sizes::by_size(&profile);
    let last = rows.last().unwrap();
    assert_eq!((last.from, last.allocated, last.count), (None, lost.allocated, lost.count));
    assert_eq!(last.label(), "of a size that is not known");
    // As in a file that an earlier build wrote.
    let old = profile.to_json().replace(&serde_json::to_string(&profile.sizes).unwrap(), "[]");
    let rows = sizes::by_size(&Profile::from_json(&old).unwrap());
    assert_eq!(sum(rows.iter().map(|row| row.allocated)), profile.totals.allocated);
}

#[test]
fn the_tables_say_their_figures_as_text() {
    let html = render::html(&report(&fixtures::exact_small())).unwrap();
    let text = html.replace('\u{A0}', " ");
    for words in
        ["By allocator and size", "size of a block", "4 MiB to 8 MiB", "128 to 255 B", "50,021"]
    {
        assert!(text.contains(words), "{words}");
    }
    let sampled = render::html(&report(&fixtures::sampled_large())).unwrap();
    assert!(sampled.matches("±").count() > 10);
}

/// A cell of which line 2 made three temporaries beside its result.
fn copies(result: u64) -> Profile {
    let mut profile = fixtures::failed();
    let line = LineKey { file: FileId(0), line: 2 };
    let size = Bytes(100 << 20);
    profile.copies = vec![Copies {
        line,
        temporaries: 3,
        temporary: Bytes(3 * size.0),
        sizes: (size, size),
        result: Bytes(result << 20),
        most: Bytes(3 * size.0 + (result << 20)),
    }];
    profile
}

#[test]
fn a_line_that_makes_copies_says_so() {
    let profile = copies(100);
    let words = "3 temporaries of 100 MiB at once; the line’s peak is 4× its result";
    let report = report(&profile);
    assert_eq!(report.verdict.advice.as_deref(), Some(&*format!("Line 2 made {words}.")));
    // In the verdict, under the line, and for whoever does not see the picture.
    assert_eq!(render::html(&report).unwrap().matches(words).count(), 3);
    assert_eq!(render::text(&report, render::USUAL, false).matches(words).count(), 1);
    assert_eq!(Profile::from_json(&profile.to_json()).unwrap(), profile);
}

#[test]
fn what_is_no_copy_is_not_called_one() {
    let report = report(&copies(400));
    assert!(report.copies.is_empty());
    assert!(!report.verdict.advice.unwrap_or_default().contains("temporar"));
}

#[test]
fn a_line_of_no_file_is_refused() {
    let mut profile = copies(100);
    profile.copies[0].line.file = FileId(99);
    assert!(Profile::from_json(&profile.to_json()).is_err());
    let mut profile = fixtures::sampled_large();
    profile.sites[0].waiting = Some(LineKey { file: FileId(99), line: 1 });
    assert!(Profile::from_json(&profile.to_json()).is_err());
}

#[test]
fn what_was_never_touched_stands_beside_what_was_asked_for() {
    let report = report(&fixtures::reserved());
    let html = render::html(&report).unwrap().replace('\u{A0}', " ");
    let words = "3.73 GiB</strong><div style=\"color:#57606a\">touched 76.0 MiB</div>";
    assert_eq!(html.matches(words).count(), 1, "{html}");
    let text = render::text(&report, render::USUAL, false);
    assert!(text.contains("line 2: allocated 3.73 GiB, touched 76.0 MiB"), "{text}");
    assert!(render::page(&report).unwrap().contains("\"touched\":\"touched 76.0 MiB\""));
    // Nothing of line 4 was left alone.
    assert_eq!(html.matches(">touched ").count(), 2, "the line's and the sum's");
}

#[test]
fn memory_that_was_used_again_is_explained() {
    let html = render::html(&report(&fixtures::reserved())).unwrap();
    assert!(html.contains("less: in memory from before the start</th>"));
    assert!(html.contains("so it took no new memory"));
}

#[test]
fn every_allocator_has_its_rows() {
    let names: Vec<Allocator> =
        report(&fixtures::sampled_large()).allocators.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [Allocator::Pymalloc, Allocator::Malloc, Allocator::Mmap]);
    assert_eq!(SizeClass::COUNT, 27);
}

#[test]
fn native_threads_are_rows_by_library_and_line() {
    let mut profile = fixtures::sampled_large();
    let labels = |profile: &Profile| -> Vec<String> {
        let report = report(profile);
        assert!(parts_add_up(&report));
        let rest = report.table.rest.into_iter().map(|rest| rest.label);
        rest.filter(|label| label.starts_with("native")).collect()
    };
    assert_eq!(labels(&profile), ["native threads"]);
    let plain = profile.sites.iter().position(|site| site.stack.is_none()).unwrap();
    let mut b = fixtures::Builder { profile };
    let file = b.file("<native thread>", FileKind::Library, &[]);
    for size in 2..9u64 {
        let stack = b.stack(&[(&format!("library{size}"), file, 0)]);
        b.site(Some(stack), Allocator::Malloc, [size << 20, 0, size << 20, 1]);
        let site = b.profile.sites.last_mut().unwrap();
        site.thread = ThreadKind::Native;
        site.waiting = (size == 8).then_some(LineKey { file: FileId(0), line: 4 });
    }
    profile = b.finish(2.33, 0);
    assert_eq!(
        labels(&profile),
        [
            "native threads of library8, while line 4 ran",
            "native threads of library7",
            // That of the fixture, of no known library.
            "native threads",
            "native threads of library6",
            "native threads of library5",
            "native threads: 3 more",
        ]
    );
    // Some bytes of the kernel's own sockets: no row, and in the sum all the same.
    let mut b = fixtures::Builder { profile };
    let stack = b.stack(&[("libzmq", file, 0)]);
    b.site(Some(stack), Allocator::Malloc, [656, 656, 656, 1]);
    b.profile.sites.last_mut().unwrap().thread = ThreadKind::Native;
    profile = b.finish(2.33, 0);
    assert!(!labels(&profile).iter().any(|label| label.contains("libzmq")));
    let text = render::text(&report(&profile), render::USUAL, false);
    assert!(!text.contains("native threads of"), "8 MiB of 1.45 GiB are no line's worth: {text}");
    profile.totals.peak_footprint = Bytes(60 << 20);
    let text = render::text(&report(&profile), render::USUAL, false);
    assert!(text.contains("native threads of library8, while line 4 ran: 8.00 MiB at the peak"));
    profile.sites.remove(plain);
    let icicle = report(&profile).icicle.unwrap();
    let native = icicle.children.iter().find(|node| node.label == "native threads").unwrap();
    assert_eq!(native.children[0].label, "library8");
}
