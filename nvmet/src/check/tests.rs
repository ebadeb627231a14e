//! One wanted target for each rule that breaks it.

use super::*;
use crate::{Authentication, Namespace, Port, Portal, Secret, Tsas};

fn nqn(name: &str) -> Nqn {
    format!("nqn.{name}").parse().unwrap()
}

fn namespace(identity: u128) -> Namespace {
    Namespace::new("/dev/vg/volume", Uuid::from_u128(identity))
}

/// Subsystems a and b, each for its own host, on one port.
fn target() -> Target {
    let subsystem = |host: &str, identity| Subsystem {
        allowed_hosts: [nqn(host)].into(),
        serial: Some("12345678901234567890".to_owned()),
        model: Some("Weir 1".to_owned()),
        namespaces: [(Nsid::FIRST, namespace(identity))].into(),
        ..Subsystem::default()
    };
    let port = Port {
        subsystems: [nqn("a"), nqn("b")].into(),
        ..Port::new(Portal::tcp("10.0.0.1".parse().unwrap(), 4420))
    };
    Target {
        hosts: ["host-a", "host-b"]
            .map(|host| (nqn(host), Authentication::default()))
            .into(),
        subsystems: [
            (nqn("a"), subsystem("host-a", 1)),
            (nqn("b"), subsystem("host-b", 2)),
        ]
        .into(),
        ports: [(PortId(1), port)].into(),
        ..Target::default()
    }
}

/// What `check` says after `edit`, with the subsystem a and its namespace at hand.
fn said(edit: impl FnOnce(&mut Target)) -> String {
    let mut target = target();
    edit(&mut target);
    match check(&target) {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn a(target: &mut Target) -> &mut Subsystem {
    target.subsystems.get_mut(&nqn("a")).unwrap()
}

fn namespace_of_a(target: &mut Target) -> &mut Namespace {
    a(target).namespaces.get_mut(&Nsid::FIRST).unwrap()
}

fn port(target: &mut Target) -> &mut Port {
    target.ports.get_mut(&PortId(1)).unwrap()
}

#[test]
fn a_sound_target_passes() {
    assert_eq!(said(|_| {}), "ok");
    assert_eq!(check(&Target::default()), Ok(()));
}

#[test]
fn texts_that_the_kernel_cannot_keep_are_refused() {
    for (serial, expected) in [
        ("", "is empty"),
        ("123456789012345678901", "is longer than 20 characters"),
        ("a\tb", "not printable ASCII"),
        ("ä", "not printable ASCII"),
        ("a ", "ends with a blank"),
    ] {
        let said = said(|target| a(target).serial = Some(serial.to_owned()));
        assert!(said.contains(expected), "{said}");
        assert!(said.starts_with("subsystem nqn.a: serial"), "{said}");
    }
    let said = said(|target| a(target).model = Some("x".repeat(41)));
    assert!(said.contains("longer than 40"), "{said}");
}

#[test]
fn hosts_must_exist_and_exclude_any_host() {
    let unknown = said(|target| {
        target.hosts.remove(&nqn("host-a"));
    });
    assert_eq!(
        unknown,
        "subsystem nqn.a: allowed host nqn.host-a is not among the target's hosts"
    );
    let both = said(|target| a(target).allow_any_host = true);
    assert!(both.contains("allows any host and lists hosts"), "{both}");
}

/// Seen red with: the `..` rule, and then the one for relative paths, taken out of `path_rule`.
#[test]
fn device_paths_that_could_mean_another_device_are_refused() {
    for (path, expected) in [
        ("dev/vg/volume", "is not absolute"),
        ("/dev/vg/../sda", "has a `..`"),
        ("/dev/vg/volume\n", "has a control character"),
        ("/dev/vg/volume\u{fffd}", "is not UTF-8"),
        ("", "is not set"),
    ] {
        let said = said(|target| namespace_of_a(target).device_path = path.into());
        assert!(said.contains(expected), "{path:?}: {said}");
    }
    let unfinished = said(|target| {
        namespace_of_a(target).device_path = "".into();
        namespace_of_a(target).enabled = false;
    });
    assert_eq!(unfinished, "ok");
}

/// Seen red with: `open` left out of `share_a_host`.
#[test]
fn an_identity_that_one_host_could_see_twice_is_refused() {
    let in_one = said(|target| {
        let second = Nsid::try_from(2).unwrap();
        a(target).namespaces.insert(second, namespace(1));
    });
    assert!(
        in_one.contains("both namespace 1 of nqn.a and namespace 2 of nqn.a"),
        "{in_one}"
    );
    assert!(
        in_one.contains("uuid") && in_one.contains("nguid"),
        "{in_one}"
    );

    let same_as_b = |target: &mut Target| namespace_of_a(target).uuid = Uuid::from_u128(2);
    // As volumes with several hosts have it: one subsystem per host, one identity.
    assert_eq!(said(same_as_b), "ok");
    for hosts in [vec![], vec![nqn("host-a"), nqn("host-b")]] {
        let said = said(|target| {
            same_as_b(target);
            a(target).allowed_hosts = hosts.into_iter().collect();
        });
        assert!(
            said.contains("namespace 1 of nqn.a and namespace 1 of nqn.b"),
            "{said}"
        );
    }
}

#[test]
fn ports_need_their_subsystems_groups_and_an_address_of_their_own() {
    let unknown = said(|target| {
        port(target).subsystems.insert(nqn("c"));
    });
    assert_eq!(unknown, "port 1: there is no subsystem nqn.c");
    let group = said(|target| namespace_of_a(target).ana_group = 5.try_into().unwrap());
    assert_eq!(
        group,
        "port 1: has no ANA group 5, in which namespace 1 of nqn.a is"
    );
    let twice = said(|target| {
        let port = port(target).clone();
        target.ports.insert(PortId(2), port);
    });
    assert_eq!(twice, "ports 1 and 2: both listen on 10.0.0.1:4420");
    let no_service = said(|target| {
        port(target).portal = Portal::tcp("10.0.0.1".parse().unwrap(), 0);
    });
    assert!(no_service.contains("random"), "{no_service}");
}

#[test]
fn listening_everywhere_has_to_be_asked_for() {
    for address in ["0.0.0.0", "::"] {
        let mut target = target();
        port(&mut target).portal = Portal::tcp(address.parse().unwrap(), 4420);
        let said = check(&target).unwrap_err().to_string();
        assert!(said.contains("has to be asked for"), "{said}");
        let asked = Check {
            allow_unspecified_address: true,
            ..Check::default()
        };
        assert_eq!(asked.run(&target), Ok(()));
    }
}

#[test]
fn what_is_there_and_unmodelled_is_not_made_again() {
    for path in [
        "ports/1",
        "subsystems/nqn.a",
        "hosts/nqn.host-a",
        "subsystems/nqn.a/namespaces/1",
        "subsystems/nqn.a/allowed_hosts/nqn.host-a",
        "ports/1/subsystems/nqn.a",
    ] {
        let said = said(|target| {
            target.unmodelled.insert(path.to_owned());
        });
        assert!(
            said.starts_with(path) && said.contains("leaves alone"),
            "{said}"
        );
    }
}

#[test]
fn the_discovery_subsystem_is_not_ours_to_make() {
    let said = said(|target| {
        let name = DISCOVERY.parse().unwrap();
        target.subsystems.insert(name, Subsystem::default());
    });
    assert!(said.contains("discovery"), "{said}");
}

#[test]
fn faults_that_were_there_before_are_not_the_callers() {
    let mut have = target();
    namespace_of_a(&mut have).device_path = "image.raw".into();
    let mut want = have.clone();
    want.subsystems.remove(&nqn("b"));
    port(&mut want).subsystems.remove(&nqn("b"));
    assert!(check(&want).is_err());
    let knowing = Check {
        have: Some(&have),
        ..Check::default()
    };
    assert_eq!(knowing.run(&want), Ok(()));
    namespace_of_a(&mut want).device_path = "other.raw".into();
    assert!(knowing.run(&want).is_err());
}

#[test]
fn a_key_that_is_none_is_refused_without_being_said() {
    let said = said(|target| {
        let host = target.hosts.get_mut(&nqn("host-a")).unwrap();
        host.key = Some(Secret::new("c2VjcmV0"));
    });
    assert_eq!(
        said,
        "host nqn.host-a: key does not begin with `DHHC-1:0x:`, x from 0 to 3"
    );
}

#[test]
fn numbers_that_the_kernel_refuses_or_clamps_are_refused() {
    for (edit, expected) in [
        (
            (|target| a(target).qid_max = Some(129)) as fn(&mut Target),
            "qid_max 129 is not in 1..=128",
        ),
        (|target| a(target).cntlid_min = Some(0), "cntlid_min 0"),
        (
            |target| (a(target).cntlid_min, a(target).cntlid_max) = (Some(2), Some(1)),
            "cntlid_min 2 is above cntlid_max",
        ),
        (|target| port(target).max_queue_size = Some(15), "16..=1024"),
        (
            |target| port(target).tsas = Some(Tsas::Connected),
            "tsas is not one of its transport's",
        ),
        (
            |target| a(target).firmware = Some("123456789".to_owned()),
            "longer than 8",
        ),
        (
            |target| {
                port(target).portal = Portal::Loop {
                    address: "a b".to_owned(),
                    service: String::new(),
                    family: None,
                };
            },
            "address has a blank",
        ),
    ] {
        let said = said(edit);
        assert!(said.contains(expected), "{said}");
    }
}
