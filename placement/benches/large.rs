//! How long a placement takes among many pools: `cargo xtask bench placement`. Prints one JSON object.
//!
//! Pools differ as they do in a cluster: some are cordoned, some are full, some are silent, all have figures, labels and
//! volumes, and 64 decisions are held. Every volume asks for a label and has an objective.

#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the figures are the product")]

use std::hint::black_box;
use std::time::Instant;

use serde_json::json;
use weir_api::crd::{StoragePool, VolumeSpec};
use weir_placement::model::Line;
use weir_placement::{Climate, Figures, Health, Hold, Holds, PoolView, Trust, VolumeView, place};

const POOLS: u32 = 10_000;
const ROUNDS: u32 = 2_000;

fn pool(index: u32) -> PoolView {
    let is_full = index % 10 == 3;
    let free = if is_full {
        0
    } else {
        (1u64 << 40) - u64::from(index) * (1 << 20)
    };
    let object = json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StoragePool",
        "metadata": {"name": format!("node-{}-fast-{index}", index / 2), "labels": {"disk": "nvme", "room": "a"}},
        "spec": {
            "nodeName": format!("node-{}", index / 2),
            "engine": {"kernel": {"volumeGroup": "vg", "devices": ["/dev/nvme0n1"]}},
            "portals": [{"address": "10.0.0.1"}],
            "maxVolumes": 100_000,
            "maxRemoteVolumes": 100_000,
            "unschedulable": index % 20 == 7,
        },
        "status": {"capacityBytes": 1u64 << 40, "freeBytes": free},
    });
    let object: StoragePool = serde_json::from_value(object).unwrap();
    let mut view = PoolView::of(&object).unwrap();
    view.health = if index % 50 == 11 {
        Health::Silent
    } else {
        Health::Ready
    };
    view.booked.volumes = 5;
    let spread = f32::from(u16::try_from(index % 97).unwrap());
    view.live = Figures {
        trust: Trust::Full,
        in_flight: spread / 10.0,
        read: Line {
            base: 150.0 + spread,
            slope: 12.0,
        },
        write: Line {
            base: 60.0 + spread,
            slope: 9.0,
        },
        ..Figures::default()
    };
    view
}

fn volume(index: u32) -> VolumeView {
    let spec = json!({
        "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "capacityBytes": 1u64 << 30,
        "latency": {"readP99": "220us"},
        "placement": {
            "consumerNode": format!("client-{index}"),
            "locality": "NoPreference",
            "pools": {"matchLabels": {"disk": "nvme"}},
        },
    });
    VolumeView::of(&serde_json::from_value::<VolumeSpec>(spec).unwrap())
}

/// Microseconds that placements take, in ascending order.
fn measure(pools: &[PoolView], climate: &Climate) -> Vec<f64> {
    let volumes: Vec<VolumeView> = (0..16).map(volume).collect();
    let mut holds = Holds::default();
    let mut micros = Vec::new();
    for round in 0..ROUNDS {
        let volume = &volumes[usize::try_from(round).unwrap() % volumes.len()];
        let began = Instant::now();
        let placement = place(pools, climate, black_box(volume), &holds, u64::from(round));
        let placement = black_box(placement);
        micros.push(began.elapsed().as_secs_f64() * 1e6);
        let winner = &pools[placement.winner.unwrap()];
        let hold = Hold {
            pool: winner.name.clone(),
            node: winner.node.clone(),
            usage: volume.usage(&winner.node),
            key: None,
        };
        holds.take(&(round % 64).to_string(), hold);
    }
    micros.sort_by(f64::total_cmp);
    micros
}

fn main() {
    let pools: Vec<PoolView> = (0..POOLS).map(pool).collect();
    let climate = Climate::of(&pools);
    let p99 = |sorted: &[f64]| sorted[sorted.len() * 99 / 100];
    let p50 = |sorted: &[f64]| sorted[sorted.len() / 2];
    let all = measure(&pools, &climate);
    let tenth = measure(&pools[..pools.len() / 10], &climate);
    let by_space = measure(&pools, &Climate::default());
    let began = Instant::now();
    for _ in 0..100 {
        black_box(Climate::of(black_box(&pools)));
    }
    let climate_us = began.elapsed().as_secs_f64() * 1e4;
    println!(
        "{}",
        json!({
            "placement_10k_p99_us": p99(&all),
            "placement_10k_p50_us": p50(&all),
            "placement_1k_p50_us": p50(&tenth),
            "placement_10k_by_space_p99_us": p99(&by_space),
            "climate_10k_us": climate_us,
        })
    );
}
