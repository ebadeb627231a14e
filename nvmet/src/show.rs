//! Targets and controllers as text for people. Pure.

use nvmet::{Controller, Namespace, Nsid, Port, PortId, Subsystem, Target};

/// The target as a tree: subsystems, ports, and what else there is.
pub(crate) fn target(target: &Target) -> String {
    let mut lines = Vec::new();
    for (nqn, subsystem) in &target.subsystems {
        show_subsystem(nqn.as_str(), subsystem, &mut lines);
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
    for host in target.hosts.iter().filter(|host| !used.contains(host)) {
        lines.push(format!("host {host}  not allowed anywhere"));
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

fn show_subsystem(nqn: &str, subsystem: &Subsystem, lines: &mut Vec<String>) {
    lines.push(format!("subsystem {nqn}"));
    if let Some(serial) = &subsystem.serial {
        lines.push(format!("    serial {serial}"));
    }
    if let Some(model) = &subsystem.model {
        lines.push(format!("    model {model}"));
    }
    if subsystem.allow_any_host {
        lines.push("    any host".to_owned());
    }
    let hosts = subsystem.allowed_hosts.iter();
    lines.extend(hosts.map(|host| format!("    host {host}")));
    for (nsid, namespace) in &subsystem.namespaces {
        lines.push(show_namespace(*nsid, namespace));
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
    format!("    namespace {nsid}  {device}  {uuid}  ANA group {group}  {state}")
}

fn show_port(id: PortId, port: &Port, lines: &mut Vec<String>) {
    let address = std::net::SocketAddr::new(port.address, port.service);
    lines.push(format!("port {id}  {} {address}", port.transport.as_str()));
    for (group, state) in &port.ana_groups {
        lines.push(format!("    ANA group {group}  {}", state.as_str()));
    }
    let subsystems = port.subsystems.iter();
    lines.extend(subsystems.map(|nqn| format!("    subsystem {nqn}")));
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
        "hosts": ["nqn.h", "nqn.idle"],
        "subsystems": {"nqn.s": {
            "allow_any_host": false, "allowed_hosts": ["nqn.h"], "serial": "1234", "model": null,
            "namespaces": {"1": {
                "device_path": "/dev/vg/volume", "ana_group": 1, "enabled": true,
                "uuid": "6fa459ea-ee8a-3ca4-894e-db77e160355e",
                "nguid": "6fa459ea-ee8a-3ca4-894e-db77e160355e"
            }}
        }},
        "ports": {"1": {
            "transport": "tcp", "address": "fd00::1", "service": 4420,
            "ana_groups": {"1": "optimized"}, "subsystems": ["nqn.s"]
        }},
        "unfinished_ports": {"2": {}},
        "unmodelled": ["ports/7"]
    }"#;

    #[test]
    fn a_target_is_a_tree() {
        let parsed: Target = serde_json::from_str(TARGET).unwrap();
        assert_eq!(
            target(&parsed),
            "\
subsystem nqn.s
    serial 1234
    host nqn.h
    namespace 1  /dev/vg/volume  6fa459ea-ee8a-3ca4-894e-db77e160355e  ANA group 1  enabled
port 1  tcp [fd00::1]:4420
    ANA group 1  optimized
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
