//! `cargo xtask bench scrape`: what a scrape of a thousand volumes costs, from the snapshot to the body, on this
//! machine. The work is done by `agent/benches/scrape.rs`, optimised as the agent is.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Figure;
use crate::workspace::Workspace;

/// Measures.
pub(super) fn run(workspace: &Workspace) -> Result<Vec<Figure>> {
    let bench = workspace
        .cargo()
        .args(["bench", "-q", "-p", "weir-agent", "--bench", "scrape"]);
    let seen: Value = serde_json::from_str(&bench.read()?).context("reading what the bench saw")?;
    let number = |key: &str| {
        seen[key]
            .as_f64()
            .with_context(|| format!("no {key} in {seen}"))
    };
    Ok(vec![
        Figure::new("scrape_ms", number("ms")?, "ms").at_most(100.0),
        Figure::new("scrape_bytes", number("bytes")?, "bytes").at_most(5e6),
        Figure::new(
            "scrape_bytes_with_names_of_40_characters",
            number("bytes_of_long_names")?,
            "bytes",
        ),
        Figure::new("scrape_full_bytes", number("full_bytes")?, "bytes"),
        Figure::new("scrape_protobuf_ms", number("protobuf_ms")?, "ms"),
        Figure::new("scrape_protobuf_bytes", number("protobuf_bytes")?, "bytes"),
    ])
}
