//! `weir status` and `weir explain`.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use weir_api::condition::{self, SCHEDULED};

use super::cluster::{Cluster, until};

/// Two nodes, one of which is not heard: volumes that are served, lost, and in no pool.
async fn troubled() -> Cluster {
    let mut cluster = Cluster::start().await;
    cluster.agent("n1").await;
    let long_ago = Timestamp::now()
        .checked_sub(SignedDuration::from_mins(10))
        .unwrap();
    cluster.lease("n2", long_ago).await;
    cluster.pool("fast", "n1").await;
    let attached = json!({"attachments": [{"nodeName": "n1", "generation": 1}]});
    cluster.volume("served", attached).await;
    cluster.served("served", "n1").await;
    cluster.pool("slow", "n2").await;
    // As the controller says it after 40 s.
    cluster
        .tell_pool(
            "slow",
            json!({"conditions": [{
                "type": "Ready", "status": "Unknown", "reason": "AgentSilent",
                "message": "the agent on node `n2` does not renew its Lease",
            }]}),
        )
        .await;
    cluster.volume("lost", json!({"poolName": "slow"})).await;
    let gold = json!({"matchLabels": {"weir.dev/media": "gold"}});
    cluster
        .volume("nowhere", json!({"placement": {"pools": gold}}))
        .await;
    until("a word about nowhere", async || {
        let volume = cluster.volumes().get("nowhere").await.unwrap();
        let status = volume.status.unwrap_or_default();
        condition::get(&status.conditions, SCHEDULED).is_some()
    })
    .await;
    cluster
}

fn wrong(status: &Value) -> Vec<String> {
    let wrong = status["wrong"].as_array().unwrap().iter();
    let say = |one: &Value| {
        format!("{} {} {}", one["kind"], one["reason"], one["names"]).replace('"', "")
    };
    wrong.map(say).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_told_on_one_screen() {
    let cluster = troubled().await;
    let said = cluster.weir("status -o json");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let status = said.json();
    assert_eq!(status["controller"]["isLeading"], true);
    let agents = status["agents"].as_array().unwrap();
    let hearing: Vec<&Value> = agents.iter().map(|agent| &agent["hearing"]).collect();
    assert_eq!(hearing, ["Heard", "Silent"]);
    assert_eq!(status["volumes"]["total"], 3);
    assert_eq!(
        status["volumes"]["byPhase"],
        json!({"Pending": 2, "Ready": 1})
    );
    assert_eq!(status["volumes"]["unplaced"], 1);
    assert_eq!(status["capacity"]["totalBytes"], 20_u64 << 30);
    assert_eq!(status["capacity"]["usableBytes"], 10_u64 << 30);
    assert_eq!(
        wrong(&status),
        [
            "StoragePool AgentSilent [slow]",
            "Volume AgentSilent [lost]",
            "Volume NoPoolFits [nowhere]",
        ]
    );
    let text = cluster.weir("status").out;
    for part in [
        " leads, heard ",
        "agents      1 heard, 1 silent",
        "pools       2: 1 Ready, 1 not Ready",
        "capacity    20 GiB: 0 B used, 20 GiB free, of which new volumes can have 10 GiB",
        "volumes     3: 2 Pending, 1 Ready, 1 in no pool",
        "slow  n2    unknown: AgentSilent",
        "error    StoragePool slow: AgentSilent",
        "next: on node n2: see whether it runs",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_explained() {
    let cluster = troubled().await;
    let explained = |name: &str| {
        let said = cluster.weir(&format!("explain volume {name} -o json"));
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.json()
    };
    let served = explained("served");
    assert_eq!(served["waitsFor"]["reason"], "Nothing");
    assert_eq!(served["attachments"][0]["way"], "/dev/served");
    assert_eq!(served["pool"]["name"], "fast");
    assert_eq!(served["pool"]["agent"]["hearing"], "Heard");

    let lost = explained("lost");
    assert_eq!(lost["waitsFor"]["reason"], "AgentSilent");
    assert_eq!(lost["pool"]["nodeName"], "n2");

    let nowhere = explained("nowhere");
    assert_eq!(nowhere["waitsFor"]["reason"], "NoPoolFits");
    assert_eq!(nowhere["placement"]["filtered"][0]["filter"], "pools");
    assert_eq!(nowhere["scheduled"], nowhere["waitsFor"]["message"]);

    // Events are written after the conditions, and may be late.
    until("an event about nowhere", async || {
        !explained("nowhere")["events"]
            .as_array()
            .unwrap()
            .is_empty()
    })
    .await;
    let page = cluster.weir("explain volume nowhere").out;
    for part in [
        "volume nowhere: Pending, 1 GiB",
        "waits for   none of ",
        "without the labels asked for (pools: ",
        "next        pools (",
        "kubectl label wpool",
        "left out by pools",
        "! Scheduled: no pool was chosen (NoPoolFits",
        "NoPoolFits (from weir.dev/controller)",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
}
