//! Placements per second over 100 pools, holds included: `cargo bench -p weir-placement --bench place`.

#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "the figure is the product")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_api::crd::{StoragePool, VolumeSpec};
use weir_placement::{Climate, Health, Hold, Holds, PoolView, VolumeView, place};

const POOLS: u64 = 100;
/// As many decisions as are held at once while an API is slow.
const HELD: u64 = 64;

fn pool(index: u64) -> PoolView {
    let object = json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StoragePool",
        "metadata": {"name": format!("node-{}-fast-{index}", index / 2), "labels": {"disk": "nvme"}},
        "spec": {
            "nodeName": format!("node-{}", index / 2),
            "engine": {"kernel": {"volumeGroup": "vg", "devices": ["/dev/nvme0n1"]}},
            "portals": [{"address": "10.0.0.1"}],
            "maxVolumes": 100_000,
            "maxRemoteVolumes": 100_000,
        },
        "status": {"capacityBytes": 1u64 << 50, "freeBytes": (1u64 << 50) - index * (1 << 30)},
    });
    let object: StoragePool = serde_json::from_value(object).unwrap();
    let mut view = PoolView::of(&object).unwrap();
    view.health = Health::Ready;
    view
}

fn volume(consumer: u64) -> VolumeView {
    let spec = json!({
        "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "capacityBytes": 1u64 << 30,
        "placement": {
            "consumerNode": format!("node-{consumer}"),
            "pools": {"matchLabels": {"disk": "nvme"}},
        },
    });
    VolumeView::of(&serde_json::from_value::<VolumeSpec>(spec).unwrap())
}

fn main() {
    let pools: Vec<PoolView> = (0..POOLS).map(pool).collect();
    let volumes: Vec<VolumeView> = (0..16).map(volume).collect();
    let mut holds = Holds::default();
    let began = Instant::now();
    let mut count = 0u64;
    while began.elapsed() < Duration::from_secs(2) {
        for volume in &volumes {
            let placement = place(
                &pools,
                &Climate::default(),
                black_box(volume),
                &holds,
                count,
            );
            let winner = &pools[placement.winner.unwrap()];
            let hold = Hold {
                pool: winner.name.clone(),
                node: winner.node.clone(),
                usage: volume.usage(&winner.node),
                key: None,
            };
            holds.take(&(count % HELD).to_string(), hold);
            count += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate, not an account")]
    let rate = count as f64 / seconds;
    println!("{rate:.0} placements/s with {POOLS} pools, {HELD} decisions held (aim: 50000)");
}
