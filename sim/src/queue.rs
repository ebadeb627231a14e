//! A pool's disks under load: how much of it they take, and how long its I/Os wait.
//!
//! A queue with several servers (Sakasegawa's approximation of the wait), whose users are not open: a tenant has a
//! bounded number of I/Os outstanding, so that a pool that can't keep up slows its tenants down instead of falling
//! behind forever.

use crate::distribution::Response;
use crate::scenario::Disk;

/// What a tenant wants to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Demand {
    /// I/Os a second.
    pub(crate) rate: f64,
    /// The share of reads.
    pub(crate) reads: f64,
    /// I/Os outstanding at most.
    pub(crate) depth: f64,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Flow {
    /// How long an I/O waits on average, in seconds.
    pub(crate) wait: f64,
    /// The share of the channels' time that is used.
    pub(crate) used: f64,
    /// The share of I/Os that wait.
    pub(crate) waiting: f64,
    /// How long one waits at most, in seconds.
    pub(crate) longest_wait: f64,
    /// I/Os outstanding on average.
    pub(crate) in_flight: f64,
    /// Reads and writes a second.
    pub(crate) rates: (f64, f64),
}

/// The busiest that a disk is taken for: the wait is not known beyond.
const BUSIEST: f64 = 0.999;

/// How long a disk's I/Os take on average, in seconds, where everything takes so many times as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    read: f64,
    write: f64,
    read_busy: f64,
    write_busy: f64,
    times: f64,
}

impl Work {
    pub(crate) fn of(disk: &Disk, times: f64) -> Self {
        Work {
            read: mean(disk.read.as_secs_f64(), disk.spread),
            write: mean(disk.write.as_secs_f64(), disk.spread),
            read_busy: disk.read_busy.as_secs_f64(),
            write_busy: disk.write_busy.as_secs_f64(),
            times,
        }
    }
}

impl Demand {
    /// What it does where an I/O waits for so long.
    pub(crate) fn rate_at(&self, work: &Work, wait: f64) -> f64 {
        let each = work.read * self.reads + work.write * (1.0 - self.reads);
        self.rate.min(self.depth / (each * work.times + wait))
    }

    fn busy(&self, work: &Work) -> f64 {
        let busy = work.read_busy * self.reads + work.write_busy * (1.0 - self.reads);
        busy * work.times
    }
}

/// Where demand and wait agree, on a disk of which everything takes so many times as long.
pub(crate) fn flow(disk: &Disk, times: f64, demands: impl Iterator<Item = Demand> + Clone) -> Flow {
    let channels = f64::from(disk.channels);
    let work = Work::of(disk, times);
    let at = |wait: f64| {
        let (mut rate, mut busy) = (0.0, 0.0);
        for demand in demands.clone() {
            let does = demand.rate_at(&work, wait);
            rate += does;
            busy += does * demand.busy(&work);
        }
        (rate, busy)
    };
    let (rate, busy) = at(0.0);
    if rate <= 0.0 {
        return Flow::default();
    }
    let wanted = |(rate, busy): (f64, f64)| {
        let used = (busy / channels).min(BUSIEST);
        waiting(used, channels) * (busy / rate) / (channels * (1.0 - used))
    };
    // The longer the wait, the less is asked for, and the shorter it would be.
    let (mut low, mut high) = (0.0, wanted((rate, busy)));
    if high > 1e-7 {
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if wanted(at(middle)) > middle {
                low = middle;
            } else {
                high = middle;
            }
            if high - low < 1e-3 * high {
                break;
            }
        }
    } else {
        low = high;
    }
    let wait = f64::midpoint(low, high);
    let (rate, busy) = at(wait);
    let used = (busy / channels).min(BUSIEST);
    let mut flow = Flow {
        wait,
        used,
        waiting: waiting(used, channels),
        ..Flow::default()
    };
    let mut depth = 0.0;
    for demand in demands {
        let does = demand.rate_at(&work, wait);
        flow.rates.0 += does * demand.reads;
        flow.rates.1 += does * (1.0 - demand.reads);
        depth += demand.depth;
    }
    let all = work.read * flow.rates.0 + work.write * flow.rates.1;
    flow.in_flight = all * times + rate * wait;
    flow.longest_wait = depth * (busy / rate) / channels;
    flow
}

impl Flow {
    /// How long an I/O takes whose work takes as long as `median`, in seconds, half of the time.
    pub(crate) fn response(&self, disk: &Disk, times: f64, median: f64) -> Response {
        let wait = if self.waiting > 0.0 {
            self.wait / self.waiting
        } else {
            0.0
        };
        Response {
            median: median * times * 1e9,
            spread: disk.spread,
            waiting: self.waiting,
            wait: wait * 1e9,
            longest_wait: self.longest_wait * 1e9,
        }
    }
}

/// The share of I/Os that wait, of a disk that is used for this share of its time.
fn waiting(used: f64, channels: f64) -> f64 {
    used.powf((2.0 * (channels + 1.0)).sqrt() - 1.0)
}

/// The mean of what is lognormal, by its median and the spread of its logarithm.
fn mean(median: f64, spread: f64) -> f64 {
    median * (spread * spread / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::by_name;

    fn disk() -> Disk {
        by_name("equal").unwrap().kinds[0].1.disk
    }

    fn demand(rate: f64) -> Demand {
        Demand {
            rate,
            reads: 1.0,
            depth: 32.0,
        }
    }

    #[test]
    fn an_idle_disk_does_not_let_wait() {
        let flow = flow(&disk(), 1.0, [demand(1000.0)].into_iter());
        assert!(flow.wait < 1e-6 && flow.rates.0 > 999.0, "{flow:?}");
        // Little's law.
        let expected = 1000.0 * mean(80e-6, 0.35);
        assert!((flow.in_flight / expected - 1.0).abs() < 0.01, "{flow:?}");
    }

    #[test]
    fn what_a_disk_cant_do_waits_on_its_users_side() {
        let disk = disk();
        // 200,000 I/Os a second are all that it can do.
        let flow = flow(&disk, 1.0, std::iter::repeat_n(demand(100_000.0), 10));
        assert!((180_000.0..200_000.0).contains(&flow.rates.0), "{flow:?}");
        assert!((200.0..=321.0).contains(&flow.in_flight), "{flow:?}");
        assert!(flow.wait <= flow.longest_wait, "{flow:?}");
    }

    #[test]
    fn more_load_waits_longer() {
        let disk = disk();
        let waits: Vec<f64> = (1..12)
            .map(|count| flow(&disk, 1.0, std::iter::repeat_n(demand(20_000.0), count)).wait)
            .collect();
        assert!(waits.is_sorted(), "{waits:?}");
    }
}
