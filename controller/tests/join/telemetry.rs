//! What a node measured, told to the controller that leads, which the agent finds by the controllers' Lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_api::condition::{self, TELEMETRY_FRESH, Truth, reason};
use weir_api::crd::StoragePool;
use weir_controller::control::{self, Settings};
use weir_controller::telemetry::{self, Agents, Certificates, Taking};
use weir_telemetry::client::{self, Source};
use weir_telemetry::{ADDRESS, AUTHORITY, Delta, Key, Op, Reading, Rung, Subject};

use super::World;
use super::agent::NODE;
use super::api::{StandaloneApi, until};
use super::pool;

/// A controller of its own process, as far as it can tell.
struct Controller {
    taking: Arc<Taking>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Controller {
    async fn start(api: &StandaloneApi, name: &str) -> Self {
        let kubeconfig = api.controller_kubeconfig();
        let authority = control::authority(&kubeconfig).await.unwrap();
        let authority = authority.into_iter().map(CertificateDer::from).collect();
        let agents = Agents {
            certificates: Some(Certificates::new(authority)),
            tokens: None,
        };
        let how = telemetry::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            host: "127.0.0.1".to_owned(),
            limits: telemetry::Limits::default(),
        };
        let taking = Arc::new(Taking::new(how, agents));
        let settings = Settings {
            lease: Duration::from_secs(6),
            renew: Duration::from_secs(1),
            retry: Duration::from_millis(100),
            write: Duration::from_millis(1900),
            tick: Duration::from_millis(100),
            stale: Duration::from_secs(8),
            telemetry: Some(Arc::clone(&taking)),
            ..Settings::new(name)
        };
        let client = control::client(&kubeconfig).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        Controller {
            taking,
            stop,
            task: tokio::spawn(control::run(client, settings, stopping)),
        }
    }

    /// What it has counted in of the pool `fast`; `None` while it does not lead.
    fn counted(&self) -> Option<u64> {
        let present = self.taking.present();
        let present = present.borrow();
        let totals = present.as_ref()?.look(|book| {
            let pool = book.pool(&NODE.parse().ok()?, &"fast".parse().ok()?)?;
            Some(pool.history(Op::Read)?.totals().count)
        });
        Some(totals.unwrap_or(0))
    }

    async fn counts(&self, expected: u64) {
        let counted = async || (self.counted() == Some(expected)).then_some(());
        let what = format!("{expected} counted in");
        until(&what, counted).await;
    }
}

/// A counter as a kernel has it: it goes on, whoever reads it.
struct Counter(Arc<AtomicU64>, u64, Instant);

impl Source for Counter {
    fn read(&mut self) -> Option<Reading> {
        let now = self.0.load(Ordering::SeqCst);
        let (added, since, at) = (now - self.1, self.2, Instant::now());
        (self.1, self.2) = (now, at);
        let subject = Subject::Pool("fast".parse().unwrap());
        let key = Key {
            subject,
            op: Op::Read,
        };
        Some(Reading {
            since,
            at,
            rung: Rung::Ebpf,
            added: vec![(key, Delta::of_sum(added, added))],
            in_flight: Vec::new(),
        })
    }
}

/// An API, an agent whose counter is told, and its pool.
struct Told {
    world: World,
    counter: Arc<AtomicU64>,
    stream: JoinHandle<()>,
}

impl Told {
    async fn new() -> Self {
        let world = World::new().await;
        let leader = &world.agent.leader;
        let settings = client::Settings {
            interval: Duration::from_millis(20),
            state: leader.stream.clone(),
            ..client::Settings::new(NODE.parse().unwrap())
        };
        let counter = Arc::new(AtomicU64::new(0));
        let source = Counter(Arc::clone(&counter), 0, Instant::now());
        let mut known = leader.credentials.clone();
        let place = leader.place.clone();
        let stream = async move {
            let credentials = known.wait_for(Option::is_some).await.unwrap().clone();
            client::run(settings, credentials.unwrap(), source, place).await;
        };
        Told {
            world,
            counter,
            stream: tokio::spawn(stream),
        }
    }

    fn add(&self, ios: u64) {
        self.counter.fetch_add(ios, Ordering::SeqCst);
    }

    fn is_connected(&self) -> bool {
        self.world.agent.leader.stream.borrow().is_connected
    }

    async fn says(&self, truth: Truth, why: &str) -> StoragePool {
        let pools: Api<StoragePool> = Api::all(self.world.api.client().await);
        let said = async || {
            let pool = pools.get("fast").await.ok()?;
            let conditions = &pool.status.as_ref()?.conditions;
            let fresh = condition::get(conditions, TELEMETRY_FRESH)?;
            let ready = condition::get(conditions, condition::READY)?;
            let is_so = fresh.status == truth && fresh.reason == why;
            (is_so && ready.status == Truth::True).then_some(pool)
        };
        until(&format!("TelemetryFresh is {truth:?} {why}"), said).await
    }

    async fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.world.api.client().await, "default")
    }
}

/// Seen red with: `look_at_telemetry` not looking (nothing is ever said), `announce` in `claim.rs` not taking away what an earlier
/// holder said, `find` in the agent's `join/leader.rs` looking once only. Not with `is_said` in `decide::telemetry` always false: a
/// write that changes nothing makes no new version. That is seen red where it is decided.
#[tokio::test(flavor = "multi_thread")]
async fn telemetry_follows_the_leader_and_each_interval_is_counted_once() {
    let told = Told::new().await;
    let first = Controller::start(&told.world.api, "first").await;
    told.add(1_000);
    first.counts(1_000).await;
    let fresh = told.says(Truth::True, reason::AS_ASKED).await;
    let second = Controller::start(&told.world.api, "second").await;
    for total in 1_001..1_050 {
        told.add(1);
        first.counts(total).await;
    }
    // A pool whose state stays is not changed.
    let now = told.says(Truth::True, reason::AS_ASKED).await;
    assert_eq!(now.resource_version(), fresh.resource_version());

    // As SIGKILL would.
    first.task.abort();
    drop(first.task.await);
    told.add(70);
    let leads = async || second.counted().map(|_| Instant::now());
    let began = until("the second one leads", leads).await;
    second.counts(70).await;
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(10), "{took:?}");
    told.add(7);
    second.counts(77).await;
    assert!(second.taking.pools().all().len() == 1);

    told.stream.abort();
    told.says(Truth::False, reason::NOT_HEARD).await;
    second.stop.send_replace(true);
    second.task.await.unwrap();
    let lease = told.leases().await.get("weir-controller").await.unwrap();
    for name in [ADDRESS, AUTHORITY] {
        assert!(!lease.annotations().contains_key(name), "{name}");
    }
}

/// Seen red with: `stopped(&mut stop)` in `Stream::serve` made never to return.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_to_a_leader_that_was_deposed_ends() {
    let told = Told::new().await;
    let controller = Controller::start(&told.world.api, "deposed").await;
    told.add(10);
    controller.counts(10).await;
    assert!(told.is_connected());
    let theirs = json!({"spec": {"holderIdentity": "other", "leaseDurationSeconds": 3600}});
    let (how, patch) = (PatchParams::default(), Patch::Merge(&theirs));
    let leases = told.leases().await;
    leases.patch("weir-controller", &how, &patch).await.unwrap();
    let ended = async || (!told.is_connected()).then_some(());
    until("the stream's end", ended).await;
    assert_eq!(controller.counted(), None);
    // It is not taken up again there, though the Lease says still what the old one wrote.
    told.add(10);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!told.is_connected() && controller.counted().is_none());
}

/// Not even what a node measures is another cluster's business.
///
/// Seen red with: `find` in the agent's `join/leader.rs` heeding whatever API there is.
#[tokio::test(flavor = "multi_thread")]
async fn another_clusters_leader_is_told_nothing() {
    let mut told = Told::new().await;
    let controller = Controller::start(&told.world.api, "ours").await;
    told.add(10);
    controller.counts(10).await;
    controller.stop.send_replace(true);
    controller.task.await.unwrap();
    let address = told.world.api.address();
    told.world.api.stop().await;
    let (old, new) = (
        told.world.root.path().join("api"),
        told.world.root.path().join("other"),
    );
    super::api::copy_pki(&old, &new);
    told.world.api = StandaloneApi::start(&new, Some(address)).await;
    let theirs = Controller::start(&told.world.api, "theirs").await;
    let pools: Api<StoragePool> = Api::all(told.world.api.client().await);
    pools.create(&PostParams::default(), &pool()).await.unwrap();
    let is_foreign = async || {
        let status = pools.get("fast").await.ok()?.status?;
        let ready = condition::get(&status.conditions, condition::READY)?;
        (ready.reason == reason::FOREIGN_CLUSTER).then_some(())
    };
    until("it is another's", is_foreign).await;
    told.add(10);
    let leads = async || theirs.counted();
    until("theirs leads", leads).await;
    // Longer than any of the agent's looks are apart while it knows nobody that it heeds.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!told.is_connected());
    assert_eq!(theirs.counted(), Some(0));
}
