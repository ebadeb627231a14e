//! Strategies side by side, over several seeds.

use std::sync::Mutex;
use std::thread;

use crate::measure::{Blame, Measured, Moment, mean};
use crate::scenario::Scenario;
use crate::strategy::{Name, run};

/// What every strategy came to in one scenario.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// Each strategy's results, in the order of [`Name::ALL`].
    pub results: Vec<Results>,
}

/// What a strategy came to: means over the seeds.
#[derive(Clone, Debug)]
pub struct Results {
    /// Which.
    pub name: Name,
    /// The mean over tenants of each one's own 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// The median of the same.
    pub median_p99_ms: f64,
    /// Windows of volumes over their objectives, those included in which one waited.
    pub violations: f64,
    /// The share of windows that these are.
    pub violated: f64,
    /// The windows among them in which a volume waited.
    pub waited: f64,
    /// Those over their objectives by what their pool was like, in the order of [`Blame::ALL`].
    pub over_by: [f64; Blame::ALL.len()],
    /// The share of volumes that were never placed.
    pub unplaced: f64,
    /// The most volumes that were bound to one pool, over the mean.
    pub max_over_mean: f64,
    /// The mean over time of how much longer the mean tenant's 99th percentile was than with the oracle, as a part of the
    /// oracle's.
    pub regret: f64,
    /// The cluster over time, means over the seeds.
    pub series: Vec<Moment>,
}

/// Lives through a scenario with every strategy and with every seed.
#[must_use]
pub fn compare(scenario: &'static Scenario, names: &[Name], seeds: &[u64]) -> Comparison {
    let tasks = names
        .iter()
        .flat_map(|name| seeds.iter().map(move |seed| (*name, *seed)));
    let tasks: Vec<(Name, u64)> = tasks.collect();
    let next = Mutex::new(0);
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Ok(mut next) = next.lock() else { return };
                    let Some((name, seed)) = tasks.get(*next).copied() else {
                        return;
                    };
                    *next += 1;
                    drop(next);
                    let measured = run(scenario, name, seed);
                    if let Ok(mut done) = done.lock() {
                        done.push((name, seed, measured));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    // In whatever order they came: sums of numbers with a point depend on theirs.
    done.sort_by_key(|(_, seed, _)| *seed);
    let of = |name: Name| {
        let runs: Vec<&Measured> = done
            .iter()
            .filter(|(which, _, _)| *which == name)
            .map(|(_, _, measured)| measured)
            .collect();
        Results::of(name, &runs)
    };
    let mut results: Vec<Results> = names.iter().map(|name| of(*name)).collect();
    let oracle = results.iter().find(|results| results.name == Name::Oracle);
    if let Some(oracle) = oracle.map(|oracle| oracle.series.clone()) {
        for results in &mut results {
            results.regret = regret(&results.series, &oracle);
        }
    }
    Comparison { scenario, results }
}

impl Comparison {
    /// A strategy's results.
    #[must_use]
    pub fn of(&self, name: Name) -> Option<&Results> {
        self.results.iter().find(|results| results.name == name)
    }

    /// One strategy's figure over another's; `None` if either is not there, or there is nothing to divide by.
    #[must_use]
    pub fn ratio(&self, one: Name, other: Name, figure: fn(&Results) -> f64) -> Option<f64> {
        let (one, other) = (figure(self.of(one)?), figure(self.of(other)?));
        (other > 0.0).then(|| one / other)
    }
}

impl Results {
    /// Of a strategy that nothing is known of.
    #[must_use]
    pub fn nothing(name: Name) -> Self {
        Results::of(name, &[])
    }

    fn of(name: Name, runs: &[&Measured]) -> Self {
        let over = |figure: &dyn Fn(&Measured) -> f64| {
            let values: Vec<f64> = runs.iter().map(|run| figure(run)).collect();
            mean(&values)
        };
        let median = |run: &Measured| {
            let mut all = run.p99_ms.clone();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(0.0)
        };
        let length = runs.iter().map(|run| run.series.len()).min().unwrap_or(0);
        let moment = |index: usize| Moment {
            at: runs[0].series[index].at,
            p99_ms: over(&|run| run.series[index].p99_ms),
            over: over(&|run| run.series[index].over),
        };
        Results {
            name,
            p99_ms: over(&Measured::mean_p99_ms),
            median_p99_ms: over(&median),
            violations: over(&|run| run.violations() as f64),
            violated: over(&|run| run.violations() as f64 / (run.windows as f64).max(1.0)),
            waited: over(&|run| run.windows_waited as f64),
            over_by: Blame::ALL.map(|blame| over(&|run| run.over_by[blame as usize] as f64)),
            unplaced: over(&|run| run.unplaced as f64 / (run.asked as f64).max(1.0)),
            max_over_mean: over(&Measured::max_over_mean),
            regret: 0.0,
            series: (0..length).map(moment).collect(),
        }
    }
}

fn regret(ours: &[Moment], oracle: &[Moment]) -> f64 {
    let pairs = ours.iter().zip(oracle);
    let known = pairs.filter(|(_, oracle)| oracle.p99_ms > 0.0);
    let parts: Vec<f64> = known
        .map(|(ours, oracle)| ours.p99_ms / oracle.p99_ms - 1.0)
        .collect();
    mean(&parts)
}
