//! Generated targets, and what the kernel makes of them. Shared by the tests on the in-memory kernel
//! and the one on a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nvmet::fake::Release;
use nvmet::{
    AnaGroupId, AnaState, Authentication, DhGroup, DhHash, Namespace, Nqn, Nsid, Oui, P2pMem, Port,
    PortId, Portal, Referral, ReferralName, Secret, Subsystem, Target, Treq, Tsas, check,
};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

/// Keys as `nvme gen-dhchap-key` makes them.
pub(crate) const KEYS: [&str; 2] = [
    "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:",
    "DHHC-1:01:eAlHwHGjcAD0NmVxxSLb3hqjCo7lfjl4hLGbKqBaLMyNKhPV:",
];

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

/// Asks for an attribute only where the release has it.
fn on<V: Clone + std::fmt::Debug + 'static>(
    release: Release,
    attribute: &str,
    value: impl Strategy<Value = V> + 'static,
) -> BoxedStrategy<Option<V>> {
    if release.has(attribute) {
        option::weighted(0.4, value).boxed()
    } else {
        Just(None).boxed()
    }
}

fn any_namespace(release: Release) -> impl Strategy<Value = Namespace> {
    (
        option::weighted(0.9, 0..DEVICES),
        0..2u128,
        any::<bool>(),
        1..4u32,
        any::<bool>(),
        option::weighted(0.3, any::<bool>()),
        on(release, "resv_enable", any::<bool>()),
        on(release, "p2pmem", Just(P2pMem::Off)),
    )
        .prop_map(
            |(number, uuid, nguid, ana_group, enabled, buffered_io, resv_enable, p2pmem)| {
                Namespace {
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
                    buffered_io,
                    resv_enable,
                    p2pmem,
                }
            },
        )
}

pub(crate) fn any_subsystem(release: Release) -> impl Strategy<Value = Subsystem> {
    let sticky = (
        option::of("[A-Z]{1,20}"),
        option::weighted(0.2, "[A-Z]{1,40}"),
        on(release, "attr_firmware", "[A-Z]{1,8}"),
        on(
            release,
            "attr_ieee_oui",
            prop::sample::select(vec![0xabc, 0xff_ffff])
                .prop_map(|oui| Oui::try_from(oui).unwrap()),
        ),
        option::weighted(
            0.2,
            prop::sample::select(vec!["1.4", "2.0.1"]).prop_map(|version| version.parse().unwrap()),
        ),
    );
    let written = (
        option::weighted(
            0.4,
            // Not a range of one id: 6.1 refuses it.
            (1..9u16, 1..9u16).prop_map(|(min, more)| (min, min + more)),
        ),
        option::weighted(0.3, 1..=128u16),
        on(release, "attr_pi_enable", Just(false)),
        on(release, "attr_vendor_id", 1..3u16),
        on(release, "attr_subsys_vendor_id", 1..3u16),
    );
    (
        any::<bool>(),
        btree_set((0..4u8).prop_map(host), 0..3),
        sticky,
        written,
        btree_map(
            (1..4u32).prop_map(|nsid| Nsid::try_from(nsid).unwrap()),
            any_namespace(release),
            0..3,
        ),
    )
        .prop_map(|(any_host, hosts, sticky, written, namespaces)| {
            let (serial, model, firmware, ieee_oui, version) = sticky;
            let (ids, qid_max, pi_enable, vendor_id, subsys_vendor_id) = written;
            Subsystem {
                allow_any_host: any_host && hosts.is_empty(),
                allowed_hosts: hosts,
                serial,
                model,
                firmware,
                ieee_oui,
                version,
                cntlid_min: ids.map(|ids| ids.0),
                cntlid_max: ids.map(|ids| ids.1),
                qid_max,
                pi_enable,
                vendor_id,
                subsys_vendor_id,
                namespaces,
            }
        })
}

fn any_authentication(release: Release) -> impl Strategy<Value = Authentication> {
    let key = || {
        let keys = [Secret::NONE, Secret::new(KEYS[0]), Secret::new(KEYS[1])];
        prop::sample::select(keys.to_vec())
    };
    (
        on(release, "dhchap_key", key()),
        on(release, "dhchap_ctrl_key", key()),
        on(
            release,
            "dhchap_hash",
            prop::sample::select(vec![DhHash::Sha384, DhHash::Sha512]),
        ),
        on(
            release,
            "dhchap_dhgroup",
            prop::sample::select(vec![DhGroup::Ffdhe2048, DhGroup::Ffdhe3072]),
        ),
    )
        .prop_map(|(key, controller_key, hash, group)| Authentication {
            key,
            controller_key,
            hash,
            group,
        })
}

fn any_portal(release: Release) -> impl Strategy<Value = Portal> {
    let address = || {
        prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "fd00::1"])
            .prop_map(|address| address.parse().unwrap())
    };
    let tcp =
        (address(), 4420..4422u16).prop_map(|(address, service)| Portal::tcp(address, service));
    let rdma =
        (address(), 4420..4422u16).prop_map(|(address, service)| Portal::Rdma { address, service });
    let fc = Just(Portal::Fc {
        address: "nn-0x1000000044001123:pn-0x2000000055001123".to_owned(),
        service: "none".to_owned(),
    });
    let local = (
        option::of(Just("here")),
        option::of(Just(nvmet::Family::Loop)),
    )
        .prop_map(|(address, family)| Portal::Loop {
            address: address.unwrap_or_default().to_owned(),
            service: String::new(),
            family,
        });
    let with_loop = if release > Release::Linux6_1 { 3 } else { 1 };
    prop_oneof![6 => tcp, 1 => rdma, 1 => fc, with_loop => local]
}

fn any_referral(release: Release) -> impl Strategy<Value = Referral> {
    (
        option::weighted(0.8, any_portal(release)),
        0..2u16,
        option::of(prop::sample::select(Treq::ALL.to_vec())),
        any::<bool>(),
    )
        .prop_map(|(portal, port_id, treq, enabled)| Referral {
            enabled: enabled && portal.is_some(),
            portal,
            port_id,
            treq,
        })
}

fn any_state() -> impl Strategy<Value = AnaState> {
    prop::sample::select(AnaState::ALL.to_vec())
}

fn any_port(release: Release) -> impl Strategy<Value = Port> {
    let parameters = (
        option::of(prop::sample::select(Treq::ALL.to_vec())),
        on(
            release,
            "addr_tsas",
            prop::sample::select(vec![Tsas::None, Tsas::Tls13]),
        ),
        option::weighted(0.3, 0..65536u32),
        on(release, "param_max_queue_size", 16..=1024u16),
        on(release, "param_mdts", 1..9u8),
        on(release, "param_pi_enable", Just(false)),
    );
    (
        any_portal(release),
        parameters,
        btree_map((1..4u32).prop_map(group), any_state(), 0..4),
        btree_map(
            (0..3u8).prop_map(|number| format!("r{number}").parse::<ReferralName>().unwrap()),
            any_referral(release),
            0..3,
        ),
        btree_set((0..4u8).prop_map(subsystem), 0..4),
    )
        .prop_map(
            move |(portal, parameters, ana_groups, referrals, subsystems)| {
                let (mut treq, tsas, inline_data_size, max_queue_size, mdts, pi_enable) =
                    parameters;
                let tsas = tsas.filter(|_| matches!(portal, Portal::Tcp { .. }));
                // Left as it is, it could be TLS, which the kernel wants said of.
                let is_open = treq == Some(Treq::NotSpecified);
                let tsas = match portal {
                    Portal::Tcp { .. } if is_open && release.has("addr_tsas") => Some(Tsas::None),
                    _ => tsas,
                };
                if tsas == Some(Tsas::Tls13) {
                    treq = treq.filter(|treq| *treq != Treq::NotSpecified);
                }
                // Where the module is in Debian's cloud kernels.
                let can_listen = match &portal {
                    Portal::Tcp { .. } => true,
                    Portal::Loop { .. } => release > Release::Linux6_1,
                    _ => false,
                };
                Port {
                    portal,
                    treq,
                    tsas,
                    inline_data_size,
                    max_queue_size,
                    mdts,
                    pi_enable,
                    ana_groups,
                    referrals,
                    subsystems: if can_listen {
                        subsystems
                    } else {
                        BTreeSet::new()
                    },
                }
            },
        )
}

/// Any target that [`check`] accepts.
pub(crate) fn any_target(release: Release) -> impl Strategy<Value = Target> {
    (
        on(
            release,
            "discovery_nqn",
            (0..2u8).prop_map(|number| format!("nqn.discovery:{number}").parse().unwrap()),
        ),
        btree_map((0..4u8).prop_map(host), any_authentication(release), 0..4),
        btree_map((0..4u8).prop_map(subsystem), any_subsystem(release), 0..4),
        btree_map((1..4u16).prop_map(PortId), any_port(release), 0..3),
    )
        .prop_map(|(discovery_nqn, hosts, subsystems, ports)| {
            valid(Target {
                discovery_nqn,
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
        for host in &subsystem.allowed_hosts {
            target.hosts.entry(host.clone()).or_default();
        }
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
    target.ports.retain(|_, port| {
        let socket = port.portal.socket();
        socket.is_none_or(|socket| addresses.insert((port.portal.transport(), socket)))
    });
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
    fill(&mut want.discovery_nqn, &have.discovery_nqn);
    for (host, keys) in &mut want.hosts {
        let Some(had) = have.hosts.get(host) else {
            continue;
        };
        fill(&mut keys.key, &had.key);
        fill(&mut keys.controller_key, &had.controller_key);
        fill(&mut keys.hash, &had.hash);
        fill(&mut keys.group, &had.group);
    }
    for (nqn, subsystem) in &mut want.subsystems {
        if let Some(had) = have.subsystems.get(nqn) {
            fill_subsystem(subsystem, had);
        }
    }
    for (id, port) in &mut want.ports {
        if let Some(had) = have.ports.get(id) {
            fill_port(port, had);
        }
    }
    want
}

fn fill<V: Clone>(want: &mut Option<V>, have: &Option<V>) {
    if want.is_none() {
        want.clone_from(have);
    }
}

fn fill_subsystem(want: &mut Subsystem, have: &Subsystem) {
    fill(&mut want.serial, &have.serial);
    fill(&mut want.model, &have.model);
    fill(&mut want.firmware, &have.firmware);
    fill(&mut want.ieee_oui, &have.ieee_oui);
    fill(&mut want.version, &have.version);
    fill(&mut want.cntlid_min, &have.cntlid_min);
    fill(&mut want.cntlid_max, &have.cntlid_max);
    fill(&mut want.qid_max, &have.qid_max);
    fill(&mut want.pi_enable, &have.pi_enable);
    fill(&mut want.vendor_id, &have.vendor_id);
    fill(&mut want.subsys_vendor_id, &have.subsys_vendor_id);
    for (nsid, namespace) in &mut want.namespaces {
        if let Some(had) = have.namespaces.get(nsid) {
            fill(&mut namespace.buffered_io, &had.buffered_io);
            fill(&mut namespace.resv_enable, &had.resv_enable);
            fill(&mut namespace.p2pmem, &had.p2pmem);
        }
    }
}

fn fill_port(want: &mut Port, have: &Port) {
    fill(&mut want.treq, &have.treq);
    fill(&mut want.tsas, &have.tsas);
    fill(&mut want.inline_data_size, &have.inline_data_size);
    fill(&mut want.max_queue_size, &have.max_queue_size);
    fill(&mut want.mdts, &have.mdts);
    fill(&mut want.pi_enable, &have.pi_enable);
    let had = have.ana_groups.get(&AnaGroupId::DEFAULT);
    let default = *had.unwrap_or(&AnaState::Optimized);
    want.ana_groups
        .entry(AnaGroupId::DEFAULT)
        .or_insert(default);
    let had: &BTreeMap<_, _> = &have.referrals;
    for (name, referral) in &mut want.referrals {
        if let Some(had) = had.get(name) {
            fill(&mut referral.treq, &had.treq);
        }
    }
}
