//! Reading Prometheus' text exposition, as a scraper of the agent's would.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// All samples of one scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exposition {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A histogram's non-empty buckets: inclusive upper bound in seconds and count, cumulative.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets(Vec<(f64, u64)>);

impl Exposition {
    /// Reads a scrape's body.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| Sample::parse(line).with_context(|| format!("`{line}`")));
        Ok(Exposition {
            samples: samples.collect::<Result<_>>()?,
        })
    }

    /// The sum of all samples of this name that carry these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// Whether there is a sample of this name that carries these labels.
    pub(crate) fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// A histogram's buckets; empty where there is no such histogram.
    pub(crate) fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Buckets {
        let bucket = format!("{name}_bucket");
        let bound = |sample: &Sample| sample.labels.get("le").and_then(|le| le.parse().ok());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts of I/Os"
        )]
        let mut buckets: Vec<(f64, u64)> = self
            .matching(&bucket, labels)
            .filter_map(|sample| Some((bound(sample)?, sample.value as u64)))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Buckets(buckets)
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).is_some_and(|has| has == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

impl Sample {
    fn parse(line: &str) -> Result<Self> {
        let (series, value) = line.rsplit_once(' ').context("no value")?;
        let value = value.parse().context("the value is not a number")?;
        let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels = BTreeMap::new();
        // Weir's label values hold no quotes, commas or backslashes: names, ids, operations, and
        // reasons that METRICS.md lists.
        for pair in rest
            .trim_end_matches('}')
            .split("\",")
            .filter(|pair| !pair.is_empty())
        {
            let (key, value) = pair.split_once("=\"").context("a label without value")?;
            labels.insert(key.to_owned(), value.trim_end_matches('"').to_owned());
        }
        Ok(Sample {
            name: name.to_owned(),
            labels,
            value,
        })
    }
}

impl Buckets {
    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// What came since `earlier`, a scrape of the same histogram.
    pub(crate) fn since(&self, earlier: &Buckets) -> Buckets {
        // A bucket that was empty then is absent there: its cumulative count is its lower
        // neighbour's.
        let before = |bound: f64| {
            earlier
                .0
                .iter()
                .take_while(|(other, _)| *other <= bound)
                .last()
                .map_or(0, |(_, count)| *count)
        };
        Buckets(
            self.0
                .iter()
                .map(|(bound, count)| (*bound, count.saturating_sub(before(*bound))))
                .collect(),
        )
    }

    /// The upper bound in nanoseconds of the bucket that holds the quantile; `None` when empty.
    pub(crate) fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of I/Os")]
        let rank = quantile * self.count() as f64;
        #[expect(clippy::cast_precision_loss, reason = "counts of I/Os")]
        let reached = |(_, count): &&(f64, u64)| *count > 0 && *count as f64 >= rank;
        let (bound, _) = self.0.iter().find(reached)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a latency"
        )]
        bound.is_finite().then_some((bound * 1e9).round() as u64)
    }

    /// Each bucket by itself: its upper bound in seconds and how many it holds.
    pub(crate) fn single(&self) -> Vec<(f64, u64)> {
        let below = std::iter::once(0).chain(self.0.iter().map(|(_, count)| *count));
        self.0
            .iter()
            .zip(below)
            .map(|((bound, count), below)| (*bound, count - below))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str = "# TYPE h histogram
h_bucket{volume=\"a\",le=\"0.001\"} 1
h_bucket{volume=\"a\",le=\"0.002\"} 3
h_bucket{volume=\"a\",le=\"+Inf\"} 4
h_bucket{volume=\"b\",le=\"+Inf\"} 9
c_total{reason=\"full\"} 2
c_total{reason=\"lost\"} 3
up 1
";

    #[test]
    fn a_scrape_is_read_by_name_and_labels() {
        let scrape = Exposition::parse(SCRAPE).unwrap();
        assert_eq!(scrape.sum("c_total", &[]), 5.0);
        assert_eq!(scrape.sum("up", &[]), 1.0);
        let buckets = scrape.buckets("h", &[("volume", "a")]);
        assert_eq!(buckets.count(), 4);
        assert_eq!(buckets.quantile_ns(0.5), Some(2_000_000));
        assert_eq!(buckets.quantile_ns(1.0), None);
    }

    #[test]
    fn what_came_between_two_scrapes_is_their_difference() {
        let before = Buckets(vec![(0.002, 2), (f64::INFINITY, 2)]);
        let after = Buckets(vec![(0.001, 1), (0.002, 4), (0.004, 5), (f64::INFINITY, 5)]);
        let between = after.since(&before);
        assert_eq!(between.count(), 3);
        assert_eq!(
            between.single(),
            [(0.001, 1), (0.002, 1), (0.004, 1), (f64::INFINITY, 0)]
        );
    }
}
