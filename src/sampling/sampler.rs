//! Poisson sampling by bytes.
//!
//! Every byte that is allocated is a sample point with probability 1/interval, independently of all
//! others; a block is recorded when a point falls into it. A block of size s is so recorded with
//! probability p = 1 - e^(-s/interval) and stands for s/p bytes and 1/p blocks, whatever the
//! program does: the estimate has no bias (Horvitz and Thompson 1952). The distance to the next point
//! is exponential, so a countdown of bytes finds the next block at the price of a subtraction, and it
//! may be drawn anew at any time, since the exponential distribution has no memory.
//!
//! A recording begins with interval 0: everything is recorded, and the figures are exact. The interval
//! doubles when the recorder runs out of room or time. What was recorded by then is thinned: kept with
//! probability p_new/p_old, which leaves it as if it had been sampled at the new interval from the
//! start. A countdown that was drawn before a doubling is thinned in the same way when it runs out.

/// A countdown: bytes until the next sample, and the epoch of the interval that it was drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Bytes that may pass; 0 records the next block.
    pub countdown: i64,
    /// Which interval it was drawn with.
    pub epoch: u32,
}

/// A block of this many intervals is always recorded, and stands for itself.
const ALWAYS: f64 = 8.0;

/// The first interval when not everything can be recorded.
const FIRST_INTERVAL: f64 = 256.0;

/// The interval of a light recording: what holds 100 MB has 400 samples, a standard deviation of 5%.
const LIGHT_INTERVAL: f64 = 262_144.0;

/// The sampling interval and its history.
#[derive(Debug)]
pub struct Sampler {
    /// Mean bytes between samples in each epoch, the present one last; 0: everything.
    intervals: Vec<f64>,
    random: Random,
}

impl Sampler {
    /// A sampler that records everything.
    pub fn new(seed: u64) -> Sampler {
        let mut intervals = Vec::with_capacity(64);
        intervals.push(0.0);
        Sampler { intervals, random: Random(seed) }
    }

    /// A sampler that never records everything. A countdown that was not drawn is of an interval of 0, and
    /// is thinned as any other.
    pub fn light(seed: u64) -> Sampler {
        let mut sampler = Sampler::new(seed);
        sampler.intervals.push(LIGHT_INTERVAL);
        sampler
    }

    /// Mean bytes between samples; 0 while everything is recorded.
    pub fn interval(&self) -> f64 {
        self.intervals[self.intervals.len() - 1]
    }

    /// The number of the present interval. A countdown that was never drawn has epoch 0.
    pub fn epoch(&self) -> u32 {
        self.intervals.len() as u32 - 1
    }

    /// From which size on a block is always recorded.
    pub fn always_from(&self) -> u64 {
        (ALWAYS * self.interval()).max(1.0) as u64
    }

    fn probability_at(interval: f64, size: u64) -> f64 {
        let size = size as f64;
        if size >= ALWAYS * interval { 1.0 } else { -(-size / interval).exp_m1() }
    }

    /// The probability that a block of this size is recorded.
    pub fn probability(&self, size: u64) -> f64 {
        Self::probability_at(self.interval(), size)
    }

    /// A new countdown.
    pub fn draw(&mut self) -> Draw {
        let interval = self.interval();
        let countdown = if interval == 0.0 {
            0
        } else {
            // Rounded down: a block of integer size passes the real distance if and only if it
            // passes this.
            (-interval * self.random.unit().ln()) as i64
        };
        Draw { countdown, epoch: self.epoch() }
    }

    /// Whether a block is to be recorded whose countdown, of that epoch, ran out.
    pub fn accept(&mut self, size: u64, epoch: u32) -> bool {
        let old = self.intervals.get(epoch as usize).copied().unwrap_or(0.0);
        self.keep(size, old)
    }

    fn keep(&mut self, size: u64, old_interval: f64) -> bool {
        let new = self.probability(size);
        let old = Self::probability_at(old_interval, size);
        new >= old || self.random.unit() * old < new
    }

    /// Raises the interval by 2^`doublings`.
    pub fn coarsen(&mut self, doublings: u32) {
        let next = match self.interval() {
            0.0 => FIRST_INTERVAL,
            interval => interval * f64::from(1u32 << doublings.min(8)),
        };
        self.intervals.push(next);
    }

    /// Whether a sample survives the last [`Sampler::coarsen`].
    pub fn survives(&mut self, size: u64) -> bool {
        let old = self.intervals[self.intervals.len() - 2];
        self.keep(size, old)
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): one word of state, no allocation.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// Uniform in (0, 1].
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coarse(interval: f64, seed: u64) -> Sampler {
        let mut sampler = Sampler::new(seed);
        sampler.intervals.push(interval);
        sampler
    }

    #[test]
    fn everything_is_recorded_at_first() {
        let mut sampler = Sampler::new(1);
        assert_eq!(sampler.draw(), Draw { countdown: 0, epoch: 0 });
        assert_eq!(sampler.probability(1), 1.0);
        assert!(sampler.accept(1, 0));
    }

    #[test]
    fn a_countdown_fires_with_the_stated_probability() {
        let mut sampler = coarse(1000.0, 7);
        for size in [16, 500, 3000] {
            let draws = 200_000;
            let fired = (0..draws).filter(|_| sampler.draw().countdown < size).count() as f64;
            let expected = sampler.probability(size as u64);
            let sd = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
            let rate = fired / f64::from(draws);
            assert!((rate - expected).abs() < 5.0 * sd, "{size}: {rate} {expected}");
        }
    }

    #[test]
    fn thinning_is_as_sampling_at_the_new_interval() {
        let mut sampler = coarse(1000.0, 3);
        sampler.coarsen(2);
        assert_eq!(sampler.interval(), 4000.0);
        for size in [100, 2000, 9000] {
            let tries = 100_000;
            let old = Sampler::probability_at(1000.0, size);
            let kept = (0..tries).filter(|_| sampler.survives(size)).count() as f64;
            let rate = old * kept / f64::from(tries);
            let expected = sampler.probability(size);
            assert!((rate - expected).abs() < 0.01, "{size}: {rate} {expected}");
        }
    }

    #[test]
    fn large_blocks_stand_for_themselves() {
        let sampler = coarse(4096.0, 1);
        assert_eq!(sampler.always_from(), 8 * 4096);
        assert_eq!(sampler.probability(8 * 4096), 1.0);
        assert!(sampler.probability(8 * 4096 - 1) < 1.0);
    }
}
