//! Generated targets, and what the kernel makes of them. Shared by the tests on the in-memory kernel
//! and the one on a real one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use nvmet::{
    AnaGroupId, AnaState, Namespace, Nqn, Nsid, Port, PortId, Subsystem, Target, Transport, check,
};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) const DEVICES: u8 = 4;

pub(crate) fn host(number: u8) -> Nqn {
    format!("nqn.host:{number}").parse().unwrap()
}

pub(crate) fn subsystem(number: u8) -> Nqn {
    format!("nqn.subsystem:{number}").parse().unwrap()
}

pub(crate) fn device(number: u8) -> PathBuf {
    format!("/dev/vg/{number}").into()
}

pub(crate) fn group(number: u32) -> AnaGroupId {
    number.try_into().unwrap()
}

fn any_namespace() -> impl Strategy<Value = Namespace> {
    (
        option::weighted(0.9, 0..DEVICES),
        0..2u128,
        any::<bool>(),
        1..4u32,
        any::<bool>(),
    )
        .prop_map(|(number, uuid, nguid, ana_group, enabled)| Namespace {
            device_path: number.map(device).unwrap_or_default(),
            // Made unlike every other's in `any_target`.
            uuid: Uuid::from_u128(uuid),
            nguid: if nguid {
                Uuid::from_u128(uuid)
            } else {
                Uuid::nil()
            },
            ana_group: group(ana_group),
            enabled: enabled && number.is_some(),
        })
}

pub(crate) fn any_subsystem() -> impl Strategy<Value = Subsystem> {
    (
        any::<bool>(),
        btree_set((0..4u8).prop_map(host), 0..3),
        option::of("[A-Z]{1,20}"),
        option::weighted(0.2, "[A-Z]{1,40}"),
        btree_map(
            (1..4u32).prop_map(|nsid| Nsid::try_from(nsid).unwrap()),
            any_namespace(),
            0..3,
        ),
    )
        .prop_map(|(any_host, hosts, serial, model, namespaces)| Subsystem {
            allow_any_host: any_host && hosts.is_empty(),
            allowed_hosts: hosts,
            serial,
            model,
            namespaces,
        })
}

fn any_state() -> impl Strategy<Value = AnaState> {
    prop::sample::select(AnaState::ALL.to_vec())
}

fn any_port() -> impl Strategy<Value = Port> {
    (
        prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "fd00::1"]),
        4420..4422u16,
        btree_map((1..4u32).prop_map(group), any_state(), 0..4),
        btree_set((0..4u8).prop_map(subsystem), 0..4),
    )
        .prop_map(|(address, service, ana_groups, subsystems)| Port {
            transport: Transport::Tcp,
            address: address.parse::<IpAddr>().unwrap(),
            service,
            ana_groups,
            subsystems,
        })
}

/// Any target that [`check`] accepts.
pub(crate) fn any_target() -> impl Strategy<Value = Target> {
    (
        btree_set((0..4u8).prop_map(host), 0..4),
        btree_map((0..4u8).prop_map(subsystem), any_subsystem(), 0..4),
        btree_map((1..4u16).prop_map(PortId), any_port(), 0..3),
    )
        .prop_map(|(hosts, subsystems, ports)| {
            valid(Target {
                hosts,
                subsystems,
                ports,
                ..Target::default()
            })
        })
}

/// Repairs what the pieces can't know of each other.
fn valid(mut target: Target) -> Target {
    for (nth, subsystem) in target.subsystems.values_mut().enumerate() {
        target.hosts.extend(subsystem.allowed_hosts.iter().cloned());
        for (nsid, namespace) in &mut subsystem.namespaces {
            let distinct = |identity: Uuid| {
                let place = (nth as u128 + 1) << 64 | u128::from(u32::from(*nsid)) << 32;
                Uuid::from_u128(identity.as_u128() | place)
            };
            namespace.uuid = distinct(namespace.uuid);
            if !namespace.nguid.is_nil() {
                namespace.nguid = distinct(namespace.nguid);
            }
        }
    }
    let mut addresses = BTreeSet::new();
    target
        .ports
        .retain(|_, port| addresses.insert((port.address, port.service)));
    for port in target.ports.values_mut() {
        port.subsystems
            .retain(|nqn| target.subsystems.contains_key(nqn));
        for nqn in &port.subsystems {
            for namespace in target.subsystems[nqn].namespaces.values() {
                let groups = &mut port.ana_groups;
                groups
                    .entry(namespace.ana_group)
                    .or_insert(AnaState::Optimized);
            }
        }
    }
    check(&target).expect("a valid target");
    target
}

/// `want` with the kernel's own values where it left them open.
pub(crate) fn filled(want: &Target, have: &Target) -> Target {
    let mut want = want.clone();
    for (nqn, subsystem) in &mut want.subsystems {
        let Some(had) = have.subsystems.get(nqn) else {
            continue;
        };
        subsystem.serial = subsystem.serial.take().or(had.serial.clone());
        subsystem.model = subsystem.model.take().or(had.model.clone());
    }
    for (id, port) in &mut want.ports {
        let had = have
            .ports
            .get(id)
            .and_then(|port| port.ana_groups.get(&AnaGroupId::DEFAULT));
        let groups = &mut port.ana_groups;
        groups
            .entry(AnaGroupId::DEFAULT)
            .or_insert(*had.unwrap_or(&AnaState::Optimized));
    }
    want
}
