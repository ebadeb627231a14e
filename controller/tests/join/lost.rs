//! The store emptied, restored from an old copy, or another cluster's: what agents do meanwhile, and how the objects
//! come back.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use uuid::Uuid;
use weir_agent::orders::{Answer, Order};
use weir_api::cluster::Accept;
use weir_api::condition::{self, Truth, reason};
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::FINALIZER;
use weir_api::orphan::Adopt;
use weir_api::pool::OrphanVolume;
use weir_api::volume::Phase;

use super::agent::{Agent, NODE};
use super::api::{StandaloneApi, until};
use super::{World, id, object, pool, volume};

impl World {
    async fn pools(&self) -> Api<StoragePool> {
        Api::all(self.api.client().await)
    }

    /// A volume that another node uses.
    async fn make_granted(&self, name: &str, number: u128) -> Volume {
        let mut asked = volume(name, number, 8 << 20);
        asked.spec.attachments = object(json!([{"nodeName": "app-1", "generation": 1}]));
        let volumes = self.volumes().await;
        volumes
            .create(&PostParams::default(), &asked)
            .await
            .unwrap();
        self.granted(name).await
    }

    async fn granted(&self, name: &str) -> Volume {
        let volumes = self.volumes().await;
        let look = async || {
            let found = volumes.get(name).await.ok()?;
            found.status.as_ref()?.target.is_some().then_some(found)
        };
        until(&format!("{name} is granted"), look).await
    }

    /// The pool's orphans, once there are so many.
    async fn orphans(&self, count: u32) -> Vec<OrphanVolume> {
        let pools = self.pools().await;
        let told = async || {
            let status = pools.get("fast").await.ok()?.status?;
            (status.orphans == Some(count)).then_some(status.orphan_volumes)
        };
        until(&format!("{count} orphans are told"), told).await
    }

    /// As `weir orphans adopt` does it.
    async fn adopt(&self, orphan: &OrphanVolume) {
        let wanted: Volume = object(json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume",
            "metadata": {"name": orphan.name, "finalizers": [FINALIZER]},
            "spec": {
                "id": orphan.id, "capacityBytes": orphan.capacity_bytes, "provisioning": orphan.provisioning,
                "access": orphan.access, "attachments": orphan.attachments, "poolName": "fast",
            },
        }));
        let volumes = self.volumes().await;
        volumes
            .create(&PostParams::default(), &wanted)
            .await
            .unwrap();
    }

    async fn cluster(&self) -> Uuid {
        let namespaces: Api<Namespace> = Api::all(self.api.client().await);
        let system = namespaces.get("kube-system").await.unwrap();
        system.uid().unwrap().parse().unwrap()
    }

    fn is_foreign(&self) -> bool {
        let foreign = Some(reason::FOREIGN_CLUSTER);
        self.file_says("storagepool-fast.json", condition::REFUSED, foreign)
    }

    /// An order that may have to wait until the agent knows what the API asks for.
    async fn order(&self, order: Order) -> String {
        let given = async || match self.agent.order(order.clone()) {
            Answer::Done(done) => Some(done.message),
            _ => None,
        };
        until("the order is carried out", given).await
    }
}

fn portal() -> StoragePool {
    let mut pool = pool();
    pool.spec.portals = object(json!([{"address": "10.0.0.1"}]));
    pool
}

async fn world() -> World {
    let world = World::new().await;
    let portals = Patch::Merge(json!({"spec": {"portals": portal().spec.portals}}));
    let pools = world.pools().await;
    pools
        .patch("fast", &PatchParams::default(), &portals)
        .await
        .unwrap();
    world
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The pool comes back by an order to the agent, the volume by its id: neither its LV nor its export is touched.
///
/// Seen red with: `accepted` in the agent's `cluster.rs` not comparing the two clusters.
#[tokio::test(flavor = "multi_thread")]
async fn after_an_emptied_store_a_person_has_the_new_cluster_accepted_and_the_objects_made() {
    let mut world = world().await;
    world.make_granted("a", 1).await;
    let exports = world.node.exports();
    assert_eq!(exports.len(), 1);
    let old = world.cluster().await;
    world.replace_api("emptied").await;
    until("it is another's", async || world.is_foreign().then_some(())).await;
    let new = world.cluster().await;
    assert_ne!(old, new);
    // The wrong one, or none at all, is not accepted, and pools are not created in a foreign API.
    let wrong = Order::Accept(Accept { cluster: old });
    let pool = Order::Adopt(Adopt::Pool {
        name: "fast".parse().unwrap(),
    });
    // For the right reason, in the end: at first nothing is known of what the new API asks for, and then all is refused.
    for (order, why) in [(wrong, "and not of"), (pool, "nothing it says is heeded")] {
        until(why, async || match world.agent.order(order.clone()) {
            Answer::Refused(said) => said.contains(why).then_some(()),
            taken => panic!("{taken:?}"),
        })
        .await;
    }
    assert!(world.pools().await.get_opt("fast").await.unwrap().is_none());

    world.order(Order::Accept(Accept { cluster: new })).await;
    until("it is ours", async || (!world.is_foreign()).then_some(())).await;
    let pool = Adopt::Pool {
        name: "fast".parse().unwrap(),
    };
    world.order(Order::Adopt(pool)).await;
    let orphans = world.orphans(1).await;
    assert_eq!((orphans[0].id, orphans[0].name.as_str()), (id(1), "a"));
    world.adopt(&orphans[0]).await;
    let back = world.granted("a").await;
    assert_eq!(back.status.unwrap().phase, Phase::Ready);
    world.orphans(0).await;
    assert_eq!(world.node.exports(), exports);
    assert!(world.holds(1));
}

/// Of two volumes, one made and one deleted since the copy: the one is an orphan, the other's object is back and no
/// empty volume takes its place.
///
/// Seen red with: a watch that ended early gone on with (`FULL` in the agent's `join/follow.rs`): its version is of the store that was; and with
/// `was_made` in the agent's `join/known.rs` made `false`.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_restored_from_an_old_copy_takes_nothing_and_shows_nothing_empty() {
    let mut world = world().await;
    let (live, saved) = (
        world.root.path().join("api"),
        world.root.path().join("saved"),
    );
    world.make("a", 1).await;
    world.make_granted("kept", 3).await;
    let address = world.api.address();
    world.api.stop().await;
    copy(&live, &saved);
    world.api = StandaloneApi::start(&live, Some(address)).await;
    world.make("b", 2).await;
    world.node.order(id(1));
    world.delete("a").await;
    world.in_phase("a", Phase::Deleted).await;
    world.free("a").await;
    let exports = world.node.exports();

    world.api.stop().await;
    fs::remove_dir_all(&live).unwrap();
    copy(&saved, &live);
    world.api = StandaloneApi::start(&live, Some(address)).await;
    let orphans = world.orphans(1).await;
    assert_eq!(orphans[0].id, id(2));
    let failed = world.in_phase("a", Phase::Failed).await.status.unwrap();
    let ready = condition::get(&failed.conditions, condition::READY).unwrap();
    assert_eq!(
        (ready.status, ready.reason.as_str()),
        (Truth::False, reason::DATA_MISSING)
    );
    assert!(!world.holds(1) && world.holds(2) && world.holds(3));
    // It is no other's word: the next agent says the same.
    world.agent.stop();
    world.agent = Agent::start(&world.node, NODE, &world.api.kubeconfig(NODE));
    world.adopt(&orphans[0]).await;
    world.in_phase("b", Phase::Ready).await;
    world.in_phase("kept", Phase::Ready).await;
    world.in_phase("a", Phase::Failed).await;
    assert!(!world.holds(1));
    assert_eq!(world.node.exports(), exports);
    world.delete("a").await;
    world.in_phase("a", Phase::Deleted).await;
}

/// Seen red with: `due` in the agent's `join/register.rs` never finding anything.
#[tokio::test(flavor = "multi_thread")]
async fn pools_of_the_configuration_are_created_again_and_never_changed() {
    let mut world = World::new().await;
    world.make("a", 1).await;
    world.agent.stop();
    let mut wanted = portal();
    wanted.spec.max_volumes = Some(7);
    let manifest = serde_json::to_string(&wanted).unwrap();
    let other = manifest.replace("fast", "other").replace(NODE, "node-2");
    let path = world.root.path().join("pools.yaml");
    fs::write(&path, format!("{manifest}\n---\n{other}\n")).unwrap();
    let kubeconfig = world.api.kubeconfig(NODE);
    world.agent = Agent::start_with(&world.node, NODE, &kubeconfig, Some(&path));
    world.make("b", 2).await;
    let pools = world.pools().await;
    assert_eq!(
        pools.get("fast").await.unwrap().spec.max_volumes,
        None,
        "the API's stands"
    );
    pools
        .delete("fast", &DeleteParams::default())
        .await
        .unwrap();
    let is_back = async || {
        let pool = pools.get_opt("fast").await.ok()??;
        (pool.spec.max_volumes == Some(7)).then_some(())
    };
    until("the pool is back", is_back).await;
    world.make("c", 3).await;
    assert!(pools.get_opt("other").await.unwrap().is_none());
    assert!(world.holds(1) && world.holds(2));

    // Nothing is created in another cluster's.
    world.replace_api("another").await;
    until("it is another's", async || world.is_foreign().then_some(())).await;
    world.agent.order(Order::List);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(world.pools().await.get_opt("fast").await.unwrap().is_none());
}
