//! A pool with two portals: a consumer connects to both, and loses one in mid-I/O.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::expect;
use super::pair::Pair;
use crate::scene::consumer;
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::scene::storage::{PATIENCE, Wish};
use crate::vm::machine::address;

const VOLUME: Wish<'_> = Wish {
    attached: Some((consumer::NODE, 1)),
    ..Wish::linear("two-ways", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0055")
};

/// The storage node's second address.
const SECOND: u8 = 11;

pub(crate) fn run(pair: &Pair) -> Result<()> {
    let (storage, guest) = (&pair.storage.guest, &pair.consumer.guest);
    let agent = pair.agent();
    pair.ensure_pool(&agent)?;
    let second = address(SECOND);
    // Else the second goes with the first.
    storage.sh(&format!("echo 1 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries && ip address add {second}/24 dev eth0"))?;
    let portals = [pair.portal(), second.clone()];
    let addresses: Vec<&str> = portals.iter().map(String::as_str).collect();
    agent.ask_pool_as(&["/dev/mapper/slow"], &addresses, 256, true)?;
    agent.ask(&VOLUME)?;
    let status = agent.wait_status(
        &format!("volume-{}", VOLUME.name),
        &format!("\"address\": *\"{second}\""),
    )?;
    let status = match status["target"]["portals"].as_array().map(Vec::len) {
        Some(2) => status,
        _ => agent.wait_ready(&VOLUME)?,
    };
    let listed = status["target"]["portals"].as_array();
    let listed = listed.context("the status names no portals")?;
    ensure!(listed.len() == 2, "{listed:?} instead of two portals");
    let mut devices = Vec::new();
    for portal in listed {
        let mut target = status["target"].clone();
        target["portals"] = json!([portal]);
        devices.push(consumer::connect_to(guest, &target, "--ctrl-loss-tmo 600")?);
    }
    ensure!(
        devices[0] == devices[1],
        "two portals of one volume are two devices: {devices:?}"
    );
    let load = Load {
        device: devices[0].clone(),
        jobs: 2,
        mix: Mix::Half,
        until: Until::Seconds(20),
    };
    let fio = std::thread::scope(|scope| -> Result<Outcome> {
        let fio = scope.spawn(|| guest.sh_within(&load.command(), PATIENCE));
        guest.wait_for(&format!("fuser {0} || pidof fio", load.device), PATIENCE)?;
        std::thread::sleep(std::time::Duration::from_secs(2));
        // Whichever way the kernel prefers, one of the two cuts is on it.
        for gone in [&portals[1], &portals[0]] {
            storage.sh(&format!("ip address del {gone}/24 dev eth0"))?;
            guest.wait_for(&connecting(gone), PATIENCE)?;
            storage.sh(&format!("ip address add {gone}/24 dev eth0"))?;
            guest.wait_for(&format!("! ({})", connecting(gone)), PATIENCE)?;
        }
        let output = fio.join();
        Outcome::parse(&output.unwrap_or_else(|_| Err(anyhow::anyhow!("fio's thread panicked")))?)
    })?;
    expect("fio's errors", &fio.errors, &0)?;
    let live: Value = serde_json::from_str(&guest.sh("nvmet list -o json")?)?;
    let live = live.as_array().context("nvmet list printed no array")?;
    let is_ours = |c: &&Value| c["transport"] == "tcp" && c["state"] == "live";
    expect("live controllers", &live.iter().filter(is_ours).count(), &2)?;
    consumer::disconnect(guest, &status)?;
    agent.delete(&VOLUME)?;
    pair.ensure_pool(&agent)?;
    storage
        .sh(&format!("ip address del {second}/24 dev eth0"))
        .map(drop)
}

/// A script that succeeds while the connection to an address is lost.
fn connecting(address: &str) -> String {
    format!(
        "for c in /sys/class/nvme/nvme*; do grep -q traddr={address}, $c/address && \
         grep -qx connecting $c/state && exit 0; done; exit 1"
    )
}
