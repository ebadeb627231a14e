//! Plots, as SVG.

use std::fmt::Write as _;

use crate::compare::{Comparison, Results};
use crate::measure::Moment;
use crate::strategy::Name;

/// Every plot of a comparison, with what it is of.
#[must_use]
pub fn all(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let oracle = comparison.of(Name::Oracle);
    let oracle: Vec<f64> = oracle
        .map(|oracle| oracle.series.iter().map(|moment| moment.p99_ms).collect())
        .unwrap_or_default();
    let over_time = |title: &str, figure: &dyn Fn(usize, &Moment) -> f64| {
        let line = |results: &Results| {
            let series = results.series.iter().enumerate();
            let points = series
                .map(|(index, moment)| (moment.at.as_secs_f64() / 3600.0, figure(index, moment)));
            (results.name, thin(points.collect()))
        };
        let lines: Vec<_> = comparison.results.iter().map(line).collect();
        let title = format!("{}: {title}", comparison.scenario.name);
        lines_over_time(&title, &lines)
    };
    let regret = |index: usize, moment: &Moment| match oracle.get(index) {
        Some(best) if *best > 0.0 => moment.p99_ms / best - 1.0,
        _ => 0.0,
    };
    vec![
        (
            "p99",
            over_time("mean 99th percentile of tenants, ms", &|_, moment| {
                moment.p99_ms
            }),
        ),
        (
            "violations",
            over_time("share of volumes over their objective", &|_, moment| {
                moment.over
            }),
        ),
        (
            "regret",
            over_time("99th percentile over the oracle's, less 1", &regret),
        ),
        ("herding", bars(comparison)),
    ]
}

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// So many points are drawn of a line.
const POINTS: usize = 240;

fn colour(name: Name) -> &'static str {
    match name {
        Name::Ours => "#d62728",
        Name::Oracle => "#111111",
        Name::Random => "#7f7f7f",
        Name::PowerOfTwo => "#1f77b4",
        Name::MostFree => "#2ca02c",
        Name::LiteIo => "#ff7f0e",
        Name::CapacityWeighted => "#9467bd",
    }
}

/// Means of neighbours, so that no more points are left than can be seen.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        let sum = part
            .iter()
            .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (sum.0 / count, sum.1 / count)
    };
    points.chunks(each).map(mean).collect()
}

fn begin(title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    )
}

fn lines_over_time(title: &str, lines: &[(Name, Vec<(f64, f64)>)]) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(1e-9, f64::max);
    let (most_x, most_y) = (most(|point| point.0), most(|point| point.1));
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * value / most_x;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value.max(0.0) / most_y;
    let mut svg = begin(title);
    for step in 0..=4 {
        let part = f64::from(step) / 4.0;
        let (at_x, at_y) = (x(part * most_x), y(part * most_y));
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at_y:.1}\" y2=\"{at_y:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{:.1}\" y=\"{at_y:.1}\" text-anchor=\"end\">{:.3}</text>\n\
             <text x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.1} h</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            part * most_y,
            HEIGHT - BOTTOM + 18.0,
            part * most_x
        );
    }
    for (index, (name, points)) in (0u8..).zip(lines) {
        let path: Vec<String> = points
            .iter()
            .map(|(hour, value)| format!("{:.1},{:.1}", x(*hour), y(*value)))
            .collect();
        let label = TOP + 18.0 * f64::from(index);
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{0}\" stroke-width=\"1.5\" points=\"{1}\"/>\n\
             <text x=\"{2:.1}\" y=\"{label:.1}\" fill=\"{0}\">{3}</text>",
            colour(*name),
            path.join(" "),
            WIDTH - RIGHT + 10.0,
            name.label()
        );
    }
    svg + "</svg>\n"
}

fn bars(comparison: &Comparison) -> String {
    let title = format!(
        "{}: most volumes of a pool over the mean",
        comparison.scenario.name
    );
    let mut svg = begin(&title);
    let most = comparison
        .results
        .iter()
        .map(|results| results.max_over_mean);
    let most = most.fold(1e-9, f64::max);
    for (index, results) in (0u8..).zip(&comparison.results) {
        let y = TOP + 20.0 + 44.0 * f64::from(index);
        let width = (WIDTH - LEFT - RIGHT - 80.0) * results.max_over_mean / most;
        let _ = writeln!(
            svg,
            "<rect x=\"{0:.1}\" y=\"{1:.1}\" width=\"{width:.1}\" height=\"24\" fill=\"{2}\"/>\n\
             <text x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"end\">{5}</text>\n\
             <text x=\"{6:.1}\" y=\"{4:.1}\">{7:.2}</text>",
            LEFT + 80.0,
            y,
            colour(results.name),
            LEFT + 74.0,
            y + 16.0,
            results.name.label(),
            LEFT + 86.0 + width,
            results.max_over_mean
        );
    }
    svg + "</svg>\n"
}
