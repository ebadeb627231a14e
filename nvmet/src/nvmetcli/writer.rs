//! From the model to nvmetcli's JSON.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use crate::model::{
    Authentication, Namespace, Nsid, P2pMem, Port, PortId, Portal, Referral, ReferralName, Secret,
    Subsystem, Target,
};
use crate::nqn::Nqn;

/// A group of attributes: texts, as nvmetcli reads them from configfs.
#[derive(Default)]
struct Group(Map<String, Value>);

impl Group {
    fn set(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0
            .insert(name.to_owned(), Value::String(value.to_string()));
        self
    }

    fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.set(name, value);
        }
        self
    }

    fn take(&mut self) -> Value {
        Value::Object(std::mem::take(&mut self.0))
    }
}

fn digit(value: bool) -> u8 {
    value.into()
}

pub(super) fn target(target: &Target) -> Value {
    json!({
        "discovery": Group::default().maybe("nqn", target.discovery_nqn.as_ref()).take(),
        "hosts": target.hosts.iter().map(host).collect::<Vec<_>>(),
        "subsystems": target.subsystems.iter().map(subsystem).collect::<Vec<_>>(),
        "ports": target.ports.iter().map(port).collect::<Vec<_>>(),
    })
}

fn host((nqn, keys): (&Nqn, &Authentication)) -> Value {
    let mut dhchap = Group::default();
    dhchap
        .maybe("key", keys.key.as_ref().map(Secret::reveal))
        .maybe("ctrl_key", keys.controller_key.as_ref().map(Secret::reveal))
        .maybe("hash", keys.hash)
        .maybe("dhgroup", keys.group);
    json!({ "nqn": nqn, "dhchap": dhchap.take() })
}

fn subsystem((nqn, subsystem): (&Nqn, &Subsystem)) -> Value {
    let hexadecimal = |id: u16| format!("{id:#x}");
    let mut attr = Group::default();
    attr.set("allow_any_host", digit(subsystem.allow_any_host))
        .maybe("serial", subsystem.serial.as_ref())
        .maybe("model", subsystem.model.as_ref())
        .maybe("firmware", subsystem.firmware.as_ref())
        .maybe("ieee_oui", subsystem.ieee_oui)
        .maybe("version", subsystem.version)
        .maybe("cntlid_min", subsystem.cntlid_min)
        .maybe("cntlid_max", subsystem.cntlid_max)
        .maybe("qid_max", subsystem.qid_max)
        .maybe("pi_enable", subsystem.pi_enable.map(digit))
        .maybe("vendor_id", subsystem.vendor_id.map(hexadecimal))
        .maybe(
            "subsys_vendor_id",
            subsystem.subsys_vendor_id.map(hexadecimal),
        );
    json!({
        "nqn": nqn,
        "attr": attr.take(),
        "allowed_hosts": subsystem.allowed_hosts,
        "namespaces": subsystem.namespaces.iter().map(namespace).collect::<Vec<_>>(),
    })
}

fn namespace((nsid, namespace): (&Nsid, &Namespace)) -> Value {
    let path = namespace.device_path.display().to_string();
    let mut device = Group::default();
    device
        .set("path", path)
        .set("uuid", namespace.uuid)
        .set("nguid", namespace.nguid);
    let mut value = json!({
        "nsid": nsid,
        "device": device.take(),
        "ana": Group::default().set("grpid", namespace.ana_group).take(),
        "ana_grpid": u32::from(namespace.ana_group),
        "resv": Group::default().maybe("enable", namespace.resv_enable.map(digit)).take(),
        "enable": digit(namespace.enabled),
    });
    // Where nvmetcli doesn't look.
    let p2pmem = namespace.p2pmem.as_ref().map(|p2pmem| match p2pmem {
        P2pMem::Off => "0",
        P2pMem::Auto => "1",
        P2pMem::Device(device) => device,
    });
    if let Some(p2pmem) = p2pmem {
        value["p2pmem"] = p2pmem.into();
    }
    if let Some(buffered) = namespace.buffered_io {
        value["buffered_io"] = digit(buffered).to_string().into();
    }
    value
}

fn port((id, port): (&PortId, &Port)) -> Value {
    let mut param = Group::default();
    param
        .maybe("inline_data_size", port.inline_data_size)
        .maybe("max_queue_size", port.max_queue_size)
        .maybe("mdts", port.mdts)
        .maybe("pi_enable", port.pi_enable.map(digit));
    let group = |(group, state): (&_, &crate::model::AnaState)| json!({ "grpid": group, "ana": Group::default().set("state", state).take() });
    json!({
        "portid": id,
        "addr": address(Some(&port.portal))
            .maybe("treq", port.treq)
            .maybe("tsas", port.tsas)
            .take(),
        "param": param.take(),
        "ana_groups": port.ana_groups.iter().map(group).collect::<Vec<_>>(),
        "referrals": port.referrals.iter().map(referral).collect::<Vec<_>>(),
        "subsystems": port.subsystems,
    })
}

fn referral((name, referral): (&ReferralName, &Referral)) -> Value {
    json!({
        "name": name,
        "addr": address(referral.portal.as_ref())
            .set("portid", referral.port_id)
            .maybe("treq", referral.treq)
            .take(),
        "enable": digit(referral.enabled),
    })
}

fn address(portal: Option<&Portal>) -> Group {
    let raw = portal.map(Portal::raw).unwrap_or_default();
    let mut addr = Group::default();
    addr.set("trtype", raw.transport)
        .set("adrfam", raw.family)
        .set("traddr", raw.address)
        .set("trsvcid", raw.service);
    addr
}
