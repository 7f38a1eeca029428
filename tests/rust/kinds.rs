//! One profile of each kind of recording that has a part of the report to itself.

use super::builder::{Builder, MIB};
use memprofile::profile::{
    Allocator, Balance, Bytes, Child, ChildPoint, Collection, FileId, FileKind, Forked, ForkedLine,
    Ledger, LineKey, Nanos, Profile, SignedBytes, ThreadKind,
};

/// A child with this private memory (MiB) at these times (s).
pub fn child(pid: u32, command: &str, points: &[(f64, u64)], ended: Option<f64>) -> Child {
    let nanos = |seconds: f64| Nanos((seconds * 1e9) as u64);
    let points: Vec<ChildPoint> = points
        .iter()
        .map(|&(at, mib)| ChildPoint {
            at: nanos(at),
            rss: Bytes((mib + 10) * MIB),
            private: Bytes(mib * MIB),
        })
        .collect();
    let peak = points.iter().map(|point| point.private).max().unwrap_or_default();
    Child {
        pid,
        parent: 1,
        command: command.to_owned(),
        started: points.first().map(|point| point.at),
        ended: ended.map(nanos),
        status: ended.map(|_| 0),
        start_rss: Bytes(0),
        peak_rss: Bytes(peak.0 + 10 * MIB),
        peak_pss: Some(Bytes(peak.0 + 2 * MIB)),
        peak_private: peak,
        points,
    }
}

/// Two workers and what tracks them, as joblib starts them.
pub fn workers() -> Profile {
    let mut b = Builder::cell(
        "cell [9]",
        "from joblib import Parallel, delayed\nParallel(2)(delayed(fit)(part) for part in parts)",
        4.0,
    );
    let line = b.stack(&[("<module>", FileId(0), 2)]);
    b.site(Some(line), Allocator::Malloc, [3 * MIB, MIB, 9 * MIB, 900]);
    b.timeline(&[2], &[(0.0, &[0], 0), (1.0, &[3], 0), (3.9, &[1], 0)], 20);
    let mut profile = b.finish(1.0, 0);
    profile.children = vec![
        child(100, "loky resource tracker", &[(0.1, 7)], None),
        child(
            101,
            "python worker (loky)",
            &[(0.2, 8), (1.0, 200), (2.0, 400), (3.0, 60)],
            Some(3.5),
        ),
        child(102, "python worker (loky)", &[(0.3, 8), (1.5, 410), (2.5, 20)], Some(3.6)),
    ];
    profile
}

/// A line of a forked process, with MiB at the peak and in all.
pub fn forked_line(line: u32, peak: u64, allocated: u64) -> ForkedLine {
    ForkedLine {
        file: "/home/me/helpers.py".to_owned(),
        label: "helpers.py".to_owned(),
        kind: Some(FileKind::User),
        line,
        function: "fit".to_owned(),
        source: format!("<step {line}>"),
        peak: Bytes(peak * MIB),
        surviving: Bytes(0),
        allocated: Bytes(allocated * MIB),
        count: 3,
    }
}

/// What a forked process told of these lines, every allocation recorded.
pub fn forked(pid: u32, lines: Vec<ForkedLine>) -> Forked {
    Forked { pid, peak: Bytes(MIB), sample_interval: Bytes(0), lines }
}

/// The workers again, forked ones that told of their lines; one was killed.
pub fn forked_workers() -> Profile {
    let mut profile = workers();
    profile.recording.title = "cell [10]".to_owned();
    profile.children[2].status = Some(-9);
    profile.forked = vec![
        forked(101, vec![forked_line(7, 200, 300), forked_line(9, 0, 1)]),
        forked(102, vec![forked_line(7, 150, 500), forked_line(8, 0, 90)]),
    ];
    profile
}

/// A cell of one line that keeps all that it makes.
pub fn one_line() -> Profile {
    let mut b = Builder::cell("cell [3]", "ones = [bytes(1000) for _ in range(100_000)]", 0.31);
    let line = b.stack(&[("<module>", FileId(0), 1)]);
    b.site(Some(line), Allocator::Malloc, [98 * MIB, 98 * MIB, 99 * MIB, 100_011]);
    b.timeline(&[1], &[(0.0, &[0], 0), (0.3, &[98], 0), (0.31, &[98], 0)], 30);
    b.finish(0.3, 0)
}

/// A function of a module, in a terminal: no cell, and two files of the user's own.
pub fn modules() -> Profile {
    let mut b = Builder::cell("train", "", 12.4);
    b.profile.recording.main_file = Some("/home/ana/project/train.py".to_owned());
    let own =
        |b: &mut Builder, name: &str, lines: &[(u32, &str)]| b.file(name, FileKind::User, lines);
    let main = own(
        &mut b,
        "/home/ana/project/train.py",
        &[
            (41, "def train(path):"),
            (42, "    rows = read(path)"),
            (43, "    model = fit(rows)"),
            (44, "    return model"),
        ],
    );
    let reading =
        own(&mut b, "/home/ana/project/reading.py", &[(8, "    return [parse(r) for r in file]")]);
    let sklearn = b.file("/usr/lib/python3/sklearn/linear_model/_base.py", FileKind::Library, &[]);
    let train = ("train", main, 42);
    let rows = b.stack(&[train, ("read", reading, 8)]);
    let fit = b.stack(&[("train", main, 43), ("LinearRegression.fit", sklearn, 601)]);
    b.site(Some(rows), Allocator::Pymalloc, [310 * MIB, 0, 640 * MIB, 4_000_000]);
    b.site(Some(fit), Allocator::Malloc, [120 * MIB, 2 * MIB, 480 * MIB, 2_100]);
    b.timeline(
        &[42, 43],
        &[(0.0, &[0, 0], 0), (8.0, &[310, 0], 0), (11.0, &[310, 120], 1), (12.4, &[0, 2], 1)],
        30,
    );
    b.profile.timeline.lines =
        vec![LineKey { file: reading, line: 8 }, LineKey { file: main, line: 43 }];
    b.finish(11.0, 4 * MIB as i64)
}

/// Threads of a library that compute while one line waits for them.
pub fn threads() -> Profile {
    let mut b =
        Builder::cell("cell [15]", "left = a @ b\nright = frame.sort(\"day\").collect()", 2.2);
    let product = b.stack(&[("<module>", FileId(0), 1)]);
    let sort = b.stack(&[("<module>", FileId(0), 2)]);
    b.site(Some(product), Allocator::Mmap, [128 * MIB, 128 * MIB, 128 * MIB, 1]);
    b.site(Some(sort), Allocator::Polars, [40 * MIB, 38 * MIB, 90 * MIB, 0]);
    let file = b.file("<native thread>", FileKind::Library, &[]);
    for (library, line, size) in [("openblas", 1, 96), ("polars", 2, 310), ("libgomp", 2, 3)] {
        let stack = b.stack(&[(library, file, 0)]);
        b.site(Some(stack), Allocator::Malloc, [size * MIB, 0, 2 * size * MIB, 24]);
        let site = b.profile.sites.last_mut().expect("it was just added");
        site.thread = ThreadKind::Native;
        site.waiting = Some(LineKey { file: FileId(0), line });
    }
    b.timeline(
        &[1, 2],
        &[(0.0, &[0, 0], 0), (0.9, &[128, 0], 0), (1.9, &[128, 40], 1), (2.2, &[128, 38], 1)],
        20,
    );
    let mut profile = b.finish(1.9, 11 * MIB as i64);
    let peak = profile.totals.peak_footprint.as_f64();
    for point in &mut profile.timeline.points {
        let share = (point.at.seconds() / 1.9).min(1.0);
        point.footprint = SignedBytes(point.footprint.0.max((share * share * peak) as i64));
        point.rss = Bytes(270 * MIB + point.footprint.0.max(0) as u64);
    }
    profile
}

/// `del` gave everything back, and malloc kept it.
pub fn kept_by_malloc() -> Profile {
    let source = "rows = [dict(a=i, b=str(i)) for i in range(400_000)]\ndel rows";
    let mut b = Builder::cell("cell [18]", source, 0.9);
    let line = b.stack(&[("<module>", FileId(0), 1)]);
    b.site(Some(line), Allocator::Pymalloc, [61 * MIB, 0, 70 * MIB, 1_200_000]);
    b.site(Some(line), Allocator::Malloc, [93 * MIB, 0, 99 * MIB, 400_020]);
    b.timeline(&[1, 2], &[(0.0, &[0, 0], 0), (0.8, &[154, 0], 0), (0.9, &[0, 0], 1)], 30);
    for (i, ms) in (0..90).map(|i| (i, 9 * i)) {
        b.profile.collections.push(Collection {
            at: Nanos(ms * 1_000_000),
            duration: Nanos(900_000),
            generation: (i % 3) as u8,
            collected: 0,
            uncollectable: 0,
        });
    }
    b.profile.collection_count = 90;
    let mut profile = b.finish(0.8, 0);
    let mib = |mib: i64| SignedBytes(mib * MIB as i64);
    let peak = Balance {
        resident: mib(171),
        objects: mib(61),
        arenas: mib(3),
        blocks: mib(93),
        files: mib(2),
        recorder: mib(5),
        ..Balance::default()
    };
    let end =
        Balance { resident: mib(102), objects: mib(0), arenas: mib(12), blocks: mib(0), ..peak };
    let ledger = Ledger {
        peak: peak.settled([None; 2], Bytes(0)),
        end: end.settled([None, Some(Bytes(90 * MIB))], Bytes(0)),
    };
    profile.ledger = Some(ledger);
    profile
}

/// One statement over many columns of the screen, and names as long as generated code has them.
pub fn long_source() -> Profile {
    let call: Vec<String> =
        (0..120).map(|i| format!("column_{i}=frame[\"source_{i}\"].astype(\"float32\")")).collect();
    let source = format!("wide = frame.assign({})\nwide.info()", call.join(", "));
    let mut b = Builder::cell("cell [21]", &source, 1.5);
    let name = format!("{}.assign", "GeneratedFrameFactory".repeat(12));
    let library = b.file(
        &format!("/usr/lib/python3/{}frame.py", "deep/er/".repeat(20)),
        FileKind::Library,
        &[],
    );
    let assign = b.stack(&[("<module>", FileId(0), 1), (&name, library, 5239)]);
    let info = b.stack(&[("<module>", FileId(0), 2), ("DataFrame.info", library, 3700)]);
    b.site(Some(assign), Allocator::Mmap, [480 * MIB, 457 * MIB, 960 * MIB, 360]);
    b.site(Some(info), Allocator::Pymalloc, [0, 0, 2 * MIB, 9_000]);
    b.timeline(
        &[1, 2],
        &[(0.0, &[0, 0], 0), (1.4, &[480, 0], 0), (1.42, &[457, 0], 0), (1.5, &[457, 0], 1)],
        30,
    );
    b.finish(1.4, 0)
}

/// An array of zeros of which little is ever written to, and new blocks in places that were free before.
pub fn reserved() -> Profile {
    let source = "import numpy as np\ncube = np.zeros((500, 1000, 1000))\ncube[:10] = 1\nrows = [bytes(900) for _ in range(50_000)]";
    let mut b = Builder::cell("cell [24]", source, 0.12);
    let zeros = b.stack(&[("<module>", FileId(0), 2)]);
    let rows = b.stack(&[("<module>", FileId(0), 4)]);
    b.site(Some(zeros), Allocator::Mmap, [76 * MIB, 76 * MIB, 3815 * MIB, 1]);
    let site = b.profile.sites.last_mut().expect("it was just added");
    site.untouched = Bytes(3739 * MIB);
    site.temporary.value = 0.0;
    b.site(Some(rows), Allocator::Malloc, [44 * MIB, 44 * MIB, 44 * MIB, 50_012]);
    b.timeline(
        &[2, 4],
        &[(0.0, &[0, 0], 0), (0.06, &[76, 0], 0), (0.11, &[76, 44], 1), (0.12, &[76, 44], 1)],
        20,
    );
    let mut profile = b.finish(0.11, 0);
    let mib = |mib: i64| SignedBytes(mib * MIB as i64);
    let peak =
        Balance { resident: mib(88), blocks: mib(120), recorder: mib(3), ..Balance::default() };
    let end = Balance { resident: mib(87), ..peak };
    profile.ledger = Some(Ledger {
        peak: peak.settled([None; 2], Bytes(0)),
        end: end.settled([None, Some(Bytes(0))], Bytes(0)),
    });
    profile
}
