//! Time spent: on the wall clock, and by all threads of a process on its processors.

use std::time::Instant;

/// What one run of a row took in all, in the row's own unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lap {
    /// By the wall clock, or the value itself for rows that do not count time.
    pub wall: f64,
    /// By all threads of the process, or the value itself.
    pub cpu: f64,
}

impl Lap {
    /// A value that is no time.
    pub fn value(value: f64) -> Self {
        Lap {
            wall: value,
            cpu: value,
        }
    }

    /// The 99th percentiles of laps in nanoseconds, in microseconds, as if each
    /// lap had taken so long: what divides by their number gives them back.
    pub fn p99_micros(laps: &[Lap]) -> Self {
        let p99 = |part: fn(&Lap) -> f64| {
            quantile(laps.iter().map(part).collect(), 0.99) / 1e3 * laps.len() as f64
        };
        Lap {
            wall: p99(|lap| lap.wall),
            cpu: p99(|lap| lap.cpu),
        }
    }

    /// The same for one of `n` operations.
    #[must_use]
    pub fn per(self, n: u32) -> Self {
        let n = f64::from(n.max(1));
        Lap {
            wall: self.wall / n,
            cpu: self.cpu / n,
        }
    }
}

/// Measures a lap, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        let cpu = process_cpu_nanos();
        Stopwatch {
            wall: Instant::now(),
            cpu,
        }
    }

    /// What has passed since the start.
    pub fn lap(&self) -> Lap {
        let wall = self.wall.elapsed().as_nanos() as f64;
        Lap {
            wall,
            cpu: process_cpu_nanos() - self.cpu,
        }
    }
}

/// Processor time of all threads of this process.
pub fn process_cpu_nanos() -> f64 {
    clock_nanos(libc::CLOCK_PROCESS_CPUTIME_ID).expect("every process has a clock")
}

/// Processor time of all threads of another process; `None` when it is gone.
#[cfg(target_os = "linux")]
pub fn cpu_nanos_of(process: u32) -> Option<f64> {
    // Linux: the CPU clock of a process is named by its inverted id and the kind 2.
    clock_nanos((!(process as libc::clockid_t) << 3) | 2)
}

fn clock_nanos(clock: libc::clockid_t) -> Option<f64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    let failed = unsafe { libc::clock_gettime(clock, &mut time) };
    (failed == 0).then_some(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
}

/// The middle one, or the mean of the two in the middle; NaN for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (n, half) = (values.len(), values.len() / 2);
    match n {
        0 => f64::NAN,
        _ if n % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// The least value that `share` of all do not exceed; NaN for none.
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// The geometric mean; NaN for none.
pub fn geometric_mean(values: &[f64]) -> f64 {
    let logs: f64 = values.iter().map(|v| v.ln()).sum();
    (logs / values.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(hundred, 0.99), 99.0);
        assert_eq!(quantile(vec![3.0, 1.0], 0.99), 3.0);
        assert!(quantile(vec![], 0.5).is_nan());
        let laps: Vec<Lap> = (1..=200).map(|i| Lap::value(f64::from(i) * 1e3)).collect();
        assert_eq!(Lap::p99_micros(&laps).per(200), Lap::value(198.0));
        assert!(median(vec![]).is_nan() && geometric_mean(&[]).is_nan());
        assert!((geometric_mean(&[0.5, 2.0, 8.0]) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_lap_counts_the_work_of_all_threads() {
        let watch = Stopwatch::start();
        std::thread::spawn(|| {
            let start = process_cpu_nanos();
            while process_cpu_nanos() - start < 1e6 {}
        })
        .join()
        .expect("it only counts");
        assert!(watch.lap().cpu >= 1e6);
    }
}
