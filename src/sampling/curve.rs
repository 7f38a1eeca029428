//! Memory over time, in bounded room.
//!
//! A point is made at each poll and whenever the footprint has moved by a visible step, so that a
//! spike of a millisecond is a point of its own. When there is no more room, of each four
//! neighbours the highest and the lowest are kept: every extreme survives, however long it goes on.

/// A moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Nanoseconds since the start.
    pub at: u64,
    /// Footprint above the start, in bytes.
    pub footprint: i64,
    /// Resident set size, where it was read at this moment.
    pub rss: Option<u64>,
    /// The lines that hold something: (line, bytes).
    pub held: Vec<(u32, f64)>,
    /// The line that allocated last.
    pub running: Option<u32>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Curve {
    points: Vec<Point>,
    /// The footprint of the last point.
    last: i64,
    /// The largest distance from the start so far, which says what a visible step is.
    reach: u64,
}

/// Room for points; half of them remain after thinning.
const ROOM: usize = 960;

/// The smallest step that is worth a point of its own.
const SMALLEST_STEP: u64 = 4096;

impl Curve {
    /// Whether so many bytes can be seen: more than 1/128 of the footprint's range.
    pub fn shows(&self, bytes: u64) -> bool {
        bytes > (self.reach / 128).max(SMALLEST_STEP)
    }

    /// Whether the footprint has moved visibly since the last point, and not closer to that point than
    /// 1/1024 of the time so far: a pixel.
    pub fn moved(&self, footprint: i64, now: u64) -> bool {
        let last_at = self.points.last().map_or(0, |p| p.at);
        self.shows(footprint.abs_diff(self.last)) && now - last_at.min(now) >= now / 1024
    }

    /// Adds a point; one that comes late gets the time of the last.
    pub fn push(&mut self, mut point: Point) {
        // Its time was taken before the wait for the lock, and another thread may have been first.
        point.at = point.at.max(self.points.last().map_or(0, |last| last.at));
        self.last = point.footprint;
        self.reach = self.reach.max(point.footprint.unsigned_abs());
        self.points.push(point);
        if self.points.len() >= ROOM {
            self.thin();
        }
    }

    /// The points so far.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    fn thin(&mut self) {
        self.points = keep_extremes(std::mem::take(&mut self.points), |point| point.footprint);
    }

    /// The points in order, each with a resident set size: as read, or in a straight line between
    /// two readings. What was read later, while the hooks came off, is of the end.
    pub fn finish(mut self, end: u64) -> Vec<(Point, u64)> {
        self.points.iter_mut().for_each(|point| point.at = point.at.min(end));
        let read: Vec<(u64, u64)> =
            self.points.iter().filter_map(|p| p.rss.map(|rss| (p.at, rss))).collect();
        let at = |time: u64| -> u64 {
            let next = read.partition_point(|&(t, _)| t < time);
            match (next.checked_sub(1).map(|i| read[i]), read.get(next)) {
                (Some((t0, r0)), Some(&(t1, r1))) if t1 > t0 => {
                    let share = (time - t0) as f64 / (t1 - t0) as f64;
                    (r0 as f64 + (r1 as f64 - r0 as f64) * share) as u64
                }
                (_, Some(&(_, rss))) | (Some((_, rss)), None) => rss,
                (None, None) => 0,
            }
        };
        self.points
            .into_iter()
            .map(|p| {
                let rss = p.rss.unwrap_or_else(|| at(p.at));
                (p, rss)
            })
            .collect()
    }
}

/// About half of the points: the first, the last, and of each four neighbours the highest and the lowest.
pub fn keep_extremes<T>(points: Vec<T>, height: impl Fn(&T) -> i64) -> Vec<T> {
    let Some(last) = points.len().checked_sub(1) else { return points };
    let mut kept = vec![false; points.len()];
    (kept[0], kept[last]) = (true, true);
    for start in (0..points.len()).step_by(4) {
        let range = start..(start + 4).min(points.len());
        let height = |&i: &usize| height(&points[i]);
        if let Some(high) = range.clone().max_by_key(height) {
            kept[high] = true;
        }
        if let Some(low) = range.min_by_key(height) {
            kept[low] = true;
        }
    }
    points.into_iter().zip(kept).filter(|(_, k)| *k).map(|(p, _)| p).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(at: u64, footprint: i64, rss: Option<u64>) -> Point {
        Point { at, footprint, rss, held: Vec::new(), running: None }
    }

    proptest! {
        #[test]
        fn every_extreme_survives(heights in proptest::collection::vec(-1000i64..1000, 1..5000)) {
            let mut curve = Curve::default();
            for (at, &height) in heights.iter().enumerate() {
                curve.push(point(at as u64, height, None));
            }
            let points = curve.finish(heights.len() as u64);
            prop_assert!(points.len() <= ROOM);
            prop_assert!(points.windows(2).all(|w| w[0].0.at < w[1].0.at));
            let kept = || points.iter().map(|p| p.0.footprint);
            prop_assert_eq!(kept().max(), heights.iter().copied().max());
            prop_assert_eq!(kept().min(), heights.iter().copied().min());
            prop_assert_eq!(kept().next(), heights.first().copied());
            prop_assert_eq!(kept().next_back(), heights.last().copied());
        }
    }

    #[test]
    fn no_point_is_later_than_the_end() {
        let mut curve = Curve::default();
        curve.push(point(0, 0, Some(100)));
        curve.push(point(30, 10, Some(200)));
        curve.push(point(20, 0, Some(300)));
        let times: Vec<u64> = curve.finish(20).into_iter().map(|(point, _)| point.at).collect();
        assert_eq!(times, [0, 20, 20]);
    }

    #[test]
    fn a_resident_size_between_two_readings_lies_between_them() {
        let mut curve = Curve::default();
        curve.push(point(0, 0, Some(100)));
        curve.push(point(5, 10, None));
        curve.push(point(10, 0, Some(200)));
        curve.push(point(20, 0, None));
        let rss: Vec<u64> = curve.finish(20).into_iter().map(|(_, rss)| rss).collect();
        assert_eq!(rss, [100, 150, 200, 200]);
    }
}
