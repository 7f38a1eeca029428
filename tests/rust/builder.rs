//! Puts a profile together piece by piece, for tests and for the gallery.

use memprofile::profile::{
    Allocator, Bytes, Estimate, FileId, FileKind, Frame, FrameId, LineKey, Names, Nanos, OfFiles,
    Profile, Recording, SignedBytes, Site, SizeClass, SourceFile, StackId, StackTable, ThreadKind,
    Timeline, TimelinePoint, Totals, VERSION,
};

pub const MIB: u64 = 1 << 20;

/// Puts a profile together piece by piece; the totals follow from the sites.
pub struct Builder {
    pub profile: Profile,
}

impl Builder {
    /// A recording of one cell with this source.
    pub fn cell(label: &str, source: &str, seconds: f64) -> Builder {
        let lines = source.lines().zip(1..).map(|(text, n)| (n, text.to_owned())).collect();
        let file = SourceFile {
            name: "/tmp/ipykernel_7/3.py".to_owned(),
            label: label.to_owned(),
            kind: FileKind::Cell,
            lines,
        };
        Builder {
            profile: Profile {
                format: "memprofile".to_owned(),
                version: VERSION,
                recording: Recording {
                    title: label.to_owned(),
                    main_file: Some(file.name.clone()),
                    started_at: 1.7e9,
                    duration: Nanos((seconds * 1e9) as u64),
                    overhead: Nanos((seconds * 1.6e7) as u64),
                    sample_interval: Bytes(0),
                    poll_period: Nanos(10_000_000),
                    own_memory: Bytes(3 * MIB),
                    interpreter: "CPython 3.13.0".to_owned(),
                    platform: "linux x86_64".to_owned(),
                    exception: None,
                    exact_asked: false,
                    events: 0,
                },
                totals: Totals {
                    peak_footprint: Bytes(0),
                    peak_at: Nanos(0),
                    footprint_delta: SignedBytes(0),
                    start_rss: Bytes(260 * MIB),
                    peak_rss: Bytes(260 * MIB),
                    peak_rss_exact: true,
                    end_rss: Bytes(260 * MIB),
                    allocated: Estimate::default(),
                    allocation_count: Estimate::default(),
                    surviving: Estimate::default(),
                    live_at_peak: Estimate::default(),
                    of_files: OfFiles::default(),
                },
                stacks: StackTable { files: vec![file], ..StackTable::default() },
                sites: Vec::new(),
                timeline: Timeline::default(),
                collections: Vec::new(),
                collection_count: 0,
                gaps: Vec::new(),
                ledger: None,
                sizes: Vec::new(),
                copies: Vec::new(),
                children: Vec::new(),
                forked: Vec::new(),
                names: Names::default(),
                keepers: Vec::new(),
            },
        }
    }

    pub fn file(&mut self, name: &str, kind: FileKind, lines: &[(u32, &str)]) -> FileId {
        let lines = lines.iter().map(|(n, text)| (*n, (*text).to_owned())).collect();
        let label = name.trim_start_matches("/usr/lib/python3/").to_owned();
        self.profile.stacks.files.push(SourceFile { name: name.to_owned(), label, kind, lines });
        FileId(self.profile.stacks.files.len() as u32 - 1)
    }

    /// The stack of these frames, outermost first.
    pub fn stack(&mut self, frames: &[(&str, FileId, u32)]) -> StackId {
        let stacks = &mut self.profile.stacks;
        let mut parent = None;
        for (function, file, line) in frames {
            let frame = Frame { function: (*function).to_owned(), file: *file, line: *line };
            let known = stacks.frame_table.iter().position(|f| *f == frame);
            let frame = FrameId(known.unwrap_or_else(|| {
                stacks.frame_table.push(frame);
                stacks.frame_table.len() - 1
            }) as u32);
            let row = (0..stacks.frames.len())
                .find(|&row| stacks.frames[row] == frame && stacks.parents[row] == parent);
            parent = Some(StackId(row.unwrap_or_else(|| {
                stacks.frames.push(frame);
                stacks.parents.push(parent);
                stacks.frames.len() - 1
            }) as u32));
        }
        parent.expect("a stack has a frame")
    }

    /// A site; bytes live at the peak, at the end, and ever, and the number of blocks.
    pub fn site(
        &mut self,
        stack: Option<StackId>,
        allocator: Allocator,
        [peak, surviving, allocated, count]: [u64; 4],
    ) {
        let interval = self.profile.recording.sample_interval.as_f64();
        let estimate =
            |value: u64| Estimate { value: value as f64, variance: value as f64 * interval };
        self.profile.sites.push(Site {
            stack,
            allocator,
            thread: if stack.is_some() { ThreadKind::Python } else { ThreadKind::Native },
            peak: estimate(peak),
            surviving: estimate(surviving),
            allocated: estimate(allocated),
            temporary: estimate(allocated - surviving),
            untouched: Bytes(0),
            count: Estimate::exact(count as f64),
            waiting: None,
        });
    }

    /// A timeline through these knots: seconds, held by each line (MiB), the running line's
    /// column. Between two knots are `steps` points.
    pub fn timeline(&mut self, lines: &[u32], knots: &[(f64, &[u64], u32)], steps: u32) {
        self.profile.timeline.lines =
            lines.iter().map(|line| LineKey { file: FileId(0), line: *line }).collect();
        for pair in knots.windows(2) {
            let ((from, a, _), (to, b, running)) = (pair[0], pair[1]);
            for step in 0..steps {
                let share = f64::from(step) / f64::from(steps);
                let held: Vec<u64> = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| {
                        ((*a as f64 + share * (*b as f64 - *a as f64)) * 1048576.0) as u64
                    })
                    .collect();
                let sum: u64 = held.iter().sum();
                let wobble = (f64::from(step * 7 % 5) - 2.0) * 1e5;
                self.profile.timeline.points.push(TimelinePoint {
                    at: Nanos(((from + share * (to - from)) * 1e9) as u64),
                    footprint: SignedBytes(
                        sum as i64 + (8 * MIB).min(sum / 8) as i64 + wobble as i64,
                    ),
                    rss: Bytes(260 * MIB + sum + sum / 12 + 24 * MIB),
                    held,
                    running: Some(running),
                });
            }
        }
    }

    /// Fills the totals; `slack` is added to what the sites held at the peak.
    pub fn finish(mut self, peak_at: f64, slack: i64) -> Profile {
        let sum = |of: fn(&Site) -> Estimate| {
            self.profile.sites.iter().map(of).fold(Estimate::default(), |mut sum, part| {
                sum += part;
                sum
            })
        };
        let (peak, surviving) = (sum(|s| s.peak), sum(|s| s.surviving));
        let (allocated, count) = (sum(|s| s.allocated), sum(|s| s.count));
        self.profile.sizes = sizes(&self.profile.sites);
        let totals = &mut self.profile.totals;
        totals.live_at_peak = peak;
        totals.surviving = surviving;
        totals.allocated = allocated;
        totals.allocation_count = count;
        totals.peak_footprint = Bytes((peak.value as i64 + slack).max(0) as u64);
        totals.peak_at = Nanos((peak_at * 1e9) as u64);
        totals.footprint_delta = SignedBytes(surviving.value as i64 + slack / 2);
        totals.peak_rss = Bytes(totals.start_rss.0 + totals.peak_footprint.0 + 20 * MIB);
        totals.end_rss = Bytes(totals.start_rss.0 + surviving.value as u64 + 12 * MIB);
        self.profile
    }
}

/// Each site as blocks of one size.
fn sizes(sites: &[Site]) -> Vec<SizeClass> {
    let mut classes = std::collections::BTreeMap::new();
    for site in sites {
        let size = (site.allocated.value / site.count.value.max(1.0)) as u64;
        let from = SizeClass::from(SizeClass::index(size));
        let zero = Estimate::default();
        let class = classes.entry(from).or_insert(SizeClass { from, count: zero, allocated: zero });
        class.count += site.count;
        class.allocated += site.allocated;
    }
    classes.into_values().collect()
}
