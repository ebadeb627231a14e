//! What a leader spends on reports, network and TLS aside: `cargo bench -p weir-telemetry --bench book`.
//!
//! 1,000 nodes with ten pools each, all of which are read and written: each report is decoded, checked and counted in.
#![expect(clippy::print_stdout, reason = "a bench tells what it measured")]

use std::time::{Duration, Instant};

use prost::Message;
use weir_telemetry::client::Backlog;
use weir_telemetry::server::{Book, Limits, Span};
use weir_telemetry::wire::{CheckedReport, Report};
use weir_telemetry::{Delta, InFlight, Key, Op, Reading, Run, Rung, Subject};

const NODES: usize = 1_000;
const POOLS: usize = 10;
const SECONDS: u32 = 70;
const OPS: [Op; 2] = [Op::Read, Op::Write];

fn main() {
    let begin = Instant::now();
    let mut book = Book::new(Limits::default());
    let before = resident_mib();
    let mut agents: Vec<_> = (0..NODES)
        .map(|node| {
            let name = format!("node-{node}.example").parse().expect("a name");
            let backlog = Backlog::new(Run::draw(), 20_000);
            let welcomed = book.welcome(&name, backlog.run(), begin);
            (welcomed.expect("there is room").0, backlog)
        })
        .collect();
    let (mut spent, mut reports, mut bytes) = (Duration::ZERO, 0_u32, 0);
    for second in 0..SECONDS {
        let at = begin + Duration::from_secs(u64::from(second) + 1);
        for (session, backlog) in &mut agents {
            backlog.add(reading(at, second));
            let report = backlog.take(128 * 1024, at).expect("there is news");
            let message = report.encode_to_vec();
            bytes += message.len();
            let started = Instant::now();
            let report = Report::decode(&*message).expect("a report");
            let report = CheckedReport::try_from(report).expect("a good one");
            let counted = book
                .count(session, report, at)
                .expect("the session is there");
            spent += started.elapsed();
            reports += 1;
            backlog.counted(counted).expect("it was sent");
        }
    }
    let at = begin + Duration::from_secs(u64::from(SECONDS));
    let started = Instant::now();
    let mut seen = 0;
    for (_, node) in book.nodes() {
        for (_, pool) in node.pools() {
            let histories = pool.histories();
            seen += histories
                .filter_map(|(_, of)| of.window(Span::Seconds).quantile(0.99, at))
                .count();
        }
    }
    let looked = started.elapsed();
    println!(
        "reports                 {reports}, {} bytes each",
        bytes / reports as usize
    );
    println!(
        "us_per_report           {:.1}",
        spent.as_secs_f64() * 1e6 / f64::from(reports)
    );
    println!(
        "p99_of_all_pools_ms     {:.1} ({seen} histories)",
        looked.as_secs_f64() * 1e3
    );
    println!(
        "book_mib                {}",
        resident_mib().saturating_sub(before)
    );
}

fn reading(at: Instant, second: u32) -> Reading {
    // About twenty buckets around a millisecond, as a disk's latencies lie.
    let mut buckets = [0; 210];
    for (bucket, count) in (70..90).zip(1..) {
        buckets[bucket + second as usize % 8] = count;
    }
    let pool = |pool| format!("pool-{pool}").parse().expect("a name");
    let all = || (0..POOLS).flat_map(|pool| OPS.map(|op| (pool, op)));
    Reading {
        since: at - Duration::from_secs(1),
        at,
        rung: Rung::Ebpf,
        added: all()
            .map(|(index, op)| {
                let subject = Subject::Pool(pool(index));
                (
                    Key { subject, op },
                    Delta::of_buckets(&buckets, 0, 210_000_000),
                )
            })
            .collect(),
        in_flight: all()
            .map(|(index, op)| InFlight {
                pool: pool(index),
                op,
                now: 4,
            })
            .collect(),
    }
}

/// Of this process; 0 where the kernel does not tell.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
