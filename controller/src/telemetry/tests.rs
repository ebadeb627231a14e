//! An agent of our own API's identities and a leader: a whole term.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prometheus::{Registry, TextEncoder};
use weir_telemetry::client::{self, Credentials, Source};
use weir_telemetry::{Delta, InFlight, Key, Op, Place, Reading, Rung, Subject};

use super::*;
use crate::standalone::authority::Authority;

/// Reads one interval each time.
struct One(Instant);

impl Source for One {
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
            added: vec![(key, Delta::of_sum(1, 1_000))],
            in_flight: vec![InFlight {
                pool: "p".parse().unwrap(),
                op: Op::Read,
                now: 4,
            }],
        })
    }
}

fn place(term: &Term) -> Place {
    let found = |name: &str| {
        let mut annotations = term.annotations();
        annotations
            .find(|(this, _)| *this == name)
            .map(|(_, value)| value)
    };
    Place::of_annotations(found).unwrap().unwrap()
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

#[tokio::test]
async fn an_agent_finds_its_leader_by_the_lease_and_is_known_by_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), jiff::Timestamp::now()).unwrap();
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        limits: Limits::default(),
    };
    let agents = Agents {
        certificates: Some(Certificates::new(authority.certificate().to_owned())),
        tokens: None,
    };
    let term = Term::begin(&settings, agents).await.unwrap();
    let (_keep, leader) = watch::channel(Some(place(&term)));
    // The controller's own certificate is good, and no agent's.
    for identity in ["agent:n1", "controller"] {
        let credentials = Credentials {
            certificate: Some(pair(&authority, identity)),
            ..Credentials::default()
        };
        let settings = client::Settings {
            interval: Duration::from_millis(10),
            ..client::Settings::new("n1".parse().unwrap())
        };
        let source = One(Instant::now());
        tokio::spawn(client::run(settings, credentials, source, leader.clone()));
    }
    let node = "n1".parse().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_told = || {
        let figures = term.shared().figures(Instant::now());
        figures.reports >= 5
            && figures
                .refusals
                .of(weir_telemetry::server::Reason::Identity)
                >= 1
    };
    while !is_told() {
        assert!(Instant::now() < deadline, "nothing is told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let in_flight = term.shared().look(|book| {
        let node = book.node(&node)?;
        Some(node.all_in_flight(&"p".parse().unwrap()))
    });
    assert_eq!(in_flight, Some(4));
    let (present, shown) = watch::channel(Some(term.shared().clone()));
    let registry = Registry::new();
    let metrics = TelemetryMetrics::new(shown).unwrap();
    registry.register(Box::new(metrics)).unwrap();
    let text = || {
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    };
    let lines: BTreeSet<String> = text().lines().map(str::to_owned).collect();
    for line in [
        "weir_telemetry_series{kind=\"history\"} 1",
        "weir_telemetry_left_out_total{side=\"here\"} 0",
    ] {
        assert!(lines.contains(line), "{lines:#?}");
    }
    let age = lines
        .iter()
        .find_map(|line| line.strip_prefix("weir_telemetry_age_seconds{node=\"n1\"} "));
    assert!(age.unwrap().parse::<f64>().unwrap() < 60.0);
    // Scraped again it is the same, not twice as much; and without a term it is nothing.
    assert!(text().contains("weir_telemetry_series{kind=\"history\"} 1"));
    present.send_replace(None);
    assert_eq!(text(), "");
    term.end().await;
}

#[test]
fn a_certificate_that_ended_is_nobodys() {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let dir = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now();
    let authority = Authority::open(dir.path(), now).unwrap();
    let certificates = Certificates::new(authority.certificate().to_owned());
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
