//! `cargo xtask sim`: the simulator's scenarios, the controller's placement beside other strategies; a table, figures with
//! their aims, and plots.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use weir_sim::scenario::{self, Scenario};
use weir_sim::{Blame, Comparison, Name, Results, compare, plot};

use crate::bench::{Figure, Measured, print};
use crate::progress::say;
use crate::{Output, workspace};

/// What is to be simulated.
pub(crate) struct Wanted {
    /// The first seed.
    pub(crate) seed_base: u64,
    /// How many there are.
    pub(crate) seeds: u64,
    /// Only this one.
    pub(crate) scenario: Option<String>,
    /// Where plots go.
    pub(crate) plots: Option<PathBuf>,
}

/// Simulates, prints the figures; a missed aim is a figure, not an error.
pub(crate) fn run(wanted: &Wanted, output: Output) -> Result<()> {
    let scenarios = match &wanted.scenario {
        None => scenario::ALL.iter().collect(),
        Some(name) => vec![scenario::by_name(name).with_context(|| unknown(name))?],
    };
    let seeds: Vec<u64> = (0..wanted.seeds)
        .map(|more| wanted.seed_base.wrapping_add(more))
        .collect();
    let plots = match &wanted.plots {
        Some(dir) => dir.clone(),
        None => target()?.join("sim"),
    };
    let mut figures = Vec::new();
    for scenario in scenarios {
        say(format!(
            "{}: {} seeds from {}",
            scenario.name,
            seeds.len(),
            wanted.seed_base
        ));
        let comparison = compare(scenario, &Name::ALL, &seeds);
        if output == Output::Text {
            table(&comparison);
        }
        draw(&comparison, &plots)?;
        figures.extend(of_scenario(&comparison));
    }
    say(format!("plots are in {}", plots.display()));
    let name = "sim".to_owned();
    print(&Measured { name, figures }, output)
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = scenario::ALL.iter().map(|scenario| scenario.name).collect();
    format!(
        "there is no scenario `{name}`: there are {}",
        names.join(", ")
    )
}

fn target() -> Result<PathBuf> {
    let root = workspace::root()?;
    Ok(match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root.join(dir),
        None => root.join("target"),
    })
}

/// The figures that have aims, and everything they come from.
fn of_scenario(comparison: &Comparison) -> Vec<Figure> {
    let scenario = comparison.scenario;
    let mut figures = aimed(scenario, comparison);
    let more = |other: &'static str, name: Name| {
        let ratio = comparison.ratio(Name::Ours, name, |results| results.p99_ms);
        let name = format!("{}p99_vs_{other}", prefix(scenario));
        ratio.map(|ratio| Figure::new(name, ratio, "x"))
    };
    for name in Name::ALL.into_iter().filter(|name| *name != Name::Ours) {
        let wanted = format!("{}p99_vs_{}", prefix(scenario), name.label());
        if !figures.iter().any(|figure| figure.name() == wanted) {
            figures.extend(more(name.label(), name));
        }
    }
    for results in &comparison.results {
        let name = |what: &str| format!("{}_{}_{what}", scenario.name, results.name.label());
        figures.extend([
            Figure::new(name("p99_ms"), results.p99_ms, "ms"),
            Figure::new(name("violations"), results.violations, "windows"),
            Figure::new(
                name("violated_percent"),
                100.0 * results.violated,
                "percent",
            ),
            Figure::new(name("waited"), results.waited, "windows"),
            Figure::new(
                name("unplaced_percent"),
                100.0 * results.unplaced,
                "percent",
            ),
            Figure::new(name("max_over_mean"), results.max_over_mean, "x"),
            Figure::new(name("regret"), results.regret, "x"),
        ]);
        figures.extend(Blame::ALL.map(|blame| {
            let windows = results.over_by[blame as usize];
            Figure::new(name(&format!("over_{}", blame.label())), windows, "windows")
        }));
    }
    figures
}

/// Figures of the default scenario have no prefix.
fn prefix(scenario: &Scenario) -> String {
    match scenario.name {
        "default" => String::new(),
        name => format!("{name}_"),
    }
}

fn aimed(scenario: &Scenario, comparison: &Comparison) -> Vec<Figure> {
    let p99 = |results: &Results| results.p99_ms;
    let violations = |results: &Results| results.violations;
    let ratio = |name: &'static str, other: Name, figure: fn(&Results) -> f64, aim: f64| {
        let ratio = comparison.ratio(Name::Ours, other, figure)?;
        let there = comparison.of(other).map_or(0.0, figure);
        let against = match other {
            Name::Oracle => "oracle",
            Name::LiteIo => "liteio",
            _ => "most_free",
        };
        Some(
            Figure::new(name, ratio, "x")
                .against(against, there)
                .at_most(aim),
        )
    };
    let figures =
        match scenario.name {
            "default" => vec![
                ratio("p99_vs_most_free", Name::MostFree, p99, 0.6),
                ratio("p99_vs_liteio", Name::LiteIo, p99, 0.6),
                ratio("p99_vs_oracle", Name::Oracle, p99, 1.15),
                ratio("violations_vs_most_free", Name::MostFree, violations, 0.25),
            ],
            "noinfo" => vec![ratio("noinfo_p99_vs_most_free", Name::MostFree, p99, 1.02)],
            "burst" => vec![comparison.of(Name::Ours).map(|ours| {
                Figure::new("herd_max_over_mean", ours.max_over_mean, "x").at_most(1.3)
            })],
            _ => Vec::new(),
        };
    figures.into_iter().flatten().collect()
}

#[expect(clippy::print_stdout, reason = "a table is a result")]
fn table(comparison: &Comparison) {
    let scenario = comparison.scenario;
    println!("{}: {}", scenario.name, scenario.about);
    println!(
        "  {:<18} {:>9} {:>9} {:>11} {:>9} {:>9} {:>9} {:>9}",
        "", "p99 ms", "median", "violations", "waited", "unplaced", "max/mean", "regret"
    );
    for results in &comparison.results {
        println!(
            "  {:<18} {:>9.3} {:>9.3} {:>10.2}% {:>9.1} {:>8.2}% {:>9.2} {:>9.2}",
            results.name.label(),
            results.p99_ms,
            results.median_p99_ms,
            100.0 * results.violated,
            results.waited,
            100.0 * results.unplaced,
            results.max_over_mean,
            results.regret
        );
    }
}

fn draw(comparison: &Comparison, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    for (what, svg) in plot::all(comparison) {
        let file = dir.join(format!("{}-{what}.svg", comparison.scenario.name));
        std::fs::write(&file, svg).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without `--scenario` one object carries all figures that have aims, under the names that they are looked for by.
    #[test]
    fn every_aimed_figure_has_its_name_once() {
        let mut names = Vec::new();
        for name in ["burst", "noinfo", "default"] {
            let scenario = scenario::by_name(name).unwrap();
            let results = Name::ALL.map(|name| Results {
                p99_ms: 1.0,
                violations: 1.0,
                ..Results::nothing(name)
            });
            let comparison = Comparison {
                scenario,
                results: results.to_vec(),
            };
            let figures = of_scenario(&comparison);
            names.extend(figures.iter().map(|figure| figure.name().to_owned()));
        }
        for wanted in [
            "p99_vs_most_free",
            "p99_vs_liteio",
            "p99_vs_oracle",
            "violations_vs_most_free",
            "herd_max_over_mean",
            "noinfo_p99_vs_most_free",
        ] {
            let count = names.iter().filter(|name| *name == wanted).count();
            assert_eq!(count, 1, "{wanted} in {names:?}");
        }
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
