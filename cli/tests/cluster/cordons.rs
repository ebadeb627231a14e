//! `weir cordon`, `weir uncordon` and `weir drain`.

use serde_json::json;

use super::cluster::{Cluster, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_cordon_sets_one_field_and_says_what_changed() {
    let mut cluster = Cluster::start().await;
    cluster.agent("n1").await;
    cluster.pool("a", "n1").await;
    cluster.pool("b", "n1").await;
    cluster.pool("c", "n2").await;
    let cordoned = async |name: &str| cluster.pools().get(name).await.unwrap().spec.unschedulable;

    let said = cluster.weir("cordon pool a");
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            Some(0),
            "pool a on node n1 cordoned: it takes no new volumes, and keeps those it has\n"
        )
    );
    assert!(cordoned("a").await && !cordoned("b").await);
    let version = async || cluster.pools().get("a").await.unwrap().metadata.generation;
    let before = version().await;
    assert_eq!(
        cluster.weir("cordon pool a").out,
        "pool a on node n1 was cordoned already\n"
    );
    assert_eq!(version().await, before);

    let said = cluster.weir("cordon node n1 -o json").json();
    let changed: Vec<_> = said["pools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pool| &pool["isChanged"])
        .collect();
    assert_eq!(changed, [false, true]);
    assert!(cordoned("b").await && !cordoned("c").await);

    cluster.cordoned_node("n1").await;
    let said = cluster.weir("uncordon node n1");
    assert!(
        said.out.contains("pool b on node n1 uncordoned"),
        "{}",
        said.out
    );
    assert!(said.out.contains("kubectl uncordon n1"), "{}", said.out);
    assert!(!cordoned("a").await && !cordoned("b").await);
}

/// Seen red with: `drain` deleting the volumes that it lists.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lists_what_is_there_and_deletes_nothing() {
    let mut cluster = Cluster::start().await;
    cluster.agent("n1").await;
    cluster.pool("fast", "n1").await;
    cluster
        .volume(
            "used",
            json!({"attachments": [{"nodeName": "app", "generation": 1}]}),
        )
        .await;
    cluster.served("used", "n1").await;
    cluster.volume("idle", json!({})).await;
    cluster.served("idle", "n1").await;

    for target in ["pool fast", "node n1"] {
        let said = cluster.weir(&format!("drain {target} -o json"));
        assert_eq!(said.code, Some(3), "{}", said.err);
        let drain = said.json();
        assert_eq!(drain["isEmpty"], false);
        let names: Vec<_> = drain["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["name"])
            .collect();
        assert_eq!(names, ["idle", "used"]);
        assert_eq!(drain["volumes"][1]["attached"], json!(["app"]));
    }
    let text = cluster.weir("drain pool fast").out;
    for part in [
        "volumes that are still there: 2",
        "stop what uses it on app",
        "kubectl delete wvol idle",
        "NotImplemented",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let pool = cluster.pools().get("fast").await.unwrap();
    assert!(pool.spec.unschedulable);
    for name in ["used", "idle"] {
        let volume = cluster.volumes().get(name).await.unwrap();
        assert_eq!(volume.metadata.deletion_timestamp, None, "{name}");
        assert_eq!(volume.spec.pool_name.unwrap().as_str(), "fast");
    }

    // What was cordoned takes no more.
    cluster.volume("late", json!({})).await;
    until("a word about late", async || {
        let status = cluster.volumes().get("late").await.unwrap().status;
        status.is_some_and(|status| !status.conditions.is_empty())
    })
    .await;
    let late = cluster.weir("explain volume late -o json").json();
    assert!(
        late["waitsFor"]["next"][0]
            .as_str()
            .unwrap()
            .contains("weir uncordon pool fast"),
        "{late}"
    );

    for name in ["used", "idle"] {
        cluster.delete(name).await;
    }
    let said = cluster.weir("drain pool fast");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("pool fast is empty"), "{}", said.out);
}
