//! Profiles with known figures, for tests and for the gallery: small enough to check by hand,
//! odd enough to break a drawing.

#[path = "builder.rs"]
mod builder;
#[path = "kinds.rs"]
mod kinds;

pub use builder::{Builder, MIB};
pub use kinds::*;

use memprofile::profile::{
    Allocator, Bytes, Collection, FileId, FileKind, Frame, FrameId, LineKey, NameChange, Names,
    Nanos, Profile, SignedBytes, StackId,
};

/// A cell that did next to nothing.
pub fn tiny() -> Profile {
    let mut b = Builder::cell("cell [2]", "x = [1, 2, 3]\nlen(x)", 0.000_012);
    let line = b.stack(&[("<module>", FileId(0), 1)]);
    b.site(Some(line), Allocator::Pymalloc, [3174, 88, 3174, 4]);
    b.finish(0.000_006, 0)
}

/// A cell that allocated nothing at all.
pub fn empty() -> Profile {
    let mut profile = Builder::cell("cell [1]", "# nothing to see", 0.0).finish(0.0, 0);
    profile.totals.peak_rss = Bytes(0);
    profile
}

/// Two lines, every allocation recorded.
pub fn exact_small() -> Profile {
    let source =
        "rows = [str(i) * 20 for i in range(50_000)]\ntext = \"\\n\".join(rows)\nprint(len(text))";
    let mut b = Builder::cell("cell [5]", source, 0.084);
    let one = b.stack(&[("<module>", FileId(0), 1)]);
    let two = b.stack(&[("<module>", FileId(0), 2)]);
    b.site(Some(one), Allocator::Pymalloc, [7 * MIB, 7 * MIB, 9 * MIB, 50_021]);
    b.site(Some(two), Allocator::Malloc, [5 * MIB, 5 * MIB, 5 * MIB, 1]);
    b.timeline(
        &[1, 2],
        &[(0.0, &[0, 0], 0), (0.06, &[7, 0], 0), (0.062, &[7, 5], 1), (0.084, &[7, 5], 1)],
        12,
    );
    let mut profile = b.finish(0.07, 8 * MIB as i64);
    profile.recording.overhead = Nanos(9_000_000);
    let changed = vec![
        name("rows", "list", None, Some(7 * MIB)),
        name("text", "str", Some(MIB / 4), Some(5 * MIB)),
        name("old_rows", "list", Some(2 * MIB), None),
        name("config", "settings.Config", Some(1000), Some(1100)),
    ];
    profile.names = Names::new(changed, vec!["everything".to_owned()]);
    profile
}

fn name(name: &str, kind: &str, before: Option<u64>, after: Option<u64>) -> NameChange {
    let [before, after] = [before, after].map(|bytes| bytes.map(Bytes));
    NameChange { name: name.into(), kind: kind.into(), before, after, at_least: false }
}

/// The story of the sketch: a pivot that is three times its result.
pub fn sampled_large() -> Profile {
    let source = "import pandas as pd\npath = \"sales.csv\"\ndf = pd.read_csv(path)\ndf[\"city\"] = df[\"city\"].astype(\"category\")\n\ndef spread(frame):\n    wide = frame.pivot_table(\"price\", \"day\", \"store\", aggfunc=\"sum\", observed=False)\n    return wide.fillna(0)\ntop = spread(df).sum().nlargest(10)";
    let mut b = Builder::cell("cell [12]", source, 4.2);
    b.profile.recording.sample_interval = Bytes(64 << 10);
    let machinery =
        b.file("/usr/lib/python3/IPython/core/interactiveshell.py", FileKind::Machinery, &[]);
    let frame = b.file("/usr/lib/python3/pandas/core/frame.py", FileKind::Library, &[]);
    let pivot = b.file("/usr/lib/python3/pandas/core/reshape/pivot.py", FileKind::Library, &[]);
    let reshape = b.file("/usr/lib/python3/pandas/core/reshape/reshape.py", FileKind::Library, &[]);
    let group = b.file("/usr/lib/python3/pandas/core/groupby/generic.py", FileKind::Library, &[]);
    let readers = b.file("/usr/lib/python3/pandas/io/parsers/readers.py", FileKind::Library, &[]);
    let c_parser =
        b.file("/usr/lib/python3/pandas/io/parsers/c_parser_wrapper.py", FileKind::Library, &[]);
    let category =
        b.file("/usr/lib/python3/pandas/core/arrays/categorical.py", FileKind::Library, &[]);
    let cell = FileId(0);
    let root = ("run_code", machinery, 3508);
    let s = |b: &mut Builder, frames: &[(&str, FileId, u32)]| {
        let mut all = vec![root];
        all.extend_from_slice(frames);
        b.stack(&all)
    };
    let read = ("<module>", cell, 3);
    let strings = s(
        &mut b,
        &[
            read,
            ("read_csv", readers, 1026),
            ("_read", readers, 626),
            ("TextFileReader.read", readers, 1923),
            ("CParserWrapper.read", c_parser, 234),
            ("_string_box_utf8", c_parser, 1),
        ],
    );
    let numbers = s(
        &mut b,
        &[
            read,
            ("read_csv", readers, 1026),
            ("_read", readers, 626),
            ("TextFileReader.read", readers, 1923),
            ("_concatenate_chunks", c_parser, 340),
        ],
    );
    b.site(Some(strings), Allocator::Pymalloc, [290 * MIB, 40 * MIB, 700 * MIB, 6_100_000]);
    b.site(Some(numbers), Allocator::Malloc, [100 * MIB, 44 * MIB, 530 * MIB, 110_332]);
    let cats = s(
        &mut b,
        &[("<module>", cell, 4), ("astype", frame, 6643), ("Categorical.__init__", category, 446)],
    );
    b.site(Some(cats), Allocator::Malloc, [131 * MIB, 150 * MIB, 310 * MIB, 412]);
    let spread = [
        ("<module>", cell, 9),
        ("spread", cell, 7),
        ("DataFrame.pivot_table", frame, 9509),
        ("pivot_table", pivot, 102),
        ("__internal_pivot_table", pivot, 172),
    ];
    let mut with = |frames: &[(&str, FileId, u32)], figures: [u64; 4]| {
        let mut all = spread.to_vec();
        all.extend_from_slice(frames);
        let stack = s(&mut b, &all);
        b.site(Some(stack), Allocator::Mmap, figures);
    };
    with(
        &[
            ("DataFrame.unstack", frame, 9928),
            ("unstack", reshape, 504),
            ("_Unstacker._make_selectors", reshape, 190),
        ],
        [176 * MIB, 0, 300 * MIB, 904],
    );
    with(
        &[
            ("DataFrame.unstack", frame, 9928),
            ("unstack", reshape, 504),
            ("_Unstacker.get_new_values", reshape, 260),
        ],
        [471 * MIB, 0, 800 * MIB, 8_000],
    );
    with(
        &[("DataFrameGroupBy.agg", group, 1445), ("_cython_operation", group, 999)],
        [235 * MIB, 0, 480 * MIB, 9_000],
    );
    with(&[("DataFrameGroupBy.agg", group, 1445)], [30 * MIB, 0, 58 * MIB, 1_000]);
    let fill = s(&mut b, &[("<module>", cell, 9), ("spread", cell, 8), ("fillna", frame, 5700)]);
    b.site(Some(fill), Allocator::Mmap, [0, 0, 410 * MIB, 37]);
    let top = s(&mut b, &[("<module>", cell, 9), ("DataFrame.sum", frame, 11_300)]);
    b.site(Some(top), Allocator::Malloc, [0, 60 * MIB, 88 * MIB, 1_120]);
    let import = s(&mut b, &[("<module>", cell, 1)]);
    b.site(Some(import), Allocator::Pymalloc, [2 * MIB, 2 * MIB, 3 * MIB, 30_011]);
    b.site(None, Allocator::Malloc, [6 * MIB, 0, 12 * MIB, 40]);
    b.timeline(
        &[3, 4, 7, 8, 9, 1],
        &[
            (0.0, &[0, 0, 0, 0, 0, 1], 5),
            (0.1, &[0, 0, 0, 0, 0, 2], 5),
            (1.3, &[390, 0, 0, 0, 0, 2], 0),
            (1.6, &[390, 131, 0, 0, 0, 2], 1),
            (1.7, &[390, 131, 0, 0, 0, 2], 2),
            (2.3, &[390, 131, 912, 0, 0, 2], 2),
            (2.36, &[390, 131, 912, 0, 0, 2], 2),
            (2.38, &[390, 131, 0, 0, 0, 2], 3),
            (2.9, &[390, 140, 0, 205, 0, 2], 3),
            (3.0, &[390, 140, 0, 205, 0, 2], 3),
            (3.06, &[90, 148, 0, 205, 0, 2], 4),
            (3.4, &[84, 150, 0, 205, 0, 2], 4),
            (3.42, &[84, 150, 0, 0, 0, 2], 4),
            (3.9, &[84, 150, 0, 0, 60, 2], 4),
            (4.2, &[84, 150, 0, 0, 60, 2], 4),
        ],
        30,
    );
    for (i, ms) in [400, 900, 1200, 2600, 3030].into_iter().enumerate() {
        b.profile.collections.push(Collection {
            at: Nanos(ms * 1_000_000),
            duration: Nanos(6_200_000),
            generation: 2,
            collected: i as u64 * 100,
            uncollectable: 0,
        });
    }
    b.profile.collection_count = 5;
    b.profile
        .gaps
        .push("GPU memory is not seen: it is not in this process's address space.".to_owned());
    b.finish(2.33, 18 * MIB as i64)
}

/// A cell that ended by an exception, with less footprint than its parts.
pub fn failed() -> Profile {
    let source =
        "import numpy as np\na = np.ones(40_000_000)\nb = np.concatenate([a] * 4)  # too much";
    let mut b = Builder::cell("cell [7]", source, 0.61);
    let one = b.stack(&[("<module>", FileId(0), 2)]);
    let numpy = b.file("/usr/lib/python3/numpy/core/multiarray.py", FileKind::Library, &[]);
    let two = b.stack(&[("<module>", FileId(0), 3), ("concatenate", numpy, 154)]);
    b.site(Some(one), Allocator::Mmap, [305 * MIB, 305 * MIB, 305 * MIB, 1]);
    b.site(Some(two), Allocator::Mmap, [20 * MIB, 0, 20 * MIB, 2]);
    b.timeline(
        &[2, 3],
        &[(0.0, &[0, 0], 0), (0.4, &[305, 0], 0), (0.6, &[305, 20], 1), (0.61, &[305, 0], 1)],
        20,
    );
    let mut profile = b.finish(0.59, -9 * MIB as i64);
    profile.recording.exception = Some("MemoryError".to_owned());
    profile.totals.peak_rss_exact = false;
    profile
}

/// A cell that only frees what another one made.
pub fn frees() -> Profile {
    let mut b = Builder::cell("cell [8]", "del big\nnote = \"done\"", 0.012);
    let line = b.stack(&[("<module>", FileId(0), 2)]);
    b.site(Some(line), Allocator::Pymalloc, [9626, 9626, 9700, 31]);
    b.timeline(&[2], &[(0.0, &[0], 0), (0.012, &[0], 0)], 12);
    let before = 100 * MIB as i64;
    for point in &mut b.profile.timeline.points {
        let freed = point.at >= Nanos(4_000_000);
        point.footprint = SignedBytes(if freed { 9626 - before } else { 9626 });
        point.rss = Bytes(if freed { 160 } else { 260 } * MIB);
    }
    let mut profile = b.finish(0.001, 0);
    profile.totals.footprint_delta = SignedBytes(9626 - before);
    profile.totals.peak_rss = profile.totals.start_rss;
    profile.totals.end_rss = Bytes(160 * MIB);
    profile
}

/// A cell that is run again: the new frame takes the place of the old one, which is freed only
/// when the new one is there but for the last MiB.
pub fn replaces() -> Profile {
    let source = "import pandas as pd\nframe = build(1_000_000)";
    let mut b = Builder::cell("cell [9]", source, 0.4);
    let line = b.stack(&[("<module>", FileId(0), 2)]);
    let size = 28 * MIB + 600 * 1024;
    b.site(Some(line), Allocator::Mmap, [size, size, 2 * size, 40]);
    b.timeline(&[2], &[(0.0, &[0], 0), (0.3, &[28], 0), (0.4, &[28], 0)], 12);
    for point in &mut b.profile.timeline.points {
        let share = (point.at.seconds() / 0.3).min(1.0);
        point.footprint = SignedBytes((share * 1_004_544.0) as i64);
        point.rss = Bytes(261 * MIB);
    }
    let mut profile = b.finish(0.3, 1_004_544 - size as i64);
    profile.totals.footprint_delta = SignedBytes(104_858);
    profile
}

/// More lines than anybody reads, in the cell and in a module of the user's own.
pub fn many_lines() -> Profile {
    let source: Vec<String> = (1..=300)
        .map(|i| {
            if i % 3 == 0 {
                format!("table_{i} = load(\"part-{i}.parquet\", columns=[\"a\", \"b\"])")
            } else {
                format!("# step {i}")
            }
        })
        .collect();
    let mut b = Builder::cell("cell [40]", &source.join("\n"), 75.0);
    let helpers = b.file(
        "/home/ana/project/loading/helpers.py",
        FileKind::User,
        &[(12, "    return pq.read_table(path).to_pandas()"), (30, "cache[key] = frame.copy()")],
    );
    let arrow = b.file("/usr/lib/python3/pyarrow/parquet/core.py", FileKind::Library, &[]);
    for i in 1..=100u32 {
        let cell = ("<module>", FileId(0), i * 3);
        let own = b.stack(&[cell]);
        let size = u64::from(i * i % 97) * MIB / 3;
        b.site(Some(own), Allocator::Malloc, [size, size / 2, size * 2, u64::from(i)]);
        let inner = b.stack(&[
            cell,
            ("load", helpers, 12),
            ("read_table", arrow, 1800),
            ("ParquetDataset.read", arrow, 1470),
        ]);
        b.site(Some(inner), Allocator::Mmap, [2 * MIB, 0, 9 * MIB, 3]);
    }
    let cache = b.stack(&[("<module>", FileId(0), 3), ("load", helpers, 30)]);
    b.site(Some(cache), Allocator::Malloc, [700 * MIB, 690 * MIB, 700 * MIB, 100]);
    let only_library = b.stack(&[("worker", arrow, 20)]);
    b.site(Some(only_library), Allocator::Malloc, [44 * MIB, MIB, 99 * MIB, 12]);
    let lines: Vec<u32> = (1..=40).map(|i| i * 3).collect();
    let full: Vec<u64> = lines.iter().map(|l| u64::from(l * l % 97) / 3).collect();
    let none = vec![0; 40];
    let knots: Vec<(f64, Vec<u64>, u32)> = (0..=40)
        .map(|k: usize| {
            (
                75.0 * k as f64 / 40.0,
                full[..k].iter().chain(&none[k..]).copied().collect(),
                k.saturating_sub(1) as u32,
            )
        })
        .collect();
    let knots: Vec<(f64, &[u64], u32)> =
        knots.iter().map(|(t, h, r)| (*t, h.as_slice(), *r)).collect();
    b.timeline(&lines, &knots, 12);
    let mut profile = b.finish(74.0, 30 * MIB as i64);
    profile.timeline.lines.push(LineKey { file: helpers, line: 30 });
    let peak = profile.totals.peak_footprint.as_f64();
    for point in &mut profile.timeline.points {
        let share = point.at.seconds() / 74.0;
        point.held.push((share.min(1.0) * 700.0) as u64 * MIB);
        point.footprint = SignedBytes((share.min(1.0).powi(2) * peak) as i64);
        point.rss = Bytes(profile.totals.start_rss.0 + (share * peak) as u64);
    }
    profile.collection_count = 1200;
    profile.collections = (0..200)
        .map(|i| Collection {
            at: Nanos(i * 370_000_000),
            duration: Nanos(1_000_000),
            generation: (i % 3) as u8,
            collected: i,
            uncollectable: 0,
        })
        .collect();
    profile
}

/// Source that wants to break a page.
pub fn unicode() -> Profile {
    let long = format!("名前 = \"{}\"", "长い文字列".repeat(60));
    let source = format!(
        "größe = \"<script>alert('&amp;')</script>\" # \u{202E}rtl\n{long}\n\tif x < 3 && y > \"4\": 🐼 = '👩‍👩‍👧‍👦' * 10**6 \u{7}\u{1b}[31m\n]]> --> </td></table>"
    );
    let mut b = Builder::cell("セル <[3]> & \"co\"", &source, 0.9);
    let library = b.file("/usr/lib/python3/größe/模块<x>.py", FileKind::Library, &[]);
    for line in 1..=4u32 {
        let stack = b.stack(&[
            ("<module>", FileId(0), line),
            ("função<lambda>", library, 3),
            ("数据.加载", library, 9),
        ]);
        b.site(
            Some(stack),
            Allocator::Malloc,
            [u64::from(line) * 20 * MIB, u64::from(line) * 9 * MIB, u64::from(line) * 30 * MIB, 7],
        );
    }
    b.timeline(
        &[1, 2, 3, 4],
        &[
            (0.0, &[0, 0, 0, 0], 0),
            (0.2, &[20, 0, 0, 0], 0),
            (0.4, &[20, 40, 0, 0], 1),
            (0.6, &[20, 40, 60, 0], 2),
            (0.8, &[20, 40, 60, 80], 3),
            (0.9, &[9, 18, 27, 36], 3),
        ],
        20,
    );
    let mut profile = b.finish(0.8, 8 * MIB as i64);
    profile.recording.exception = Some("KeyboardInterrupt".to_owned());
    let hostile = "<b>\u{202E}数据\n\u{1F43C}".repeat(40);
    let mut change = name(&hostile, &hostile, Some(MIB), Some(9 * MIB));
    change.at_least = true;
    profile.names = Names::new(vec![change], vec![hostile; 300]);
    profile
}

/// Thousands of sites, hundreds of points, sixty lines: the largest that is to be expected.
pub fn big() -> Profile {
    let source: Vec<String> = (1..=60)
        .map(|i| format!("frame_{i} = frame_{}.merge(other, on=\"key\").dropna()", i - 1))
        .collect();
    let mut b = Builder::cell("cell [99]", &source.join("\n"), 30.0);
    b.profile.recording.sample_interval = Bytes(256 << 10);
    let files: Vec<FileId> = (0..40)
        .map(|i| {
            b.file(&format!("/usr/lib/python3/pandas/core/part_{i}.py"), FileKind::Library, &[])
        })
        .collect();
    let mut seed = 12_345u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    let stacks = &mut b.profile.stacks;
    for line in 1..=60 {
        stacks.frame_table.push(Frame { function: "<module>".to_owned(), file: FileId(0), line });
        stacks.frames.push(FrameId(line - 1));
        stacks.parents.push(None);
    }
    for i in 0..5000u32 {
        let file = files[random() as usize % files.len()];
        stacks.frame_table.push(Frame {
            function: format!("Class{}.method_{}", i % 50, random() % 200),
            file,
            line: i,
        });
        stacks.frames.push(FrameId(60 + i));
        let parent = if i < 300 { random() % 60 } else { 60 + random() % i };
        stacks.parents.push(Some(StackId(parent)));
    }
    for i in 0..5000u32 {
        let size = u64::from(random() % 4000) * 1000;
        b.site(
            Some(StackId(60 + i)),
            Allocator::Malloc,
            [size, size / 5, size * 2, u64::from(random() % 90)],
        );
    }
    let lines: Vec<u32> = (1..=60).collect();
    let knots: Vec<(f64, Vec<u64>, u32)> = (0..=500)
        .map(|k: u32| {
            (
                30.0 * f64::from(k) / 500.0,
                (0..60).map(|l| u64::from(random() % 120) + l * u64::from(k) / 200).collect(),
                random() % 60,
            )
        })
        .collect();
    let knots: Vec<(f64, &[u64], u32)> =
        knots.iter().map(|(t, h, r)| (*t, h.as_slice(), *r)).collect();
    b.timeline(&lines, &knots, 1);
    b.finish(21.0, 30 * MIB as i64)
}

/// All of them, by name.
pub fn all() -> Vec<(&'static str, Profile)> {
    vec![
        ("empty", empty()),
        ("tiny", tiny()),
        ("one_line", one_line()),
        ("exact_small", exact_small()),
        ("sampled_large", sampled_large()),
        ("many_lines", many_lines()),
        ("modules", modules()),
        ("failed", failed()),
        ("frees", frees()),
        ("replaces", replaces()),
        ("kept_by_malloc", kept_by_malloc()),
        ("workers", workers()),
        ("forked_workers", forked_workers()),
        ("reserved", reserved()),
        ("threads", threads()),
        ("long_source", long_source()),
        ("unicode", unicode()),
        ("big", big()),
    ]
}
