use weir_sim::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Ok(v) = std::env::var("T") { for (i, x) in v.split(',').enumerate() { weir_placement::TRIAL[i].store((x.parse::<f32>().unwrap() * 1000.0) as u32, std::sync::atomic::Ordering::Relaxed); } }
    let scenario = scenario::by_name(&args[1]).unwrap();
    let scenario: &'static scenario::Scenario = match std::env::var("EVERY") { Ok(s) => Box::leak(Box::new(scenario::Scenario { telemetry: scenario::Telemetry { every: std::time::Duration::from_secs(s.parse().unwrap()), ..scenario.telemetry }, ..scenario.clone() })), Err(_) => scenario };
    let base: u64 = args[2].parse().unwrap();
    let n: u64 = args[3].parse().unwrap();
    let names: Vec<Name> = match args.get(4).map(String::as_str) {
        None | Some("all") => Name::ALL.to_vec(),
        Some(list) => Name::ALL
            .into_iter()
            .filter(|name| list.split(',').any(|one| one == name.label()))
            .collect(),
    };
    let seeds: Vec<u64> = (base..base + n).collect();
    let mut all = Vec::new();
    for name in &names {
        let from = std::time::Instant::now();
        let c = compare(scenario, &[*name], &seeds);
        let r = c.results[0].clone();
        println!(
            "{:18} p99 {:.6} med {:.6} viol {:.3} ({:.3}%) waited {:.2} unplaced {:.4} max/mean {:.4} {:.2?}",
            name.label(),
            r.p99_ms,
            r.median_p99_ms,
            r.violations,
            100.0 * r.violated,
            r.waited,
            r.unplaced,
            r.max_over_mean,
            from.elapsed()
        );
        println!(
            "   over by {:?}",
            Blame::ALL.map(|b| format!("{} {:.1}", b.label(), r.over_by[b as usize]))
        );
        if std::env::var_os("EACH").is_some() {
            for seed in &seeds {
                let m = run(scenario, *name, *seed);
                let mut v = m.p99_ms.clone();
                v.sort_by(f64::total_cmp);
                let n = v.len();
                println!(
                    "   seed {seed} mean {:.3} n {} q50 {:.3} q90 {:.3} q97 {:.3} max {:.3} sum_above_1ms {:.1} count {} viol {} by {:?}",
                    m.mean_p99_ms(),
                    n,
                    v[n / 2],
                    v[n * 9 / 10],
                    v[n * 97 / 100],
                    v[n - 1],
                    v.iter().filter(|x| **x > 1.0).sum::<f64>(),
                    v.iter().filter(|x| **x > 1.0).count(),
                    m.violations(),
                    m.over_by
                );
            }
        }
        if std::env::var_os("DBG").is_some() { let mut d: Vec<[f64;8]> = Vec::new(); for seed in &seeds { d.extend(run(scenario, *name, *seed).debug); }
            let n = d.len() as f64; let mean = |i: usize| d.iter().map(|x| x[i]).sum::<f64>() / n;
            let share = |f: &dyn Fn(&[f64;8]) -> bool| d.iter().filter(|x| f(x)).count() as f64 / n;
            println!("   busy n {n} hour {:.1} self {:.2} anyburst {:.2} two {:.2} members {:.1} rate {:.0} most {:.0} used {:.2}  1ms {:.2} 2ms {:.2} 5ms {:.2}", mean(0), mean(1), share(&|x| x[2] > 0.0), share(&|x| x[2] > 1.0), mean(3), mean(4), mean(5), mean(6), share(&|x| x[7] < 1.5), share(&|x| x[7] > 1.5 && x[7] < 3.0), share(&|x| x[7] > 3.0));
            println!("   by 6h {:?} used<.3 {:.2} .3-.6 {:.2} .6-.9 {:.2} >.9 {:.2}; most>60k {:.2} 30-60k {:.2}", [0,1,2,3].map(|h| (share(&|x| (x[0] / 6.0) as usize == h)*100.0).round()), share(&|x| x[6]<0.3), share(&|x| x[6]>=0.3&&x[6]<0.6), share(&|x| x[6]>=0.6&&x[6]<0.9), share(&|x| x[6]>=0.9), share(&|x| x[5]>60e3), share(&|x| x[5]>30e3&&x[5]<=60e3));
        }
        all.push(r);
    }
    let c = Comparison {
        scenario,
        results: all,
    };
    for (other, f) in [
        (Name::MostFree, 0),
        (Name::LiteIo, 0),
        (Name::Oracle, 0),
        (Name::MostFree, 1),
        (Name::Oracle, 1),
    ] {
        let fig: fn(&Results) -> f64 = if f == 0 {
            |r| r.p99_ms
        } else {
            |r| r.violations
        };
        if let Some(x) = c.ratio(Name::Ours, other, fig) {
            print!(
                "{}_vs_{} {:.4}  ",
                if f == 0 { "p99" } else { "viol" },
                other.label(),
                x
            );
        }
    }
    println!();
}
