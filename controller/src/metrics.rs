//! `/metrics` of the controller, over plain HTTP as the agent's.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Scrapers at a time; others wait in the listener's queue.
const CONNECTIONS: usize = 32;
/// For how long a request's head may take, a connection that waits for the next one included.
const HEAD: Duration = Duration::from_secs(60);
/// How long nothing is accepted after an error, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers scrapes with what is registered, until `stop` becomes true or its sender is gone.
pub async fn serve(listener: TcpListener, registry: Registry, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = accept(listener, registry) => {}
        () = stopped(&mut stop) => {}
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error is a sender that is gone: nobody can say it any more.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn accept(listener: TcpListener, registry: Registry) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = Arc::clone(&connections).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a scraper");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let registry = registry.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &registry);
                async move { Ok::<_, Infallible>(answer) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a scraper's connection ended");
            }
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let (code, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match TextEncoder::new().encode_to_string(&registry.gather())
        {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => {
                tracing::error!(%error, "cannot answer a scrape");
                (StatusCode::INTERNAL_SERVER_ERROR, String::new())
            }
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = code;
    let kind = hyper::header::HeaderValue::from_static(TEXT_FORMAT);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::IntCounter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn what_is_registered_is_scraped_and_nothing_else_is_there() {
        let registry = Registry::new();
        let counter = IntCounter::new("weir_seen_total", "What was seen.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc_by(3);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, registry, stopping));
        for (asked, code, text) in [
            ("GET /metrics", "200", "weir_seen_total 3\n"),
            ("POST /metrics", "405", ""),
            ("GET /", "404", ""),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("{asked} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
            assert!(answer.ends_with(text), "{answer}");
        }
        stop.send_replace(true);
        serving.await.unwrap();
    }
}
