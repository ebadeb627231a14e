//! One line for each request: what was asked, how long it took, how it ended. Never what was in it: a request may have secrets.

use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// Puts [`Logged`] around a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

/// A service whose requests are logged.
#[derive(Clone, Debug)]
pub struct Logged<S>(S);

impl<S> Layer<S> for Log {
    type Service = Logged<S>;
    fn layer(&self, inner: S) -> Logged<S> {
        Logged(inner)
    }
}

impl<S, I, O> Service<http::Request<I>> for Logged<S>
where
    S: Service<http::Request<I>, Response = http::Response<O>> + 'static,
    S::Future: Send + 'static,
    S::Error: 'static,
    I: 'static,
    O: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<I>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let begun = Instant::now();
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(answer) = &answer {
                // What fails has its status in the headers already; what succeeds, after the body.
                let status = Status::from_header_map(answer.headers());
                tell(&path, begun, status.as_ref());
            }
            answer
        })
    }
}

fn tell(path: &str, begun: Instant, status: Option<&Status>) {
    let method = path.rsplit('/').next().unwrap_or_default();
    let milliseconds = begun.elapsed().as_millis();
    match status.filter(|status| status.code() != Code::Ok) {
        Some(status) => {
            let (code, message) = (status.code(), status.message());
            tracing::warn!(method, ?code, milliseconds, message, "request failed");
        }
        // Asked every few seconds by whoever watches over us.
        None if method == "Probe" || method.contains("GetCapabilities") => {
            tracing::debug!(method, milliseconds, "request");
        }
        None => tracing::info!(method, milliseconds, "request"),
    }
}
