//! Building one metric family.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as HistogramValue, LabelPair, Metric, MetricFamily,
    MetricType, Summary,
};
use weir_agent_ebpf::scale::upper_bound_ns;

use super::catalogue::{Entry, Kind};
use super::coarse::BOUNDS_NS;
use super::native::Native;
use super::{Exposed, Resolution};
use crate::histogram::Histogram;
use crate::probe::Tally;

/// A family that grows.
pub(crate) struct Family {
    entry: &'static Entry,
    metrics: Vec<Metric>,
    natives: Vec<Option<Native>>,
}

impl Family {
    pub(crate) fn new(entry: &'static Entry) -> Self {
        Family {
            entry,
            metrics: Vec::new(),
            natives: Vec::new(),
        }
    }

    pub(crate) fn gauge<const N: usize>(&mut self, labels: [&str; N], value: u64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value as f64);
        self.add(labels).set_gauge(gauge);
    }

    pub(crate) fn counter<const N: usize>(&mut self, labels: [&str; N], value: u64) {
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        self.add(labels).set_counter(counter);
    }

    pub(crate) fn sum_and_count<const N: usize>(
        &mut self,
        labels: [&str; N],
        histogram: &Histogram,
    ) {
        let tally = Tally {
            count: histogram.count(),
            sum_ns: histogram.sum_ns(),
        };
        self.tally(labels, tally);
    }

    pub(crate) fn tally<const N: usize>(&mut self, labels: [&str; N], tally: Tally) {
        let mut summary = Summary::default();
        summary.set_sample_sum(seconds(tally.sum_ns));
        summary.set_sample_count(tally.count);
        self.add(labels).set_summary(summary);
    }

    pub(crate) fn seconds<const N: usize>(&mut self, labels: [&str; N], value: Duration) {
        let mut gauge = Gauge::default();
        gauge.set_value(value.as_secs_f64());
        self.add(labels).set_gauge(gauge);
    }

    /// The classic buckets of every scrape, and all of it as a native histogram where there can be one.
    pub(crate) fn coarse_histogram<const N: usize>(
        &mut self,
        labels: [&str; N],
        histogram: &Histogram,
        resolution: Resolution,
    ) {
        let buckets = BOUNDS_NS
            .iter()
            .map(|bound| bucket(*bound, histogram.count_up_to(*bound)));
        self.histogram(labels, histogram, buckets.collect());
        if resolution == Resolution::Native {
            self.natives.push(Native::of(histogram));
        }
    }

    /// All of it: as a native histogram, or else in classic buckets. Of those only the ones that hold something:
    /// each is cumulative, so nothing is lost.
    pub(crate) fn full_histogram<const N: usize>(
        &mut self,
        labels: [&str; N],
        histogram: &Histogram,
        resolution: Resolution,
    ) {
        if resolution == Resolution::Native {
            self.histogram(labels, histogram, Vec::new());
            self.natives.push(Native::of(histogram));
            return;
        }
        let mut below = 0;
        let buckets = histogram
            .counts()
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .filter_map(|(number, count)| {
                below += count;
                // The last bucket has no bound: it is `+Inf`, which the encoder adds.
                Some(bucket(upper_bound_ns(number)?, below))
            });
        self.histogram(labels, histogram, buckets.collect());
    }

    /// `None` if it stayed empty: the text format has no way to write such a family.
    pub(crate) fn finish(self) -> Option<Exposed> {
        if self.metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.entry.name.to_owned());
        family.set_help(self.entry.help.to_owned());
        family.set_field_type(match self.entry.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
            Kind::Summary => MetricType::SUMMARY,
        });
        family.set_metric(self.metrics);
        Some(Exposed {
            family,
            natives: self.natives,
        })
    }

    fn histogram<const N: usize>(
        &mut self,
        labels: [&str; N],
        histogram: &Histogram,
        buckets: Vec<Bucket>,
    ) {
        let mut value = HistogramValue::default();
        value.set_sample_sum(seconds(histogram.sum_ns()));
        value.set_sample_count(histogram.count());
        value.set_bucket(buckets);
        self.add(labels).set_histogram(value);
    }

    fn add<const N: usize>(&mut self, values: [&str; N]) -> &mut Metric {
        debug_assert_eq!(N, self.entry.labels.len(), "{}", self.entry.name);
        let labels = self.entry.labels.iter().zip(values);
        // To Prometheus an empty value is no label.
        let labels = labels.filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        self.metrics.push(Metric::from_label(labels.collect()));
        let last = self.metrics.len() - 1;
        &mut self.metrics[last]
    }
}

fn bucket(bound_ns: u64, up_to: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(seconds(bound_ns));
    bucket.set_cumulative_count(up_to);
    bucket
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
