//! Prometheus gauges of the connection to an API, as it is at the scrape.

use std::sync::Arc;
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use weir_telemetry::client::State as Stream;

use super::shared::{Link, Shared};
use crate::metrics::catalogue::{self, Entry, JOIN};
use crate::metrics::family::Family;

/// Shows the connection to a Prometheus registry.
pub struct JoinCollector {
    shared: Arc<Shared>,
    descs: Vec<Desc>,
}

impl JoinCollector {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, prometheus::Error> {
        let descs = JOIN.iter().map(Entry::desc).collect::<Result<_, _>>()?;
        Ok(JoinCollector { shared, descs })
    }
}

impl Collector for JoinCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stream = *self.shared.stream.borrow();
        families(&self.shared.link(), stream, Instant::now())
    }
}

fn families(link: &Link, stream: Stream, now: Instant) -> Vec<MetricFamily> {
    let mut connected = Family::new(&catalogue::API_CONNECTED);
    connected.gauge([], u64::from(link.connected));
    let mut foreign = Family::new(&catalogue::API_FOREIGN);
    foreign.gauge([], u64::from(link.is_foreign));
    let mut age = Family::new(&catalogue::API_EVENT_AGE);
    // Before anything was heard there is no age.
    if let Some(last) = link.last_event {
        age.gauge([], now.saturating_duration_since(last).as_secs());
    }
    let mut streaming = Family::new(&catalogue::TELEMETRY_CONNECTED);
    streaming.gauge([], u64::from(stream.is_connected));
    let mut told = Family::new(&catalogue::TELEMETRY_TOLD_AGE);
    if let Some(last) = stream.acknowledged {
        told.gauge([], now.saturating_duration_since(last).as_secs());
    }
    [connected, foreign, age, streaming, told]
        .into_iter()
        .filter_map(Family::finish)
        .map(MetricFamily::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_shown_is_what_is_catalogued_and_described() {
        let link = Link {
            connected: true,
            last_event: Some(Instant::now()),
            is_foreign: false,
        };
        let stream = Stream {
            is_connected: true,
            acknowledged: Some(Instant::now()),
        };
        let shown = families(&link, stream, Instant::now());
        let shown: BTreeSet<&str> = shown.iter().map(MetricFamily::name).collect();
        let catalogued: BTreeSet<&str> = JOIN.iter().map(|entry| entry.name).collect();
        assert_eq!(shown, catalogued);
        let document = include_str!("../../METRICS.md");
        let (_, section) = document
            .split_once("## Of the connection to an API\n")
            .unwrap();
        let section = section.split("\n## ").next().unwrap();
        for name in catalogued {
            assert!(
                section.contains(&format!("| `{name}` | gauge | |")),
                "{name}"
            );
        }
    }
}
