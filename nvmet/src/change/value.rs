//! Attributes and what is written into them.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::model::{
    AnaGroupId, DhGroup, DhHash, Family, Oui, P2pMem, Raw, Secret, Transport, Treq, Tsas, Version,
};

/// Bytes for an attribute, without a newline: every store takes them so, and `discovery_nqn` refuses
/// the second write that a newline leads to.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    bytes: Vec<u8>,
    is_secret: bool,
}

/// An attribute of a host and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostValue {
    /// `dhchap_key`
    #[serde(serialize_with = "hidden")]
    Key(Secret),
    /// `dhchap_ctrl_key`
    #[serde(serialize_with = "hidden")]
    ControllerKey(Secret),
    /// `dhchap_hash`
    Hash(DhHash),
    /// `dhchap_dhgroup`
    Group(DhGroup),
}

/// An attribute of a port and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortValue {
    /// `addr_adrfam`
    Family(Family),
    /// `addr_traddr`
    Address(String),
    /// `addr_trsvcid`
    Service(String),
    /// `addr_trtype`, the last of the four: a port without it is unfinished. The kernel forgets
    /// `addr_tsas` when it is written.
    Transport(Transport),
    /// `addr_tsas`. The kernel changes `addr_treq` with it.
    Tsas(Tsas),
    /// `addr_treq`
    Treq(Treq),
    /// `param_inline_data_size`
    InlineDataSize(u32),
    /// `param_max_queue_size`
    MaxQueueSize(u16),
    /// `param_mdts`
    Mdts(u8),
    /// `param_pi_enable`
    PiEnable(bool),
}

/// An attribute of a referral and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferralValue {
    /// `addr_adrfam`
    Family(Family),
    /// `addr_traddr`
    Address(String),
    /// `addr_trsvcid`
    Service(String),
    /// `addr_trtype`, the last of the four, as with ports.
    Transport(Transport),
    /// `addr_portid`
    PortId(u16),
    /// `addr_treq`
    Treq(Treq),
    /// `enable`
    Enabled(bool),
}

/// An attribute of a subsystem and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubsystemValue {
    /// `attr_allow_any_host`
    AllowAnyHost(bool),
    /// `attr_serial`
    Serial(String),
    /// `attr_model`
    Model(String),
    /// `attr_firmware`
    Firmware(String),
    /// `attr_ieee_oui`
    IeeeOui(Oui),
    /// `attr_version`
    Version(Version),
    /// `attr_cntlid_min`
    CntlidMin(u16),
    /// `attr_cntlid_max`
    CntlidMax(u16),
    /// `attr_qid_max`
    QidMax(u16),
    /// `attr_pi_enable`
    PiEnable(bool),
    /// `attr_vendor_id`
    VendorId(u16),
    /// `attr_subsys_vendor_id`
    SubsysVendorId(u16),
}

/// An attribute of a namespace and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceValue {
    /// `device_path`
    DevicePath(PathBuf),
    /// `device_uuid`
    Uuid(Uuid),
    /// `device_nguid`
    Nguid(Uuid),
    /// `ana_grpid`
    AnaGroup(AnaGroupId),
    /// `buffered_io`
    BufferedIo(bool),
    /// `resv_enable`
    ResvEnable(bool),
    /// `p2pmem`
    P2pMem(P2pMem),
}

impl Value {
    pub(crate) fn new(bytes: impl AsRef<[u8]>) -> Self {
        Value {
            bytes: bytes.as_ref().to_owned(),
            is_secret: false,
        }
    }

    fn key(key: &Secret) -> Self {
        Value {
            // An empty write would be none: a NUL clears (Linux 6.12; older kernels refuse it).
            bytes: if key.is_none() {
                vec![0]
            } else {
                key.reveal().into()
            },
            is_secret: !key.is_none(),
        }
    }

    /// What is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A key is not shown.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret {
            return f.write_str("(hidden)");
        }
        if self.bytes == [0] {
            return f.write_str("\\0");
        }
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

fn hidden<S: Serializer>(key: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{key:?}"))
}

fn digit(value: bool) -> Value {
    Value::new(if value { "1" } else { "0" })
}

fn text(value: impl fmt::Display) -> Value {
    Value::new(value.to_string())
}

impl HostValue {
    pub(super) fn attribute(&self) -> (&'static str, Value) {
        match self {
            HostValue::Key(key) => ("dhchap_key", Value::key(key)),
            HostValue::ControllerKey(key) => ("dhchap_ctrl_key", Value::key(key)),
            HostValue::Hash(hash) => ("dhchap_hash", text(hash)),
            HostValue::Group(group) => ("dhchap_dhgroup", text(group)),
        }
    }
}

impl PortValue {
    pub(super) fn attribute(&self) -> (&'static str, Value) {
        match self {
            PortValue::Family(family) => ("addr_adrfam", text(family)),
            PortValue::Address(address) => ("addr_traddr", text(address)),
            PortValue::Service(service) => ("addr_trsvcid", text(service)),
            PortValue::Transport(transport) => ("addr_trtype", text(transport)),
            PortValue::Tsas(tsas) => ("addr_tsas", text(tsas)),
            PortValue::Treq(treq) => ("addr_treq", text(treq)),
            PortValue::InlineDataSize(size) => ("param_inline_data_size", text(size)),
            PortValue::MaxQueueSize(size) => ("param_max_queue_size", text(size)),
            PortValue::Mdts(mdts) => ("param_mdts", text(mdts)),
            PortValue::PiEnable(enable) => ("param_pi_enable", digit(*enable)),
        }
    }
}

impl ReferralValue {
    pub(super) fn attribute(&self) -> (&'static str, Value) {
        match self {
            ReferralValue::Family(family) => ("addr_adrfam", text(family)),
            ReferralValue::Address(address) => ("addr_traddr", text(address)),
            ReferralValue::Service(service) => ("addr_trsvcid", text(service)),
            ReferralValue::Transport(transport) => ("addr_trtype", text(transport)),
            ReferralValue::PortId(id) => ("addr_portid", text(id)),
            ReferralValue::Treq(treq) => ("addr_treq", text(treq)),
            ReferralValue::Enabled(enabled) => ("enable", digit(*enabled)),
        }
    }
}

impl SubsystemValue {
    pub(super) fn attribute(&self) -> (&'static str, Value) {
        match self {
            SubsystemValue::AllowAnyHost(any) => ("attr_allow_any_host", digit(*any)),
            SubsystemValue::Serial(serial) => ("attr_serial", text(serial)),
            SubsystemValue::Model(model) => ("attr_model", text(model)),
            SubsystemValue::Firmware(firmware) => ("attr_firmware", text(firmware)),
            SubsystemValue::IeeeOui(oui) => ("attr_ieee_oui", text(oui)),
            SubsystemValue::Version(version) => ("attr_version", text(version)),
            SubsystemValue::CntlidMin(id) => ("attr_cntlid_min", text(id)),
            SubsystemValue::CntlidMax(id) => ("attr_cntlid_max", text(id)),
            SubsystemValue::QidMax(queues) => ("attr_qid_max", text(queues)),
            SubsystemValue::PiEnable(enable) => ("attr_pi_enable", digit(*enable)),
            SubsystemValue::VendorId(id) => ("attr_vendor_id", text(id)),
            SubsystemValue::SubsysVendorId(id) => ("attr_subsys_vendor_id", text(id)),
        }
    }
}

impl NamespaceValue {
    pub(super) fn attribute(&self) -> (&'static str, Value) {
        use std::os::unix::ffi::OsStrExt;
        match self {
            NamespaceValue::DevicePath(path) => {
                ("device_path", Value::new(path.as_os_str().as_bytes()))
            }
            NamespaceValue::Uuid(uuid) => ("device_uuid", text(uuid)),
            NamespaceValue::Nguid(nguid) => ("device_nguid", text(nguid)),
            NamespaceValue::AnaGroup(group) => ("ana_grpid", text(group)),
            NamespaceValue::BufferedIo(buffered) => ("buffered_io", digit(*buffered)),
            NamespaceValue::ResvEnable(enable) => ("resv_enable", digit(*enable)),
            NamespaceValue::P2pMem(P2pMem::Off) => ("p2pmem", digit(false)),
            NamespaceValue::P2pMem(P2pMem::Auto) => ("p2pmem", digit(true)),
            NamespaceValue::P2pMem(P2pMem::Device(device)) => ("p2pmem", text(device)),
        }
    }
}

/// What has to be written to get from one address to another, the transport last. An attribute that
/// was set can't be made empty again: see [`can_become`].
pub(crate) fn address<V>(
    have: &Raw,
    want: &Raw,
    family: impl Fn(Family) -> V,
    address: impl Fn(String) -> V,
    service: impl Fn(String) -> V,
    transport: impl Fn(Transport) -> V,
) -> Vec<V> {
    let differs = |have: &String, want: &String| have != want && !want.is_empty();
    let mut values = Vec::new();
    if differs(&have.family, &want.family) {
        values.extend(Family::named(&want.family).map(family));
    }
    if differs(&have.address, &want.address) {
        values.push(address(want.address.clone()));
    }
    if differs(&have.service, &want.service) {
        values.push(service(want.service.clone()));
    }
    if differs(&have.transport, &want.transport) {
        values.extend(Transport::named(&want.transport).map(transport));
    }
    values
}

/// Whether writing can lead from one address to the other: the kernel takes no empty value
/// (`sscanf("%s")` in drivers/nvme/target/configfs.c), and half-way between two transports it would
/// be nothing that anybody could tell.
pub(crate) fn can_become(have: &Raw, want: &Raw) -> bool {
    let fits = |have: &String, want: &String| have.is_empty() || !want.is_empty();
    have.transport == want.transport
        && fits(&have.family, &want.family)
        && fits(&have.address, &want.address)
        && fits(&have.service, &want.service)
}
