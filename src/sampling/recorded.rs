//! The end of a recording: what a finished recorder knows.

use super::curve::Point;
use super::footprint::Parts;
use super::large::LargeBlocks;
use super::live_set::LiveSet;
use super::recorder::{Memory, Recorder, Settings};
use super::sites::Sites;
use crate::profile::{
    Bytes, Copies, Estimate, FileId, Forked, ForkedLine, LineKey, Nanos, SignedBytes, Site,
    SizeClass, StackTable, Timeline, TimelinePoint,
};
use std::collections::BTreeMap;

/// What a finished recorder knows.
#[derive(Debug)]
pub struct Recorded {
    /// The stacks.
    pub stacks: StackTable,
    /// The sites.
    pub sites: Vec<Site>,
    /// Memory over time.
    pub timeline: Timeline,
    /// The largest footprint, and when.
    pub peak: (Bytes, Nanos),
    /// The footprint at the end.
    pub footprint: SignedBytes,
    /// Mean bytes between samples; 0: everything was recorded.
    pub interval: Bytes,
    /// Sums over all sites: at the peak, surviving, allocated, and the count.
    pub sums: [Estimate; 4],
    /// What the footprint was made of at the peak and at the end.
    pub parts: [Parts; 2],
    /// Whether stacks were cut down to their line for want of room.
    pub stacks_cut: bool,
    /// Allocations by size.
    pub sizes: Vec<SizeClass>,
    /// Lines that made temporaries.
    pub copies: Vec<Copies>,
    /// How many allocations were recorded one by one.
    pub events: u64,
    /// Recorded blocks that are live, by address: the largest of them.
    pub blocks: Vec<LiveBlock>,
}

/// A block that a line of the user's own allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBlock {
    /// Where it is.
    pub address: usize,
    /// Bytes that were asked for.
    pub size: u64,
    /// The line.
    pub line: LineKey,
}

/// The most blocks that are kept after a recording.
const BLOCKS: usize = 1 << 16;

impl Recorder {
    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The lines so far, of the process with this id. Large blocks are measured first, and a peak that nothing has come down from yet
    /// is the present.
    pub fn so_far(&mut self, pid: u32, now: u64, memory: &mut impl Memory) -> Forked {
        self.measure(now, memory);
        self.measure_regions(now, memory);
        self.leave_peak();
        let table = self.names.table();
        let mut lines: BTreeMap<LineKey, ([f64; 4], &str)> = BTreeMap::new();
        for site in self.sites.so_far(&[]) {
            let Some(frame) = site.stack.and_then(|stack| table.user_line(stack)) else { continue };
            let key = LineKey { file: frame.file, line: frame.line };
            let (sums, _) = lines.entry(key).or_insert(([0.0; 4], &frame.function));
            let figures = [site.peak, site.surviving, site.allocated, site.count];
            sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure.value);
        }
        let mut lines: Vec<ForkedLine> = lines
            .into_iter()
            .map(|(key, ([peak, surviving, allocated, count], function))| ForkedLine {
                file: table.files[key.file.0 as usize].name.clone(),
                label: String::new(),
                kind: None,
                line: key.line,
                function: function.to_owned(),
                source: String::new(),
                peak: Bytes::from_f64(peak),
                surviving: Bytes::from_f64(surviving),
                allocated: Bytes::from_f64(allocated),
                count: count.max(0.0) as u64,
            })
            .collect();
        lines.sort_by_key(|line| std::cmp::Reverse((line.peak, line.allocated)));
        Forked {
            pid,
            peak: Bytes(self.peak.max(self.bytes()).max(0) as u64),
            sample_interval: Bytes(self.sampler.interval() as u64),
            lines,
        }
    }

    /// Ends the recording.
    pub fn finish(mut self, now: u64, rss: u64, memory: &mut impl Memory) -> Recorded {
        self.measure(now, memory);
        self.measure_regions(now, memory);
        for (site, bytes) in self.large.never_touched_by_site() {
            self.sites.untouched(site, bytes);
        }
        // A peak that nothing has come down from yet is the present.
        self.leave_peak_if_below();
        self.leave_peak();
        self.point(now, Some(rss));
        self.peak_at = self.peak_at.min(now);
        let peak = (Bytes(self.peak.max(0) as u64), Nanos(self.peak_at));
        let mut at_peak: Vec<(u32, f64)> = Vec::new();
        for (line, bytes) in self.sites.lines_at_peak() {
            match at_peak.iter_mut().find(|(l, _)| *l == line) {
                Some((_, sum)) => *sum += bytes,
                None => at_peak.push((line, bytes)),
            }
        }
        let footprint = SignedBytes(self.bytes());
        let parts = [self.peak_parts, self.parts()];
        let stacks_cut = self.names.cut();
        let (stacks, lines) = self.names.finish();
        let blocks = live_blocks(&self.live, &self.large, &self.sites, &lines);
        let mut points = self.curve.finish(now);
        let peak_point = Point {
            at: self.peak_at,
            footprint: self.peak,
            rss: None,
            held: at_peak,
            running: self.peak_running,
        };
        // The peak itself is a point, whichever points were made around it: of those of its moment (of the
        // end, where a reading came late) the lower ones were before the highest.
        let first = points.partition_point(|(p, _)| p.at < self.peak_at);
        let of_its_moment = points[first..].iter().take_while(|(p, _)| p.at == self.peak_at);
        let highest = of_its_moment.enumerate().max_by_key(|(_, (p, _))| p.footprint);
        let place = first + highest.map_or(0, |(index, _)| index);
        let rss_there = points.get(place).or(points.last()).map_or(rss, |(_, rss)| *rss);
        points.insert(place, (peak_point, rss_there));
        let sites = self.sites.so_far(&lines);
        let mut sums = [Estimate::default(); 4];
        for site in &sites {
            sums[0] += site.peak;
            sums[1] += site.surviving;
            sums[2] += site.allocated;
            sums[3] += site.count;
        }
        Recorded {
            timeline: timeline(points, &lines),
            stacks,
            sites,
            peak,
            footprint,
            interval: Bytes(self.sampler.interval() as u64),
            sums,
            parts,
            stacks_cut,
            sizes: self.sizes.finish(),
            copies: self.copies.finish(&lines),
            events: self.events,
            blocks,
        }
    }
}

fn live_blocks(
    live: &LiveSet,
    large: &LargeBlocks,
    sites: &Sites,
    lines: &[(FileId, u32)],
) -> Vec<LiveBlock> {
    let small = live.iter().map(|sample| (sample.address, sample.size, sample.site));
    let all = small.chain(large.iter().map(|(address, block)| (address, block.size, block.site)));
    let mut blocks: Vec<LiveBlock> = all
        .filter_map(|(address, size, site)| {
            let (file, line) = lines[sites.line(site)? as usize];
            Some(LiveBlock { address, size, line: LineKey { file, line } })
        })
        .collect();
    if blocks.len() > BLOCKS {
        blocks.select_nth_unstable_by_key(BLOCKS, |block| std::cmp::Reverse(block.size));
        blocks.truncate(BLOCKS);
    }
    blocks.sort_unstable_by_key(|block| block.address);
    blocks.dedup_by_key(|block| block.address);
    blocks.shrink_to_fit();
    blocks
}

/// The curve with its lines renumbered: only those that hold something at some point.
fn timeline(points: Vec<(Point, u64)>, lines: &[(FileId, u32)]) -> Timeline {
    let mut used: Vec<u32> =
        points.iter().flat_map(|(p, _)| p.held.iter().map(|h| h.0).chain(p.running)).collect();
    used.sort_unstable();
    used.dedup();
    let number = |line: u32| used.binary_search(&line).ok();
    let points = points
        .into_iter()
        .map(|(p, rss)| {
            let mut held = Vec::new();
            for (line, bytes) in p.held {
                if let Some(index) = number(line) {
                    if held.len() <= index {
                        held.resize(index + 1, 0);
                    }
                    held[index] = bytes.max(0.0) as u64;
                }
            }
            TimelinePoint {
                at: Nanos(p.at),
                footprint: SignedBytes(p.footprint),
                rss: Bytes(rss),
                held,
                running: p.running.and_then(|line| number(line).map(|i| i as u32)),
            }
        })
        .collect();
    let key = |&line: &u32| {
        let (file, line) = lines[line as usize];
        LineKey { file, line }
    };
    Timeline { lines: used.iter().map(key).collect(), points }
}
