//! Over a socket, as a scraper asks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// The answer to one request, and how many snapshots it took.
fn ask(path: &str, headers: &str) -> (Vec<u8>, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let registry = Registry::new();
    let gauge = prometheus::IntGauge::new("of_the_registry", "A gauge.").unwrap();
    registry.register(Box::new(gauge)).unwrap();
    let router = router(registry, move || {
        count.fetch_add(1, Ordering::Relaxed);
        Snapshot::nothing("a test")
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
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    (answer, taken.load(Ordering::Relaxed))
}

fn text(path: &str) -> String {
    String::from_utf8(ask(path, "").0).unwrap()
}

const PROTOBUF: &str = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited;q=0.5,text/plain;version=0.0.4;q=0.2\r\n";

#[test]
fn a_scrape_is_answered_in_the_text_format() {
    let answer = text("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("text/plain; version=0.0.4"));
    assert!(answer.contains("weir_build_info"));
    assert!(answer.contains("of_the_registry 0"));
}

#[test]
fn who_asks_for_protobuf_gets_it() {
    let (answer, _) = ask("/metrics", PROTOBUF);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.contains("content-type: application/vnd.google.protobuf;"),
        "{answer}"
    );
    assert!(answer.contains("vary: accept"));
    assert!(answer.contains("weir_build_info") && answer.contains("of_the_registry"));
    assert!(!answer.contains("# TYPE"));
}

/// Seen red with: the snapshot taken a second time when `?full=1`.
#[test]
fn a_scrape_takes_one_snapshot() {
    for (path, headers) in [
        ("/metrics", ""),
        ("/metrics?full=1", ""),
        ("/metrics", PROTOBUF),
        ("/metrics?full=1", PROTOBUF),
    ] {
        assert_eq!(ask(path, headers).1, 1, "{path} {headers}");
    }
    assert_eq!(ask("/healthz", "").1, 0);
}

#[test]
fn the_process_says_that_it_is_alive() {
    assert!(text("/healthz").ends_with("ok\n"));
}
