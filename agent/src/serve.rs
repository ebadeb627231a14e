//! `/metrics` and `/healthz` over HTTP.

mod accept;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::Registry;

use crate::metrics::{self, PROTOBUF_FORMAT, TEXT_FORMAT};
use crate::probe::Snapshot;
use accept::Format;

/// Takes a snapshot: [`crate::probe::Probes::read`], or [`Snapshot::nothing`] with the reason.
type TakeSnapshot = dyn Fn() -> Snapshot + Send + Sync;

#[derive(Clone)]
struct Metrics {
    registry: Registry,
    take_snapshot: Arc<TakeSnapshot>,
}

/// Serves everything that is registered, and one snapshot for each scrape.
pub fn router(
    registry: Registry,
    take_snapshot: impl Fn() -> Snapshot + Send + Sync + 'static,
) -> Router {
    let metrics = Metrics {
        registry,
        take_snapshot: Arc::new(take_snapshot),
    };
    Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(async || "ok\n"))
        .with_state(metrics)
}

async fn scrape(
    State(metrics): State<Metrics>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let is_full = query.get("full").is_some_and(|value| value == "1");
    let format = Format::wanted(&headers);
    // Reading the maps takes thousands of system calls: not on a thread that others wait for.
    let body = tokio::task::spawn_blocking(move || metrics.body(format, is_full)).await;
    let kind = match format {
        Format::Text => TEXT_FORMAT,
        Format::Protobuf => PROTOBUF_FORMAT,
    };
    let said = [(header::CONTENT_TYPE, kind), (header::VARY, "accept")];
    match body {
        Ok(Ok(body)) => (said, body).into_response(),
        Ok(Err(error)) => failure(&error),
        Err(error) => failure(&error),
    }
}

impl Metrics {
    fn body(&self, format: Format, is_full: bool) -> Result<Vec<u8>, prometheus::Error> {
        let (others, snapshot) = (self.registry.gather(), (self.take_snapshot)());
        match format {
            Format::Text => metrics::text(others, &snapshot, is_full).map(String::into_bytes),
            Format::Protobuf => Ok(metrics::protobuf(others, &snapshot)),
        }
    }
}

fn failure(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "cannot answer a scrape");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests;
