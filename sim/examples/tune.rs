//! Trial runs.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "trial")]
use weir_sim::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let scenario = scenario::by_name(&args[1]).unwrap();
    let base: u64 = args[2].parse().unwrap();
    let count: u64 = args[3].parse().unwrap();
    let names: Vec<Name> = Name::ALL
        .into_iter()
        .filter(|n| args.len() < 5 || args[4].split(',').any(|a| a == n.label()))
        .collect();
    let seeds: Vec<u64> = (base..base + count).collect();
    let t = std::time::Instant::now();
    let c = compare(scenario, &names, &seeds);
    println!("{} {:.1}s", scenario.name, t.elapsed().as_secs_f64());
    for r in &c.results {
        println!(
            "{:<18} p99 {:7.3} med {:6.3} viol {:9.1} ({:5.3}) waited {:6.1} unpl {:5.3} herd {:5.2} regret {:5.2}",
            r.name.label(),
            r.p99_ms,
            r.median_p99_ms,
            r.violations,
            r.violated,
            r.waited,
            r.unplaced,
            r.max_over_mean,
            r.regret
        );
    }
}
