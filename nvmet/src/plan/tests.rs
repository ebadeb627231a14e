//! The exact plans of small cases. Properties over generated targets are in tests/converge.rs.

use super::*;
use crate::Transport;

const UUID: uuid::Uuid = uuid::Uuid::from_u128(0x42);

fn nqn(name: &str) -> Nqn {
    format!("nqn.{name}").parse().unwrap()
}

/// One volume for one host on one port.
fn volume() -> Target {
    let namespace = Namespace {
        device_path: "/dev/vg/volume".into(),
        uuid: UUID,
        nguid: UUID,
        ana_group: AnaGroupId::DEFAULT,
        enabled: true,
    };
    let subsystem = Subsystem {
        allow_any_host: false,
        allowed_hosts: [nqn("host")].into(),
        serial: Some("1234".to_owned()),
        model: Some("Weir".to_owned()),
        namespaces: [(Nsid::FIRST, namespace)].into(),
    };
    let port = Port {
        transport: Transport::Tcp,
        address: "10.0.0.1".parse().unwrap(),
        service: 4420,
        ana_groups: [(AnaGroupId::DEFAULT, AnaState::Optimized)].into(),
        subsystems: [nqn("volume")].into(),
    };
    Target {
        hosts: [nqn("host")].into(),
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
    port(&mut want).address = "fd00::1".parse().unwrap();
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
