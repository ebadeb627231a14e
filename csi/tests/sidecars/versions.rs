//! The API's own part: a change or a deletion that was decided for one state is not done to another.

use serde_json::json;
use weir_api::crd::Volume;
use weir_csi::objects::{ApiError, Live, Objects};

use super::cluster::Cluster;

fn volume(name: &str) -> Volume {
    let volume = json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": name},
        "spec": {"id": uuid::Uuid::new_v4(), "capacityBytes": 1_u64 << 50},
    });
    serde_json::from_value(volume).unwrap()
}

/// Seen red with: `resourceVersion` left out of the patch; the preconditions left out of the deletion.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_only_made_to_what_was_looked_at() {
    let cluster = Cluster::start().await;
    let live = Live::connect(Some(&cluster.kubeconfig())).await.unwrap();
    let name = "v".parse().unwrap();
    let before = live.create(volume("v")).await.unwrap();
    assert!(matches!(
        live.create(volume("v")).await,
        Err(ApiError::Conflict)
    ));
    let note = json!({"metadata": {"annotations": {"a": "b"}}});
    // The controller says meanwhile that it fits nowhere, so the state to begin with is not the first.
    let now = loop {
        let there = live.get(&name).await.unwrap().unwrap();
        match live.change(&there, note.clone()).await {
            Ok(now) => break now,
            Err(ApiError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert!(matches!(
        live.change(&before, note.clone()).await,
        Err(ApiError::Conflict)
    ));
    assert!(matches!(
        live.delete(&before).await,
        Err(ApiError::Conflict)
    ));
    let mut other = now.clone();
    other.metadata.uid = Some(uuid::Uuid::new_v4().to_string());
    assert!(live.delete(&other).await.is_err());
    assert!(live.get(&name).await.unwrap().is_some());
    loop {
        let there = live.get(&name).await.unwrap().unwrap();
        match live.delete(&there).await {
            Ok(()) => break,
            Err(ApiError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(live.delete(&now).await, Err(ApiError::Conflict)));
    assert!(live.get(&name).await.unwrap().is_none());
}
