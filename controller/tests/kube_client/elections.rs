//! An election by a Lease, as the controller holds one: whoever writes first leads, the other sees it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::made::unique;
use crate::place::Place;

fn spec(holder: &str, renewed: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(15),
        renew_time: Some(MicroTime(renewed)),
        ..LeaseSpec::default()
    }
}

/// What a candidate does: takes a lease that is free or ran out; `true`: it leads.
async fn stand(api: &Api<Lease>, name: &str, me: &str, now: Timestamp) -> bool {
    let Some(mut lease) = api.get_opt(name).await.unwrap() else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(spec(me, now)),
        };
        return won(api.create(&PostParams::default(), &lease).await);
    };
    let held = lease.spec.clone().unwrap();
    let until = held.renew_time.unwrap().0 + SignedDuration::from_secs(15);
    if held.holder_identity.as_deref() != Some(me) && until > now {
        return false;
    }
    lease.spec = Some(spec(me, now));
    won(api.replace(name, &PostParams::default(), &lease).await)
}

fn won(written: kube::Result<Lease>) -> bool {
    match written {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 409 => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Seen red with: in `Batch::stage`, `(Some(_), Expected::Revision(_)) => true`.
#[tokio::test]
async fn of_many_candidates_one_leads() {
    let place = Place::open();
    let api = Api::<Lease>::namespaced(place.client().await, "default");
    let name = unique("lease");
    let begun = Timestamp::now();
    for round in 0..5 {
        // Every round, what was held before has run out.
        let now = begun + SignedDuration::from_secs(60 * round);
        let stands = (0..16).map(|me| {
            let (api, name) = (api.clone(), name.clone());
            async move { stand(&api, &name, &format!("ctl-{me}"), now).await }
        });
        let leaders = futures::future::join_all(stands).await;
        // One that reads after the leader wrote does not stand; one that read before it lost.
        assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
    }
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_lease_is_kept_as_it_was_written() {
    let place = Place::open();
    let api = Api::<Lease>::namespaced(place.client().await, "default");
    let name = unique("lease");
    let now: Timestamp = "2026-11-22T09:00:00.123456Z".parse().unwrap();
    assert!(stand(&api, &name, "ctl-0", now).await);
    let read = api.get(&name).await.unwrap();
    assert_eq!(read.spec.unwrap(), spec("ctl-0", now));
    let patch = json!({"spec": {"leaseTransitions": 2}});
    let merged = api
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    assert_eq!(merged.unwrap().spec.unwrap().lease_transitions, Some(2));
    let patch = json!({"spec": {"leaseDurationSeconds": 0}});
    let refused = api
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 422));
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}
