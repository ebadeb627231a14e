//! `/metrics` and `/healthz` over HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

/// Families that are too many for every scrape: those of `?full=1`.
type MoreFamilies = dyn Fn() -> Vec<MetricFamily> + Send + Sync;

#[derive(Clone)]
struct Metrics {
    registry: Registry,
    more: Arc<MoreFamilies>,
}

/// Serves everything that is registered, and with `?full=1` what `more` returns as well.
pub fn router(
    registry: Registry,
    more: impl Fn() -> Vec<MetricFamily> + Send + Sync + 'static,
) -> Router {
    let metrics = Metrics {
        registry,
        more: Arc::new(more),
    };
    Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(async || "ok\n"))
        .with_state(metrics)
}

async fn scrape(
    State(metrics): State<Metrics>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let full = query.get("full").is_some_and(|value| value == "1");
    // Reading the maps takes thousands of system calls: not on a thread that others wait for.
    let text = tokio::task::spawn_blocking(move || metrics.text(full)).await;
    match text {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Ok(Err(error)) => failure(&error),
        Err(error) => failure(&error),
    }
}

impl Metrics {
    fn text(&self, full: bool) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        if full {
            families.extend((self.more)());
        }
        TextEncoder::new().encode_to_string(&families)
    }
}

fn failure(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "cannot answer a scrape");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ProbeCollector, full_families};
    use crate::probe::Snapshot;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn ask(path: &str) -> String {
        let registry = Registry::new();
        let collector = ProbeCollector::new(|| Snapshot::nothing("a test")).unwrap();
        registry.register(Box::new(collector)).unwrap();
        let router = router(registry, || {
            let mut family = full_families(&Snapshot::default());
            let mut only = crate::metrics::families(&Snapshot::default()).remove(0);
            only.set_name("only_when_full".to_owned());
            family.push(only);
            family
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await
            })
        });
        write!(
            client,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_scrape_is_answered_in_the_text_format() {
        let answer = ask("/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("text/plain; version=0.0.4"));
        assert!(answer.contains("weir_build_info"));
        assert!(!answer.contains("only_when_full"));
    }

    #[test]
    fn full_resolution_must_be_asked_for() {
        assert!(ask("/metrics?full=1").contains("only_when_full"));
        assert!(!ask("/metrics?full=0").contains("only_when_full"));
    }

    #[test]
    fn the_process_says_that_it_is_alive() {
        assert!(ask("/healthz").ends_with("ok\n"));
    }
}
