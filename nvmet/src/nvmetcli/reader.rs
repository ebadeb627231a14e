//! From nvmetcli's JSON to the model.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::NvmetcliError;
use super::field::{Field, Object};
use crate::model::{
    AnaGroupId, AnaState, Authentication, DhGroup, DhHash, Namespace, Nsid, P2pMem, Parsed, Port,
    PortId, Portal, Raw, Referral, ReferralName, Secret, Subsystem, Target, Treq, Tsas,
};
use crate::nqn::Nqn;

type Answer<V> = Result<V, NvmetcliError>;

/// What a namespace without a device shows.
const NO_DEVICE: &str = "(null)";

pub(super) fn target(value: &Value) -> Answer<Target> {
    let mut root = Field::root(value).object()?;
    let mut target = Target::default();
    let mut discovery = root.group("discovery")?;
    target.discovery_nqn = discovery.attribute("nqn", Field::parse)?;
    discovery.end()?;
    for field in root.need("hosts")?.list()? {
        let (nqn, keys) = host(field)?;
        once(&mut target.hosts, nqn, keys, "hosts")?;
    }
    for field in root.need("subsystems")?.list()? {
        let (nqn, read) = subsystem(field)?;
        once(&mut target.subsystems, nqn, read, "subsystems")?;
    }
    for field in root.need("ports")?.list()? {
        let (id, read) = port(field)?;
        once(&mut target.ports, id, read, "ports")?;
    }
    root.end()?;
    Ok(target)
}

fn host(field: Field<'_>) -> Answer<(Nqn, Authentication)> {
    let mut host = field.object()?;
    let nqn = host.need("nqn")?.parse()?;
    let mut group = host.group("dhchap")?;
    // Not `attribute`: an empty key is one that is to be none.
    let mut key = |name| {
        group
            .take(name)
            .map(|field| field.text().map(Secret::new))
            .transpose()
    };
    let keys = Authentication {
        key: key("key")?,
        controller_key: key("ctrl_key")?,
        hash: group.attribute("hash", |field| field.word(DhHash::named))?,
        group: group.attribute("dhgroup", |field| field.word(DhGroup::named))?,
    };
    group.end()?;
    host.end()?;
    Ok((nqn, keys))
}

fn subsystem(field: Field<'_>) -> Answer<(Nqn, Subsystem)> {
    let mut object = field.object()?;
    let nqn = object.need("nqn")?.parse()?;
    let mut attr = object.group("attr")?;
    let mut subsystem = Subsystem {
        allow_any_host: attr
            .attribute("allow_any_host", Field::boolean)?
            .unwrap_or(false),
        serial: attr.attribute("serial", Field::text)?,
        model: attr.attribute("model", Field::text)?,
        firmware: attr.attribute("firmware", Field::text)?,
        ieee_oui: attr.attribute("ieee_oui", Field::convert)?,
        version: attr.attribute("version", Field::parse)?,
        cntlid_min: attr.attribute("cntlid_min", Field::convert)?,
        cntlid_max: attr.attribute("cntlid_max", Field::convert)?,
        qid_max: attr.attribute("qid_max", Field::convert)?,
        pi_enable: attr.attribute("pi_enable", Field::boolean)?,
        vendor_id: attr.attribute("vendor_id", Field::convert)?,
        subsys_vendor_id: attr.attribute("subsys_vendor_id", Field::convert)?,
        allowed_hosts: BTreeSet::new(),
        namespaces: BTreeMap::new(),
    };
    attr.end()?;
    subsystem.allowed_hosts = names(&mut object, "allowed_hosts")?;
    for field in object.entries("namespaces")? {
        let (nsid, read) = namespace(field)?;
        once(&mut subsystem.namespaces, nsid, read, "namespaces")?;
    }
    for field in object.entries("passthru")? {
        passthru(field)?;
    }
    object.end()?;
    Ok((nqn, subsystem))
}

fn namespace(field: Field<'_>) -> Answer<(Nsid, Namespace)> {
    let mut object = field.object()?;
    let nsid = object.need("nsid")?.convert()?;
    let mut device = object.group("device")?;
    let path = device.attribute("path", Field::text)?.unwrap_or_default();
    let uuid = device.need("uuid")?.parse()?;
    let nguid = device
        .attribute("nguid", Field::parse)?
        .unwrap_or(Uuid::nil());
    device.end()?;
    let mut ana = object.group("ana")?;
    let group: Option<AnaGroupId> = ana.attribute("grpid", Field::convert)?;
    ana.end()?;
    let mut resv = object.group("resv")?;
    let resv_enable = resv.attribute("enable", Field::boolean)?;
    resv.end()?;
    let namespace = Namespace {
        device_path: if path == NO_DEVICE {
            "".into()
        } else {
            path.into()
        },
        uuid,
        nguid,
        // The one that nvmetcli writes last.
        ana_group: object
            .attribute("ana_grpid", Field::convert)?
            .or(group)
            .unwrap_or(AnaGroupId::DEFAULT),
        enabled: object.attribute("enable", Field::boolean)?.unwrap_or(false),
        buffered_io: object.attribute("buffered_io", Field::boolean)?,
        resv_enable,
        p2pmem: object.attribute("p2pmem", |field| {
            Ok(match field.text()?.as_str() {
                "0" => P2pMem::Off,
                "1" => P2pMem::Auto,
                device => P2pMem::Device(device.to_owned()),
            })
        })?,
    };
    object.end()?;
    Ok((nsid, namespace))
}

/// One that nobody set up is nothing; any other can't be represented.
fn passthru(field: Field<'_>) -> Answer<()> {
    let wrong = field.wrong("is set up, which this library can't represent");
    let mut object = field.object()?;
    let mut device = object.group("device")?;
    let path = device.attribute("path", Field::text)?;
    device.end()?;
    let mut is_fresh = path.is_none_or(|path| path == NO_DEVICE);
    for name in ["enable", "clear_ids", "admin_timeout", "io_timeout"] {
        is_fresh &= object.attribute(name, Field::number)?.unwrap_or(0) == 0;
    }
    object.end()?;
    if is_fresh { Ok(()) } else { Err(wrong) }
}

fn port(field: Field<'_>) -> Answer<(PortId, Port)> {
    let mut object = field.object()?;
    let id = PortId(object.need("portid")?.convert()?);
    let mut addr = object.need("addr")?.object()?;
    let Some(portal) = portal(&mut addr)? else {
        let field = format!("port {id}: addr");
        return Err(NvmetcliError::field(field, "is no complete address"));
    };
    let treq = addr.attribute("treq", |field| field.word(Treq::named))?;
    let tsas = addr.attribute("tsas", |field| field.word(Tsas::named))?;
    addr.end()?;
    let mut param = object.group("param")?;
    let mut port = Port {
        treq,
        tsas,
        inline_data_size: chosen(&mut param, "inline_data_size")?,
        max_queue_size: chosen(&mut param, "max_queue_size")?,
        mdts: chosen(&mut param, "mdts")?,
        pi_enable: param.attribute("pi_enable", Field::boolean)?,
        ana_groups: BTreeMap::new(),
        ..Port::new(portal)
    };
    param.end()?;
    for field in object.entries("ana_groups")? {
        let mut entry = field.object()?;
        let group = entry.need("grpid")?.convert()?;
        let mut ana = entry.group("ana")?;
        let state = ana.attribute("state", |field| field.word(AnaState::named))?;
        ana.end()?;
        entry.end()?;
        let state = state.unwrap_or(AnaState::Optimized);
        once(&mut port.ana_groups, group, state, "ana_groups")?;
    }
    for field in object.entries("referrals")? {
        let (name, read) = referral(field)?;
        once(&mut port.referrals, name, read, "referrals")?;
    }
    port.subsystems = names(&mut object, "subsystems")?;
    object.end()?;
    Ok((id, port))
}

fn referral(field: Field<'_>) -> Answer<(ReferralName, Referral)> {
    let mut object = field.object()?;
    let name = object.need("name")?.parse()?;
    let mut addr = object.need("addr")?.object()?;
    let referral = Referral {
        portal: portal(&mut addr)?,
        port_id: addr.attribute("portid", Field::convert)?.unwrap_or(0),
        treq: addr.attribute("treq", |field| field.word(Treq::named))?,
        enabled: object.attribute("enable", Field::boolean)?.unwrap_or(false),
    };
    addr.end()?;
    object.end()?;
    Ok((name, referral))
}

/// `None` where nothing listens yet.
fn portal(addr: &mut Object<'_>) -> Answer<Option<Portal>> {
    let transport = addr.need("trtype")?;
    let mut text = |name| {
        addr.take(name)
            .map_or(Ok(String::new()), |field| field.text())
    };
    let raw = Raw {
        transport: transport.text()?,
        family: text("adrfam")?,
        address: text("traddr")?,
        service: text("trsvcid")?,
    };
    match raw.parse() {
        Parsed::Portal(portal) => Ok(Some(portal)),
        Parsed::Incomplete => Ok(None),
        Parsed::Foreign => {
            let problem = "and its address are nothing that this library can represent";
            Err(transport.wrong(problem))
        }
    }
}

/// A parameter that is negative where the transport is to choose.
fn chosen<V>(param: &mut Object<'_>, name: &str) -> Answer<Option<V>>
where
    V: TryFrom<u32>,
    V::Error: std::fmt::Display,
{
    let read = |field: &Field<'_>| match field.text()?.starts_with('-') {
        true => Ok(None),
        false => field.convert().map(Some),
    };
    Ok(param.attribute(name, read)?.flatten())
}

fn names(object: &mut Object<'_>, list: &str) -> Answer<BTreeSet<Nqn>> {
    let mut names = BTreeMap::new();
    for field in object.entries(list)? {
        once(&mut names, field.parse()?, (), list)?;
    }
    Ok(names.into_keys().collect())
}

fn once<K: Ord + std::fmt::Debug, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    list: &str,
) -> Answer<()> {
    if map.contains_key(&key) {
        return Err(NvmetcliError::field(
            list,
            format!("{key:?} is there twice"),
        ));
    }
    map.insert(key, value);
    Ok(())
}
