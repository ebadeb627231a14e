//! How large a scrape is.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "scrape/sample.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod sample;

use weir_agent::metrics::text;

/// Names as people give them; see METRICS.md for what longer ones cost.
///
/// Seen red with: six coarse bounds more.
#[test]
fn a_thousand_volumes_take_less_than_5_mb_of_text() {
    let snapshot = sample::a_thousand_volumes(|number| format!("shop-db-{number:04}"));
    let filled = |counts: &[u64]| counts.iter().filter(|count| **count > 0).count();
    for figures in snapshot.volumes.iter().flat_map(|volume| &volume.ops) {
        for (_, histogram) in &figures.stages {
            assert!((30..=60).contains(&filled(histogram.counts())));
        }
    }
    let text = text(Vec::new(), &snapshot, false).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("weir_volume_io_stage_seconds_sum"))
        .count();
    assert_eq!(lines, 12_000);
    println!("{} bytes, {} lines", text.len(), text.lines().count());
    assert!(text.len() < 5_000_000, "{} bytes", text.len());
}
