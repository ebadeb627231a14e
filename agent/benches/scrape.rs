//! What a scrape of a thousand volumes costs, from snapshot to body: `cargo xtask bench scrape`. Prints one JSON
//! object.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "../tests/scrape/sample.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod sample;

use std::hint::black_box;
use std::time::Instant;

use weir_agent::metrics::{protobuf, text};

const ROUNDS: usize = 25;

#[expect(clippy::print_stdout, reason = "the figures are its result")]
fn main() {
    let snapshot = sample::a_thousand_volumes(|number| format!("shop-db-{number:04}"));
    let long = sample::a_thousand_volumes(|number| {
        format!("pvc-5e1f0a77-93c4-4d0b-8a65-00000000{number:04}")
    });
    let full = text(Vec::new(), &snapshot, true).unwrap_or_default().len();
    let text = |snapshot| text(Vec::new(), snapshot, false).unwrap_or_default();
    println!(
        "{{\"ms\": {}, \"bytes\": {}, \"bytes_of_long_names\": {}, \"full_bytes\": {full}, \
          \"protobuf_ms\": {}, \"protobuf_bytes\": {}}}",
        median_ms(|| text(&snapshot)),
        text(&snapshot).len(),
        text(&long).len(),
        median_ms(|| protobuf(Vec::new(), &snapshot)),
        protobuf(Vec::new(), &snapshot).len(),
    );
}

/// The median of some rounds; what a round makes is thrown away outside of it.
fn median_ms<T>(make: impl Fn() -> T) -> f64 {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let made = black_box(make());
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(made);
    }
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
