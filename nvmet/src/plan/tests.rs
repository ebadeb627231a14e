//! The exact plans of small cases. Properties over generated targets are in tests/converge.rs.

use super::*;
use crate::model::{
    AnaGroupId, AnaState, Namespace, Nsid, Port, PortId, Portal, Referral, Subsystem, Treq,
};

const UUID: uuid::Uuid = uuid::Uuid::from_u128(0x42);

fn nqn(name: &str) -> Nqn {
    format!("nqn.{name}").parse().unwrap()
}

/// One volume for one host on one port.
fn volume() -> Target {
    let namespace = Namespace::new("/dev/vg/volume", UUID);
    let subsystem = Subsystem {
        allowed_hosts: [nqn("host")].into(),
        serial: Some("1234".to_owned()),
        model: Some("Weir".to_owned()),
        namespaces: [(Nsid::FIRST, namespace)].into(),
        ..Subsystem::default()
    };
    let port = Port {
        subsystems: [nqn("volume")].into(),
        ..Port::new(Portal::tcp("10.0.0.1".parse().unwrap(), 4420))
    };
    Target {
        hosts: [(nqn("host"), Authentication::default())].into(),
        subsystems: [(nqn("volume"), subsystem)].into(),
        ports: [(PortId(1), port)].into(),
        ..Target::default()
    }
}

fn assert_plan(have: &Target, want: &Target, expected: &[&str]) {
    let changes = plan(have, want);
    let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(text, expected);
}

fn subsystem(target: &mut Target) -> &mut Subsystem {
    target.subsystems.get_mut(&nqn("volume")).unwrap()
}

fn namespace(target: &mut Target) -> &mut Namespace {
    subsystem(target).namespaces.get_mut(&Nsid::FIRST).unwrap()
}

fn port(target: &mut Target) -> &mut Port {
    target.ports.get_mut(&PortId(1)).unwrap()
}

#[test]
fn a_volume_is_exported_link_last() {
    assert_plan(
        &Target::default(),
        &volume(),
        &[
            "mkdir hosts/nqn.host",
            "mkdir ports/1",
            "echo -n ipv4 > ports/1/addr_adrfam",
            "echo -n 10.0.0.1 > ports/1/addr_traddr",
            "echo -n 4420 > ports/1/addr_trsvcid",
            "echo -n tcp > ports/1/addr_trtype",
            "mkdir subsystems/nqn.volume",
            "echo -n 1234 > subsystems/nqn.volume/attr_serial",
            "echo -n Weir > subsystems/nqn.volume/attr_model",
            "ln -s hosts/nqn.host subsystems/nqn.volume/allowed_hosts/nqn.host",
            "mkdir subsystems/nqn.volume/namespaces/1",
            "echo -n 00000000-0000-0000-0000-000000000042 > \
             subsystems/nqn.volume/namespaces/1/device_uuid",
            "echo -n /dev/vg/volume > subsystems/nqn.volume/namespaces/1/device_path",
            "echo -n 00000000-0000-0000-0000-000000000042 > \
             subsystems/nqn.volume/namespaces/1/device_nguid",
            "echo -n 1 > subsystems/nqn.volume/namespaces/1/enable",
            "ln -s subsystems/nqn.volume ports/1/subsystems/nqn.volume",
        ],
    );
}

#[test]
fn a_volume_is_taken_back_unlinked_first() {
    assert_plan(
        &volume(),
        &Target::default(),
        &[
            "rm ports/1/subsystems/nqn.volume",
            "rmdir subsystems/nqn.volume/namespaces/1",
            "rm subsystems/nqn.volume/allowed_hosts/nqn.host",
            "rmdir subsystems/nqn.volume",
            "rmdir ports/1",
            "rmdir hosts/nqn.host",
        ],
    );
}

#[test]
fn a_changed_device_is_disabled_written_and_enabled() {
    let (have, mut want) = (volume(), volume());
    namespace(&mut want).device_path = "/dev/vg/other".into();
    assert_plan(
        &have,
        &want,
        &[
            "echo -n 0 > subsystems/nqn.volume/namespaces/1/enable",
            "echo -n /dev/vg/other > subsystems/nqn.volume/namespaces/1/device_path",
            "echo -n 1 > subsystems/nqn.volume/namespaces/1/enable",
        ],
    );
}

#[test]
fn an_ana_group_is_changed_while_enabled_and_never_missing() {
    let (have, mut want) = (volume(), volume());
    let group = AnaGroupId::try_from(2).unwrap();
    namespace(&mut want).ana_group = group;
    port(&mut want)
        .ana_groups
        .insert(group, AnaState::NonOptimized);
    let move_over = [
        "mkdir ports/1/ana_groups/2",
        "echo -n non-optimized > ports/1/ana_groups/2/ana_state",
        "echo -n 2 > subsystems/nqn.volume/namespaces/1/ana_grpid",
    ];
    assert_plan(&have, &want, &move_over);
    assert_plan(
        &want,
        &have,
        &[
            "echo -n 1 > subsystems/nqn.volume/namespaces/1/ana_grpid",
            "rmdir ports/1/ana_groups/2",
        ],
    );
}

#[test]
fn a_changed_serial_makes_the_subsystem_anew() {
    let (have, mut want) = (volume(), volume());
    subsystem(&mut want).serial = Some("5678".to_owned());
    let changes = plan(&have, &want);
    let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        text[..6],
        [
            "rm ports/1/subsystems/nqn.volume",
            "rmdir subsystems/nqn.volume/namespaces/1",
            "rm subsystems/nqn.volume/allowed_hosts/nqn.host",
            "rmdir subsystems/nqn.volume",
            "mkdir subsystems/nqn.volume",
            "echo -n 5678 > subsystems/nqn.volume/attr_serial",
        ]
    );
    assert_eq!(
        text.last().unwrap(),
        "ln -s subsystems/nqn.volume ports/1/subsystems/nqn.volume"
    );
}

#[test]
fn a_serial_that_nobody_asked_for_stays() {
    let (have, mut want) = (volume(), volume());
    subsystem(&mut want).serial = None;
    assert_plan(&have, &want, &[]);
}

#[test]
fn a_changed_address_loses_all_links_first() {
    let (have, mut want) = (volume(), volume());
    port(&mut want).portal = Portal::tcp("fd00::1".parse().unwrap(), 4420);
    assert_plan(
        &have,
        &want,
        &[
            "rm ports/1/subsystems/nqn.volume",
            "echo -n ipv6 > ports/1/addr_adrfam",
            "echo -n fd00::1 > ports/1/addr_traddr",
            "ln -s subsystems/nqn.volume ports/1/subsystems/nqn.volume",
        ],
    );
}

#[test]
fn any_host_is_allowed_after_the_list_is_empty_and_the_other_way_round() {
    let (have, mut want) = (volume(), volume());
    subsystem(&mut want).allow_any_host = true;
    subsystem(&mut want).allowed_hosts.clear();
    assert_plan(
        &have,
        &want,
        &[
            "rm subsystems/nqn.volume/allowed_hosts/nqn.host",
            "echo -n 1 > subsystems/nqn.volume/attr_allow_any_host",
        ],
    );
    assert_plan(
        &want,
        &have,
        &[
            "echo -n 0 > subsystems/nqn.volume/attr_allow_any_host",
            "ln -s hosts/nqn.host subsystems/nqn.volume/allowed_hosts/nqn.host",
        ],
    );
}

/// Design: a device moves to another subsystem in one plan, and is never served twice.
#[test]
fn a_device_that_moves_leaves_its_old_place_first() {
    let (have, mut want) = (volume(), volume());
    let moved = want.subsystems.remove(&nqn("volume")).unwrap();
    want.subsystems.insert(nqn("new"), moved);
    port(&mut want).subsystems = [nqn("new")].into();
    let changes = plan(&have, &want);
    let position = |wanted: &str| {
        let found = changes
            .iter()
            .position(|change| change.to_string() == wanted);
        found.unwrap_or_else(|| panic!("no `{wanted}` in {changes:#?}"))
    };
    let removed = position("rmdir subsystems/nqn.volume/namespaces/1");
    assert!(removed < position("echo -n 1 > subsystems/nqn.new/namespaces/1/enable"));
}

/// Seen red with: `goes_up` always false, and with `>` instead of `>=` in it.
#[test]
fn lowest_and_highest_controller_id_never_cross() {
    let (mut have, mut want) = (volume(), volume());
    let range = |target: &mut Target, min, max| {
        subsystem(target).cntlid_min = Some(min);
        subsystem(target).cntlid_max = Some(max);
    };
    range(&mut have, 1, 10);
    // Ranges that touch: 6.1 refuses one that has a single id, in between too.
    range(&mut want, 10, 20);
    let (min, max) = (
        "subsystems/nqn.volume/attr_cntlid_min",
        "subsystems/nqn.volume/attr_cntlid_max",
    );
    let up = [format!("echo -n 20 > {max}"), format!("echo -n 10 > {min}")];
    assert_plan(&have, &want, &[&up[0], &up[1]]);
    let down = [format!("echo -n 1 > {min}"), format!("echo -n 10 > {max}")];
    assert_plan(&want, &have, &[&down[0], &down[1]]);
}

/// Seen red with: `is_secret` of `Value` always false.
#[test]
fn a_key_is_in_no_plan_that_anybody_sees() {
    let (have, mut want) = (volume(), volume());
    let host = want.hosts.get_mut(&nqn("host")).unwrap();
    host.key = Some(Secret::new("DHHC-1:00:c2VjcmV0:"));
    let changes = plan(&have, &want);
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].operation(),
        crate::change::Operation::Write("hosts/nqn.host/dhchap_key".to_owned(), {
            let key = HostValue::Key(Secret::new("DHHC-1:00:c2VjcmV0:"));
            match (Change::SetHost {
                host: nqn("host"),
                value: key,
            })
            .operation()
            {
                crate::change::Operation::Write(_, value) => value,
                other => panic!("{other:?}"),
            }
        })
    );
    for text in [
        changes[0].to_string(),
        format!("{changes:?} {:?}", changes[0].operation()),
        serde_json::to_string(&changes).unwrap(),
    ] {
        assert!(
            !text.contains("c2Vj") && text.contains("(hidden)"),
            "{text}"
        );
    }
    host_without_key(&mut want);
    let had = plan(&Target::default(), &want);
    assert!(
        !had.iter()
            .any(|change| change.to_string().contains("dhchap_key"))
    );
}

fn host_without_key(target: &mut Target) {
    let host = target.hosts.get_mut(&nqn("host")).unwrap();
    host.key = Some(Secret::NONE);
}

/// Seen red with: nothing in place of the NUL.
#[test]
fn a_key_is_taken_away_by_a_nul() {
    let (mut have, mut want) = (volume(), volume());
    let host = have.hosts.get_mut(&nqn("host")).unwrap();
    host.key = Some(Secret::new("DHHC-1:00:c2VjcmV0:"));
    host_without_key(&mut want);
    assert_plan(&have, &want, &["echo -n \\0 > hosts/nqn.host/dhchap_key"]);
    assert_plan(&have, &volume(), &[]);
}

#[test]
fn a_port_of_which_something_becomes_empty_is_made_anew() {
    let (have, mut want) = (volume(), volume());
    port(&mut want).portal = Portal::local();
    assert_plan(
        &have,
        &want,
        &[
            "rm ports/1/subsystems/nqn.volume",
            "rmdir ports/1",
            "mkdir ports/1",
            "echo -n loop > ports/1/addr_trtype",
            "ln -s subsystems/nqn.volume ports/1/subsystems/nqn.volume",
        ],
    );
    let changes = plan(&have, &want);
    assert!(
        matches!(changes[0], Change::Interrupt { .. }),
        "{changes:?}"
    );
}

#[test]
fn a_referral_is_changed_while_it_is_disabled() {
    let referral = Referral {
        portal: Some(Portal::tcp("10.0.0.2".parse().unwrap(), 8009)),
        port_id: 1,
        treq: Some(Treq::NotSpecified),
        enabled: true,
    };
    let mut have = volume();
    port(&mut have).referrals = [("b".parse().unwrap(), referral)].into();
    let mut want = have.clone();
    let changed = port(&mut want).referrals.get_mut(&"b".parse().unwrap());
    changed.unwrap().portal = Some(Portal::tcp("10.0.0.3".parse().unwrap(), 8009));
    assert_plan(
        &have,
        &want,
        &[
            "echo -n 0 > ports/1/referrals/b/enable",
            "echo -n 10.0.0.3 > ports/1/referrals/b/addr_traddr",
            "echo -n 1 > ports/1/referrals/b/enable",
        ],
    );
    assert_plan(&have, &volume(), &["rmdir ports/1/referrals/b"]);
}
