//! Targets and controllers as text for people. Pure.

use nvmet::{
    Authentication, Controller, Namespace, Nqn, Nsid, P2pMem, Port, PortId, Portal, Subsystem,
    Target,
};

/// The target as a tree: subsystems, ports, and what else there is.
pub(crate) fn target(target: &Target) -> String {
    let mut lines = Vec::new();
    if let Some(nqn) = target.discovery_nqn.as_ref().filter(|nqn| is_named(nqn)) {
        lines.push(format!("discovery {nqn}"));
    }
    for (nqn, subsystem) in &target.subsystems {
        show_subsystem(target, nqn, subsystem, &mut lines);
    }
    for (id, port) in &target.ports {
        show_port(*id, port, &mut lines);
    }
    for id in target.unfinished_ports.keys() {
        lines.push(format!("port {id}  without an address"));
    }
    let used: Vec<_> = target
        .subsystems
        .values()
        .flat_map(|s| &s.allowed_hosts)
        .collect();
    for (host, keys) in target.hosts.iter().filter(|(host, _)| !used.contains(host)) {
        let keys = authentication(keys);
        lines.push(format!("host {host}{keys}  not allowed anywhere"));
    }
    for path in &target.unmodelled {
        lines.push(format!(
            "{path}  left alone: not something this program can represent"
        ));
    }
    if lines.is_empty() {
        lines.push("nothing is exported".to_owned());
    }
    lines.join("\n") + "\n"
}

/// The controllers and, below each, its disks.
pub(crate) fn controllers(controllers: &[Controller]) -> String {
    let mut lines = Vec::new();
    for controller in controllers {
        let Controller {
            name,
            nqn,
            transport,
            address,
            state,
            ..
        } = controller;
        lines.push(format!("{name}  {nqn}  {transport} {address}  {state}"));
        if let Some(host) = &controller.host_nqn {
            lines.push(format!("    as {host}"));
        }
        for disk in &controller.namespaces {
            let number = disk.nsid.map_or("?".to_owned(), |nsid| nsid.to_string());
            let uuid = disk
                .uuid
                .map_or("without a UUID".to_owned(), |uuid| uuid.to_string());
            let (name, size) = (&disk.name, bytes(disk.size_bytes));
            lines.push(format!("    {name}  namespace {number}  {size}  {uuid}"));
        }
    }
    if lines.is_empty() {
        lines.push("there are no controllers".to_owned());
    }
    lines.join("\n") + "\n"
}

/// Whether the discovery subsystem has a name of its own.
fn is_named(nqn: &Nqn) -> bool {
    nqn.as_str() != "nqn.2014-08.org.nvmexpress.discovery"
}

fn show_subsystem(target: &Target, nqn: &Nqn, subsystem: &Subsystem, lines: &mut Vec<String>) {
    lines.push(format!("subsystem {nqn}"));
    let texts = [
        ("serial", &subsystem.serial),
        ("model", &subsystem.model),
        ("firmware", &subsystem.firmware),
    ];
    for (name, text) in texts {
        lines.extend(text.as_ref().map(|text| format!("    {name} {text}")));
    }
    // What differs from every kernel's own.
    let ids = (
        subsystem.cntlid_min.unwrap_or(1),
        subsystem.cntlid_max.unwrap_or(0xFFEF),
    );
    if ids != (1, 0xFFEF) {
        lines.push(format!("    controllers {} to {}", ids.0, ids.1));
    }
    if let Some(queues) = subsystem.qid_max.filter(|queues| *queues != 128) {
        lines.push(format!("    at most {queues} I/O queues"));
    }
    if subsystem.pi_enable == Some(true) {
        lines.push("    protection information".to_owned());
    }
    if subsystem.allow_any_host {
        lines.push("    any host, without authentication".to_owned());
    }
    for host in &subsystem.allowed_hosts {
        let keys = target.hosts.get(host).map_or("", authentication);
        lines.push(format!("    host {host}{keys}"));
    }
    for (nsid, namespace) in &subsystem.namespaces {
        lines.push(show_namespace(*nsid, namespace));
    }
    if !target
        .ports
        .values()
        .any(|port| port.subsystems.contains(nqn))
    {
        lines.push("    on no port".to_owned());
    }
}

fn authentication(keys: &Authentication) -> &'static str {
    let has_controller_key = keys
        .controller_key
        .as_ref()
        .is_some_and(|key| !key.is_none());
    match (keys.is_required(), has_controller_key) {
        (true, true) => "  authenticated in both directions",
        (true, false) => "  authenticated",
        (false, _) => "",
    }
}

fn show_namespace(nsid: Nsid, namespace: &Namespace) -> String {
    let device = namespace.device_path.display().to_string();
    let device = if device.is_empty() {
        "no device"
    } else {
        &device
    };
    let uuid = namespace.uuid;
    let group = namespace.ana_group;
    let state = if namespace.enabled {
        "enabled"
    } else {
        "disabled"
    };
    let more = [
        (namespace.buffered_io == Some(true), "  buffered"),
        (namespace.resv_enable == Some(true), "  reservations"),
        (
            namespace
                .p2pmem
                .as_ref()
                .is_some_and(|p2p| *p2p != P2pMem::Off),
            "  peer-to-peer memory",
        ),
    ];
    let more: String = more
        .into_iter()
        .filter_map(|(is, text)| is.then_some(text))
        .collect();
    format!("    namespace {nsid}  {device}  {uuid}  ANA group {group}  {state}{more}")
}

fn show_port(id: PortId, port: &Port, lines: &mut Vec<String>) {
    lines.push(format!("port {id}  {}", portal(&port.portal)));
    if let Some(tsas) = port.tsas.filter(|tsas| tsas.as_str() == "tls1.3") {
        let treq = port.treq.map_or(String::new(), |treq| format!(" {treq}"));
        lines.push(format!("    {tsas}{treq}"));
    }
    for (group, state) in &port.ana_groups {
        lines.push(format!("    ANA group {group}  {state}"));
    }
    for (name, referral) in &port.referrals {
        let address = referral
            .portal
            .as_ref()
            .map_or("no address".to_owned(), portal);
        let state = if referral.enabled { "" } else { "  disabled" };
        lines.push(format!("    referral {name}  {address}{state}"));
    }
    let subsystems = port.subsystems.iter();
    lines.extend(subsystems.map(|nqn| format!("    subsystem {nqn}")));
}

fn portal(portal: &Portal) -> String {
    let transport = portal.transport();
    match portal {
        Portal::Tcp { .. } | Portal::Rdma { .. } => {
            let address = portal
                .socket()
                .map_or(String::new(), |socket| socket.to_string());
            format!("{transport} {address}")
        }
        Portal::Fc { address, .. } | Portal::Loop { address, .. } => {
            format!("{transport} {address}").trim_end().to_owned()
        }
    }
}

/// A size for people, exact where it is a whole number of a unit.
fn bytes(size: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        let whole = size >> shift;
        if whole == 0 {
            continue;
        }
        if whole << shift == size {
            return format!("{whole} {unit}");
        }
        let tenth = ((size - (whole << shift)) * 10) >> shift;
        return format!("{whole}.{tenth} {unit}");
    }
    format!("{size} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = r#"{
        "hosts": {"nqn.h": {"key": "DHHC-1:00:c2VjcmV0:"}, "nqn.idle": {}},
        "subsystems": {"nqn.s": {
            "allow_any_host": false, "allowed_hosts": ["nqn.h"], "serial": "1234", "model": null,
            "namespaces": {"1": {
                "device_path": "/dev/vg/volume", "ana_group": 1, "enabled": true,
                "uuid": "6fa459ea-ee8a-3ca4-894e-db77e160355e",
                "nguid": "6fa459ea-ee8a-3ca4-894e-db77e160355e"
            }}
        }},
        "ports": {"1": {
            "portal": {"transport": "tcp", "address": "fd00::1", "service": 4420},
            "ana_groups": {"1": "optimized"}, "subsystems": ["nqn.s"],
            "referrals": {"b": {"portal": {"transport": "tcp", "address": "10.0.0.2", "service": 8009},
            "port_id": 1, "enabled": true}}
        }},
        "unfinished_ports": {"2": {"ana_groups": {}}},
        "unmodelled": ["ports/7"]
    }"#;

    #[test]
    fn a_target_is_a_tree() {
        let parsed: Target = serde_json::from_str(TARGET).unwrap();
        let parsed = parsed.without_secrets();
        assert_eq!(
            target(&parsed),
            "\
subsystem nqn.s
    serial 1234
    host nqn.h  authenticated
    namespace 1  /dev/vg/volume  6fa459ea-ee8a-3ca4-894e-db77e160355e  ANA group 1  enabled
port 1  tcp [fd00::1]:4420
    ANA group 1  optimized
    referral b  tcp 10.0.0.2:8009
    subsystem nqn.s
port 2  without an address
host nqn.idle  not allowed anywhere
ports/7  left alone: not something this program can represent
"
        );
        assert_eq!(target(&Target::default()), "nothing is exported\n");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1 << 30), "1 GiB");
        assert_eq!(bytes((1 << 30) + (1 << 29)), "1.5 GiB");
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
    }
}
