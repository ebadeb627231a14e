//! Subsystems and their namespaces.

use uuid::Uuid;

use super::{Phase, Plan, wanted};
use crate::change::{Change, NamespaceValue, SubsystemValue};
use crate::model::{AnaGroupId, Namespace, Nsid, Subsystem, Target};
use crate::nqn::Nqn;

impl Plan {
    pub(super) fn subsystems(&mut self, have: &Target, want: &Target) {
        for (nqn, subsystem) in &have.subsystems {
            match want.subsystems.get(nqn) {
                None => self.remove_subsystem(nqn, subsystem),
                Some(wanted) if !is_kept(subsystem, wanted) => {
                    self.remove_subsystem(nqn, subsystem);
                }
                Some(_) => {}
            }
        }
        for (nqn, wanted) in &want.subsystems {
            match have.subsystems.get(nqn) {
                Some(subsystem) if is_kept(subsystem, wanted) => {
                    self.change_subsystem(nqn, subsystem, wanted, Phase::StopNamespaces);
                }
                _ => self.create_subsystem(nqn, wanted),
            }
        }
    }

    fn remove_subsystem(&mut self, nqn: &Nqn, subsystem: &Subsystem) {
        for &nsid in subsystem.namespaces.keys() {
            self.remove_namespace(nqn, nsid);
        }
        for host in &subsystem.allowed_hosts {
            self.deny_host(nqn, host);
        }
        let subsystem = nqn.clone();
        self.push(
            Phase::RemoveSubsystems,
            Change::RemoveSubsystem { subsystem },
        );
    }

    fn create_subsystem(&mut self, nqn: &Nqn, want: &Subsystem) {
        let subsystem = nqn.clone();
        self.push(
            Phase::CreateSubsystems,
            Change::CreateSubsystem { subsystem },
        );
        for value in sticky(&Subsystem::default(), want) {
            self.set_subsystem(nqn, value);
        }
        self.change_subsystem(nqn, &fresh_subsystem(), want, Phase::CreateSubsystems);
    }

    /// Everything but what [`is_kept`] looks at; the number of queues in a phase of its own.
    fn change_subsystem(&mut self, nqn: &Nqn, have: &Subsystem, want: &Subsystem, qid_max: Phase) {
        for host in have.allowed_hosts.difference(&want.allowed_hosts) {
            self.deny_host(nqn, host);
        }
        // Between the hosts that go and those that come: the kernel wants no host listed while any
        // host is allowed, in either direction.
        if have.allow_any_host != want.allow_any_host {
            self.set_subsystem(nqn, SubsystemValue::AllowAnyHost(want.allow_any_host));
        }
        for value in cntlids(have, want) {
            self.set_subsystem(nqn, value);
        }
        if let Some(queues) = wanted(have.qid_max, want.qid_max) {
            let subsystem = nqn.clone();
            let value = SubsystemValue::QidMax(queues);
            // It drops controllers, where there can be any.
            self.push(qid_max, Change::SetSubsystem { subsystem, value });
        }
        let values = [
            wanted(have.pi_enable, want.pi_enable).map(SubsystemValue::PiEnable),
            wanted(have.vendor_id, want.vendor_id).map(SubsystemValue::VendorId),
            wanted(have.subsys_vendor_id, want.subsys_vendor_id)
                .map(SubsystemValue::SubsysVendorId),
        ];
        for value in values.into_iter().flatten() {
            self.set_subsystem(nqn, value);
        }
        for host in want.allowed_hosts.difference(&have.allowed_hosts) {
            let (subsystem, host) = (nqn.clone(), host.clone());
            self.push(
                Phase::CreateSubsystems,
                Change::AllowHost { subsystem, host },
            );
        }
        for (&nsid, had) in &have.namespaces {
            match want.namespaces.get(&nsid) {
                Some(wanted) if can_be_written(had, wanted) => {}
                _ => self.remove_namespace(nqn, nsid),
            }
        }
        for (&nsid, wanted) in &want.namespaces {
            match have.namespaces.get(&nsid) {
                Some(had) if can_be_written(had, wanted) => {
                    self.change_namespace(nqn, nsid, had, wanted);
                }
                _ => self.create_namespace(nqn, nsid, wanted),
            }
        }
    }

    fn create_namespace(&mut self, nqn: &Nqn, nsid: Nsid, want: &Namespace) {
        let subsystem = nqn.clone();
        self.push(
            Phase::CreateSubsystems,
            Change::CreateNamespace { subsystem, nsid },
        );
        self.set_namespace(nqn, nsid, NamespaceValue::Uuid(want.uuid));
        self.change_namespace(nqn, nsid, &fresh_namespace(want.uuid), want);
    }

    fn change_namespace(&mut self, nqn: &Nqn, nsid: Nsid, have: &Namespace, want: &Namespace) {
        // These only while it is disabled.
        let rewritten: Vec<NamespaceValue> = [
            (have.device_path != want.device_path)
                .then(|| NamespaceValue::DevicePath(want.device_path.clone())),
            (have.uuid != want.uuid).then_some(NamespaceValue::Uuid(want.uuid)),
            (have.nguid != want.nguid).then_some(NamespaceValue::Nguid(want.nguid)),
            wanted(have.buffered_io, want.buffered_io).map(NamespaceValue::BufferedIo),
            wanted(have.resv_enable, want.resv_enable).map(NamespaceValue::ResvEnable),
            wanted(have.p2pmem.as_ref(), want.p2pmem.as_ref())
                .cloned()
                .map(NamespaceValue::P2pMem),
        ]
        .into_iter()
        .flatten()
        .collect();
        if have.enabled && (!rewritten.is_empty() || !want.enabled) {
            let subsystem = nqn.clone();
            self.push(Phase::StopNamespaces, Change::Disable { subsystem, nsid });
        }
        let enable = want.enabled && (!rewritten.is_empty() || !have.enabled);
        let group =
            (have.ana_group != want.ana_group).then_some(NamespaceValue::AnaGroup(want.ana_group));
        for value in rewritten.into_iter().chain(group) {
            self.set_namespace(nqn, nsid, value);
        }
        if enable {
            self.push(
                Phase::CreateSubsystems,
                Change::Enable {
                    subsystem: nqn.clone(),
                    nsid,
                    device_path: want.device_path.clone(),
                },
            );
        }
    }

    fn remove_namespace(&mut self, nqn: &Nqn, nsid: Nsid) {
        let subsystem = nqn.clone();
        self.push(
            Phase::StopNamespaces,
            Change::RemoveNamespace { subsystem, nsid },
        );
    }

    fn deny_host(&mut self, nqn: &Nqn, host: &Nqn) {
        let (subsystem, host) = (nqn.clone(), host.clone());
        self.push(Phase::DenyHosts, Change::DenyHost { subsystem, host });
    }

    fn set_subsystem(&mut self, nqn: &Nqn, value: SubsystemValue) {
        let subsystem = nqn.clone();
        self.push(
            Phase::CreateSubsystems,
            Change::SetSubsystem { subsystem, value },
        );
    }

    fn set_namespace(&mut self, nqn: &Nqn, nsid: Nsid, value: NamespaceValue) {
        self.push(
            Phase::CreateSubsystems,
            Change::SetNamespace {
                subsystem: nqn.clone(),
                nsid,
                value,
            },
        );
    }
}

/// Whether the subsystem's directory may stay. `None` wants whatever is there.
pub(super) fn is_kept(have: &Subsystem, want: &Subsystem) -> bool {
    sticky(have, want).is_empty()
}

/// What the kernel takes only until the first host connects.
fn sticky(have: &Subsystem, want: &Subsystem) -> Vec<SubsystemValue> {
    let text = |have: &Option<String>, want: &Option<String>| {
        wanted(have.as_ref(), want.as_ref()).cloned()
    };
    let values = [
        text(&have.serial, &want.serial).map(SubsystemValue::Serial),
        text(&have.model, &want.model).map(SubsystemValue::Model),
        text(&have.firmware, &want.firmware).map(SubsystemValue::Firmware),
        wanted(have.ieee_oui, want.ieee_oui).map(SubsystemValue::IeeeOui),
        wanted(have.version, want.version).map(SubsystemValue::Version),
    ];
    values.into_iter().flatten().collect()
}

/// The kernel wants the lowest id never above the highest, in between too; 6.1 wants it below.
fn cntlids(have: &Subsystem, want: &Subsystem) -> Vec<SubsystemValue> {
    let min = wanted(have.cntlid_min, want.cntlid_min).map(SubsystemValue::CntlidMin);
    let max = wanted(have.cntlid_max, want.cntlid_max).map(SubsystemValue::CntlidMax);
    let goes_up = want.cntlid_min >= have.cntlid_max;
    let values = if goes_up { [max, min] } else { [min, max] };
    values.into_iter().flatten().collect()
}

/// A subsystem as every kernel from 6.1 to 7.3 makes it (`nvmet_subsys_alloc` in
/// drivers/nvme/target/core.c). What differs between them, or what one of them lacks, is `None`:
/// then it is written whenever it is asked for, and a kernel that lacks it says so.
fn fresh_subsystem() -> Subsystem {
    Subsystem {
        cntlid_min: Some(1),
        cntlid_max: Some(0xFFEF),
        qid_max: Some(128),
        ..Subsystem::default()
    }
}

/// The same for a namespace (`nvmet_ns_alloc`); its UUID is random and written before.
fn fresh_namespace(uuid: Uuid) -> Namespace {
    Namespace {
        device_path: "".into(),
        uuid,
        nguid: Uuid::nil(),
        ana_group: AnaGroupId::DEFAULT,
        enabled: false,
        buffered_io: Some(false),
        resv_enable: None,
        p2pmem: None,
    }
}

/// A device path, once set, can be changed but not taken away: the store refuses an empty one.
fn can_be_written(have: &Namespace, want: &Namespace) -> bool {
    !want.device_path.as_os_str().is_empty() || have.device_path.as_os_str().is_empty()
}
