//! Whatever the profile: nothing panics, everything is well formed, safe and small enough.

use crate::fixtures;
use crate::reports::{parts_add_up, report};
use memprofile::profile::{
    Allocator, Balance, Bytes, Collection, Estimate, FileId, FileKind, Ledger, LineKey, Nanos,
    Profile, SignedBytes, Site, StackId, ThreadKind, TimelinePoint,
};
use memprofile::render;
use memprofile::report::{Options, Report};
use proptest::prelude::*;

/// What an untrusted JupyterLab leaves: tags with the attributes of their own.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("a", &["tabindex"]),
    ("div", &[]),
    ("p", &[]),
    ("span", &[]),
    ("strong", &[]),
    ("table", &[]),
    ("thead", &[]),
    ("tbody", &[]),
    ("tr", &[]),
    // The sanitizer's list for th is the one for td.
    ("th", &["colspan", "scope"]),
    ("td", &["colspan"]),
    ("img", &["src", "width", "alt"]),
    ("details", &["open"]),
    ("summary", &[]),
    ("ul", &[]),
    ("li", &[]),
    ("pre", &[]),
    ("small", &[]),
];

/// Reads a fragment strictly: every tag closed in order, every attribute quoted and allowed,
/// every ampersand one of an entity that we write.
pub fn check_html(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = rest[start..].find('>').expect("a tag is closed") + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "tags close in order");
            continue;
        }
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let allowed = ALLOWED.iter().find(|(tag, _)| *tag == name);
        let (_, own) = allowed.unwrap_or_else(|| panic!("<{name}> would not survive"));
        while !attributes.is_empty() {
            let (attribute, value) = attributes.split_once("=\"").expect("values are quoted");
            let (value, more) = value.split_once('"').expect("a value ends");
            assert!(
                own.contains(&attribute) || ["style", "class"].contains(&attribute),
                "{attribute}"
            );
            check_text(value);
            for bad in ["var(", "hsl(", "url(", "expression", "position"] {
                assert!(attribute != "style" || !value.contains(bad), "{value}");
            }
            if attribute == "src" {
                assert!(value.starts_with("data:image/svg+xml;base64,"));
            }
            attributes = more.trim_start();
        }
        if name != "img" {
            open.push(name);
        }
    }
    check_text(rest);
    assert!(open.is_empty(), "{open:?} left open");
}

fn check_text(text: &str) {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(['>', '"']) && !text.contains(hidden), "{text:?}");
    for (at, _) in text.match_indices('&') {
        let known = ["&lt;", "&gt;", "&amp;", "&quot;", "&#39;"];
        assert!(known.iter().any(|entity| text[at..].starts_with(entity)), "{:?}", &text[at..]);
    }
}

pub fn check(profile: &Profile, top: usize) -> Report {
    let report = Report::new(profile, &Options { top });
    assert!(parts_add_up(&report), "{:?}", report.table.rest);
    let html = render::html(&report).unwrap();
    assert!(html.len() <= 60_000, "{} B of HTML", html.len());
    check_html(&html);
    let svg = render::svg(&report).unwrap();
    resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).expect("well formed");
    for width in [60, render::USUAL, 160] {
        for line in render::text(&report, width, false).lines() {
            // A single word may be longer than a line.
            assert!(line.chars().count() <= width || !line.trim().contains(' '), "{width}: {line}");
        }
    }
    assert!(!render::text(&report, render::USUAL, true).is_empty());
    let page = render::page(&Report::unfolded(profile, &Options { top })).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.len() <= 1_000_000, "{} B of page", page.len());
    assert_eq!(render::line(&report).lines().count(), 1);
    assert!(render::alt_text(&report).chars().count() <= 601);
    report
}

pub fn check_png(report: &Report) {
    for largest in [usize::MAX, 28_000] {
        let png = render::png(report, largest).unwrap();
        assert!(png.bytes.len() <= largest.min(60_000), "{} B of PNG", png.bytes.len());
        let reader = png::Decoder::new(std::io::Cursor::new(&png.bytes)).read_info().unwrap();
        let scale = reader.info().width / png.width;
        assert!(matches!(scale, 1 | 2), "{scale}");
        let shown = (scale * png.width, scale * png.height);
        assert_eq!((reader.info().width, reader.info().height), shown);
    }
}

/// Holds all forms of an output against its bound, as a notebook would write them into its file.
pub fn check_bundle(report: &Report) {
    let wanted = render::Wanted { text: Some(render::USUAL), color: false, html: true, png: true };
    let bundle = render::bundle(report, wanted).unwrap();
    let (png, alt) = bundle.png.unwrap();
    assert!(png.bytes.len() <= 60_000, "{} B of PNG", png.bytes.len());
    let lines =
        |text: &str| -> Vec<String> { text.split_inclusive('\n').map(str::to_owned).collect() };
    let picture = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.bytes);
    let output = serde_json::json!({
        "data": {
            "image/png": picture,
            "text/html": lines(&bundle.html.unwrap()),
            "text/plain": lines(&bundle.text.unwrap()),
        },
        "metadata": {
            "image/png": { "alt": alt, "width": png.width, "height": png.height },
            "vscode_altText": alt,
        },
        "output_type": "display_data",
    });
    let written = serde_json::to_string_pretty(&output).unwrap();
    assert!(written.len() <= render::OUTPUT, "{} B of output", written.len());
}

#[test]
fn every_fixture_renders_within_its_bounds() {
    for (_, profile) in fixtures::all() {
        let report = check(&profile, 20);
        check_png(&report);
        check_bundle(&report);
    }
}

/// How many lines of a fragment have figures.
fn lines_with_figures(html: &str) -> usize {
    // Only these begin with a number and have no cell over all columns of figures.
    html.split("<tr ").filter(|row| row.contains("<pre ") && !row.contains("colspan")).count()
}

#[test]
fn whoever_asks_for_more_lines_gets_no_fewer() {
    for (name, profile) in fixtures::all() {
        let mut before = 0;
        for top in [1, 3, 7, 15, 25, 40, 60] {
            let report = Report::new(&profile, &Options { top });
            let shown = lines_with_figures(&render::html(&report).unwrap());
            assert!(shown >= before, "{name}: {shown} lines with --top {top}, {before} with less");
            assert!(shown <= report.table.lines().count());
            before = shown;
        }
    }
}

#[test]
fn source_cannot_break_out_of_the_page() {
    let html = render::html(&report(&fixtures::unicode())).unwrap();
    assert!(html.contains("&lt;script&gt;alert(&#39;&amp;amp;&#39;)&lt;/script&gt;"));
    assert!(!html.contains("<script"));
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        5 => 0..1u64 << 32,
        2 => 0..4096u64,
        1 => any::<u64>().prop_map(|n| n >> 12),
        1 => Just(0),
    ]
}

prop_compose! {
    fn estimate()(value in size(), noise in prop_oneof![Just(0.0), 0.0..1e14f64]) -> Estimate {
        Estimate { value: value as f64, variance: noise }
    }
}

prop_compose! {
    fn site(stacks: u32)(
        stack in proptest::option::of(0..stacks.max(1)),
        allocator in proptest::sample::select(Allocator::ALL.to_vec()),
        native in any::<bool>(),
        figures in [estimate(), estimate(), estimate(), estimate(), estimate()],
    ) -> Site {
        let [peak, surviving, allocated, temporary, count] = figures;
        let stack = stack.filter(|_| stacks > 0).map(StackId);
        let thread = if native { ThreadKind::Native } else { ThreadKind::Python };
        Site {
            stack,
            allocator,
            thread,
            peak,
            surviving,
            allocated,
            temporary,
            untouched: Bytes(0),
            count,
            waiting: None,
        }
    }
}

fn source() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ -~\t]{0,60}", 1 => "\\PC{0,40}", 1 => any::<String>(), 1 => "[a-z<&\"]{500,3000}"]
}

prop_compose! {
    /// A profile that a reader would accept, and no more than that.
    fn profile()(
        (cell, kinds) in (
            prop::collection::vec(source(), 0..120),
            prop::collection::vec((source(), 0..4u8), 0..4),
        ),
    )(
        frames in prop::collection::vec((any::<prop::sample::Index>(), 0..130u32, source()), 0..40),
        parents in prop::collection::vec(any::<prop::sample::Index>(), 40),
        points in prop::collection::vec((0..1u64 << 36, any::<i64>(), size(), prop::collection::vec(size(), 0..9)), 0..60),
        lines in prop::collection::vec((any::<prop::sample::Index>(), 0..130u32), 0..9),
        interval in prop_oneof![Just(0u64), 1..1u64 << 24],
        (peak, peak_at, delta, duration) in (size(), any::<u64>(), any::<i64>(), prop_oneof![Just(0), 0..1u64 << 40, any::<u64>()]),
        exception in proptest::option::of(source()),
        gaps in prop::collection::vec(source(), 0..30),
        collections in prop::collection::vec(any::<u64>(), 0..50),
        ledger in proptest::option::of(prop::array::uniform5(any::<i64>())),
        sites in prop::collection::vec(site(40), 0..60),
        cell in Just(cell),
        kinds in Just(kinds),
    ) -> Profile {
        let mut b = fixtures::Builder::cell(&cell.first().cloned().unwrap_or_default(), "", 1.0);
        b.profile.stacks.files[0].lines = (1..).zip(cell).collect();
        for (name, kind) in kinds {
            let kind = [FileKind::Cell, FileKind::User, FileKind::Library, FileKind::Machinery][kind as usize];
            b.file(&name, kind, &[(1, &name), (7, "x")]);
        }
        let files = b.profile.stacks.files.len();
        for (i, (file, line, function)) in frames.iter().enumerate() {
            let frame = (function.as_str(), FileId(file.index(files) as u32), *line);
            let stacks = &mut b.profile.stacks;
            stacks.frame_table.push(memprofile::profile::Frame { function: frame.0.into(), file: frame.1, line: frame.2 });
            stacks.frames.push(memprofile::profile::FrameId(i as u32));
            let parent = parents[i].index(i + 1);
            stacks.parents.push((parent < i).then_some(StackId(parent as u32)));
        }
        b.profile.recording.sample_interval = Bytes(interval);
        b.profile.recording.exception = exception;
        b.profile.gaps = gaps;
        b.profile.ledger = ledger.map(|parts| {
            let [resident, objects, arenas, blocks, free] = parts.map(SignedBytes);
            let balance = Balance { resident, objects, arenas, blocks, ..Balance::default() };
            let end = balance.settled([None, Some(Bytes(free.0.unsigned_abs()))], Bytes(0));
            Ledger { peak: balance.settled([None; 2], Bytes(0)), end }
        });
        b.profile.collection_count = 3;
        b.profile.collections = collections.into_iter().map(|at| Collection { at: Nanos(at), duration: Nanos(at), generation: 2, collected: at, uncollectable: at }).collect();
        b.profile.timeline.lines = lines.iter().map(|(file, line)| LineKey { file: FileId(file.index(files) as u32), line: *line }).collect();
        let width = lines.len();
        b.profile.timeline.points = points.into_iter().map(|(at, footprint, rss, mut held)| {
            held.truncate(width);
            let running = held.len().checked_sub(1).map(|line| line as u32);
            TimelinePoint { at: Nanos(at), footprint: SignedBytes(footprint), rss: Bytes(rss), held, running }
        }).collect();
        b.profile.sites = sites.into_iter().filter(|s| s.stack.is_none_or(|s| (s.0 as usize) < frames.len())).collect();
        let mut profile = b.finish(0.0, 0);
        profile.totals.peak_footprint = Bytes(peak);
        profile.totals.peak_at = Nanos(peak_at);
        profile.totals.footprint_delta = SignedBytes(delta);
        profile.recording.duration = Nanos(duration);
        profile
    }
}

/// So many cases, or as many as `PROPTEST_CASES` asks for.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(usual);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn any_profile_renders(profile in profile(), top in 0..60usize) {
        let profile = Profile::from_json(&profile.to_json()).unwrap();
        check(&profile, top);
    }
}

proptest! {
    #![proptest_config(cases(6))]

    #[test]
    fn any_profile_fits_into_a_small_png(profile in profile()) {
        check_png(&report(&profile));
    }

    #[test]
    fn any_profile_fits_into_an_output(profile in profile(), top in 0..60usize) {
        check_bundle(&Report::new(&profile, &Options { top }));
    }
}
