//! Asks a plugin, inside a guest, what kubelet and the sidecars ask.
//!
//! `guest-csi SOCKET` reads a JSON list of calls, `{"ask": "NodeStageVolume", "with": {…}, "within": 60}`, each made when the one before was
//! answered. A list in the list is of calls that are made at once, or, where it has lists, of such lists. Prints a list of the same form: `{"ok": …}` or
//! `{"code": "NotFound", "why": …}`, each with its `seconds`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "what it prints is what it was asked for"
)]

mod ask;
mod dial;

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use futures::future::{BoxFuture, FutureExt, try_join_all};
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tonic::transport::Channel;

use ask::Call;

#[tokio::main]
async fn main() -> Result<()> {
    let socket = std::env::args_os().nth(1).map(PathBuf::from);
    let socket = socket.context("usage: guest-csi SOCKET")?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let script: Value = serde_json::from_str(&text).context("reading the calls")?;
    let pool = DescriptorPool::decode(weir_csi::proto::DESCRIPTORS)?;
    let channel = dial::dial(&socket).await?;
    let told = one_by_one(&pool, &channel, &script).await?;
    println!("{told}");
    Ok(())
}

fn one_by_one<'a>(
    pool: &'a DescriptorPool,
    channel: &'a Channel,
    script: &'a Value,
) -> BoxFuture<'a, Result<Value>> {
    async move {
        let mut told = Vec::new();
        for step in script.as_array().context("calls are a list")? {
            told.push(match step.as_array() {
                Some(steps) => at_once(pool, channel, steps).await?,
                None => Call::of(pool, step)?.make(channel.clone()).await?,
            });
        }
        Ok(Value::Array(told))
    }
    .boxed()
}

async fn at_once(pool: &DescriptorPool, channel: &Channel, steps: &[Value]) -> Result<Value> {
    let all = steps.iter().map(|step| async move {
        match step.is_array() {
            true => one_by_one(pool, channel, step).await,
            false => Call::of(pool, step)?.make(channel.clone()).await,
        }
    });
    try_join_all(all).await.map(Value::Array)
}
