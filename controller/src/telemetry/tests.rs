//! An agent of our own API's identities and a leader: a whole term.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prometheus::{Registry, TextEncoder};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use weir_telemetry::client::{self, Credentials, Source};
use weir_telemetry::server::Reason;
use weir_telemetry::{Delta, InFlight, Key, Op, Place, Reading, Rung, Subject};

use super::*;
use crate::standalone::authority::Authority;

/// More than all others say together.
const MANY: u64 = 1_000_000_000;

/// Reads so many intervals each time.
struct Repeated(Instant, u64);

impl Source for Repeated {
    fn read(&mut self) -> Option<Reading> {
        let (since, at) = (self.0, Instant::now());
        self.0 = at;
        let subject = Subject::Pool("p".parse().unwrap());
        let key = Key {
            subject,
            op: Op::Read,
        };
        Some(Reading {
            since,
            at,
            rung: Rung::Ebpf,
            added: vec![(key, Delta::of_sum(self.1, self.1 * 1_000))],
            in_flight: vec![InFlight {
                pool: "p".parse().unwrap(),
                op: Op::Read,
                now: 4,
            }],
        })
    }
}

fn place(announced: &Announcement) -> Place {
    let found = |name: &str| announced.get(name).map(String::as_str);
    Place::of_annotations(found).unwrap().unwrap()
}

fn root(authority: &Authority) -> Vec<CertificateDer<'static>> {
    let root = CertificateDer::from_pem_slice(authority.certificate().as_bytes());
    vec![root.unwrap()]
}

/// The certificate and key that a kubeconfig of ours has for an identity.
fn pair(authority: &Authority, identity: &str) -> (String, String) {
    use base64::Engine;
    let identity = identity.parse().unwrap();
    let now = jiff::Timestamp::now();
    let text = authority
        .kubeconfig(&identity, "https://x", 1, now)
        .unwrap();
    let kubeconfig: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
    let data = |name: &str| {
        let text = kubeconfig
            .pointer(&format!("/users/0/user/{name}"))
            .unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap());
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    (data("client-certificate-data"), data("client-key-data"))
}

/// Seen red with: `set_pools` summing what all nodes say of a pool; the comparison of `node` with `self.agent.node` left out of
/// `Stream::welcome`; `Over` in `taking.rs` doing nothing.
#[tokio::test]
async fn an_agent_is_known_by_its_certificate_and_tells_of_its_own_nodes_pools_alone() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), jiff::Timestamp::now()).unwrap();
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        limits: Limits::default(),
    };
    let agents = Agents {
        certificates: Some(Certificates::new(root(&authority))),
        tokens: None,
    };
    let taking = Arc::new(Taking::new(settings, agents));
    taking
        .pools()
        .see("p".parse().unwrap(), "n1".parse().unwrap());
    let (announce, mut announced) = watch::channel(Announcement::new());
    let taken = Arc::clone(&taking);
    let task = tokio::spawn(async move { taken.take(&announce).await });
    let found = announced.wait_for(|announced| !announced.is_empty()).await;
    let place = place(&found.unwrap());
    let (_keep, leader) = watch::channel(Some(place));
    // The controller's own certificate is good, and no agent's. The agent of n2 says that it is n1's, and then, as itself, much
    // about a pool of n1.
    let each = [
        ("agent:n1", "n1", 1),
        ("controller", "n1", MANY),
        ("agent:n2", "n1", MANY),
        ("agent:n2", "n2", MANY),
    ];
    for (identity, node, count) in each {
        let credentials = Credentials {
            certificate: Some(pair(&authority, identity)),
            ..Credentials::default()
        };
        let settings = client::Settings {
            interval: Duration::from_millis(10),
            ..client::Settings::new(node.parse().unwrap())
        };
        let source = Repeated(Instant::now(), count);
        tokio::spawn(client::run(settings, credentials, source, leader.clone()));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let present = taking.present();
    let shared = || present.borrow().clone().unwrap();
    let is_told = || {
        let figures = shared().figures(Instant::now());
        figures.ages.len() == 2
            && figures.reports >= 10
            && figures.refusals.of(Reason::Identity) >= 1
            && figures.refusals.of(Reason::OtherNode) >= 1
    };
    while !is_told() {
        assert!(Instant::now() < deadline, "nothing is told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let registry = Registry::new();
    let metrics = TelemetryMetrics::new(&taking).unwrap();
    registry.register(Box::new(metrics)).unwrap();
    let text = || {
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    };
    let lines: BTreeSet<String> = text().lines().map(str::to_owned).collect();
    for line in [
        "weir_telemetry_in_flight{pool=\"p\"} 4",
        "weir_telemetry_series{kind=\"history\"} 2",
        "weir_telemetry_left_out_total{side=\"here\"} 0",
    ] {
        assert!(lines.contains(line), "{lines:#?}");
    }
    let figure = |name: &str| {
        let found = lines.iter().filter_map(|line| line.strip_prefix(name));
        let found: Vec<f64> = found.map(|value| value.trim().parse().unwrap()).collect();
        assert_eq!(found.len(), 1, "{name}: {lines:#?}");
        found[0]
    };
    assert!(figure("weir_telemetry_age_seconds{node=\"n1\",pool=\"p\"}") < 60.0);
    assert!(figure("weir_telemetry_backend_ios_total{op=\"read\",pool=\"p\"}") < 1e6);
    assert!(figure("weir_telemetry_backend_seconds_total{op=\"read\",pool=\"p\"}") < 1.0);
    // Scraped again it is the same, not twice as much; and without a term it is nothing.
    assert!(text().contains("weir_telemetry_series{kind=\"history\"} 2"));
    task.abort();
    drop(task.await);
    assert_eq!(text(), "");
    assert!(announced.borrow().is_empty());
}

/// A controller that leads again listens at its old address again, with another certificate.
#[tokio::test]
async fn a_term_ends_its_streams_and_another_one_begins_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), jiff::Timestamp::now()).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings {
        listen: free.local_addr().unwrap(),
        host: "127.0.0.1".to_owned(),
        limits: Limits::default(),
    };
    drop(free);
    let agents = Agents {
        certificates: Some(Certificates::new(root(&authority))),
        tokens: None,
    };
    let taking = Arc::new(Taking::new(settings, agents));
    let (announce, mut announced) = watch::channel(Announcement::new());
    let announce = Arc::new(announce);
    let (lead, leader) = watch::channel(None);
    let settings = client::Settings {
        interval: Duration::from_millis(10),
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        ..client::Settings::new("n1".parse().unwrap())
    };
    let mut stream = settings.state.subscribe();
    let credentials = Credentials {
        certificate: Some(pair(&authority, "agent:n1")),
        ..Credentials::default()
    };
    let source = Repeated(Instant::now(), 1);
    tokio::spawn(client::run(settings, credentials, source, leader));
    let mut certificates = BTreeSet::new();
    for _ in 0..3 {
        let (taken, announce) = (Arc::clone(&taking), Arc::clone(&announce));
        let task = tokio::spawn(async move { taken.take(&announce).await });
        let found = announced.wait_for(|announced| !announced.is_empty()).await;
        let place = place(&found.unwrap());
        certificates.insert(place.authority.clone());
        lead.send_replace(Some(place));
        let limit = Duration::from_secs(60);
        let connected = stream.wait_for(|stream| stream.is_connected);
        drop(tokio::time::timeout(limit, connected).await.unwrap());
        task.abort();
        drop(task.await);
        let over = stream.wait_for(|stream| !stream.is_connected);
        drop(tokio::time::timeout(limit, over).await.unwrap());
    }
    assert_eq!(certificates.len(), 3);
}

#[test]
fn a_certificate_that_ended_is_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now();
    let authority = Authority::open(dir.path(), now).unwrap();
    let certificates = Certificates::new(root(&authority));
    let judged = |identity: &str, at| {
        let (certificate, _) = pair(&authority, identity);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        certificates.judge(&der, at)
    };
    let agent = judged("agent:n1", now).unwrap();
    assert_eq!(agent.node.as_str(), "n1");
    assert!(agent.valid_for <= Duration::from_secs(24 * 60 * 60));
    let later = now + Duration::from_secs(25 * 60 * 60);
    assert!(judged("agent:n1", later).is_err());
    for other in ["admin", "csi-node:n1"] {
        let denied = judged(other, now).unwrap_err().to_string();
        assert!(denied.contains("is not an agent"), "{denied}");
    }
}
