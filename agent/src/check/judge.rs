//! Judging what was seen of a node.

use std::time::{Duration, SystemTime};

use super::facts::{Facts, Module, Portal};
use super::{Finding, Role, State};

/// The first LVM whose commands take `--devices` (its WHATS_NEW, version 2.03.12).
const OLDEST_LVM: (u32, u32, u32) = (2, 3, 12);

/// A clock before this was never set: the year in which Weir was begun, 2026, in seconds.
const BEGUN: Duration = Duration::from_secs(1_767_225_600);

/// Rules that name a device-mapper device, as LVM and as Debian number them.
const NAMING: [&str; 2] = ["10-dm.rules", "55-dm.rules"];

/// Rules that look into a device.
const PROBING: [&str; 3] = [
    "13-dm-disk.rules",
    "60-persistent-storage-dm.rules",
    "60-persistent-storage.rules",
];

/// What was found and what is missing, for a node that is used so.
#[must_use]
pub fn findings(facts: &Facts, roles: &[Role]) -> Vec<Finding> {
    let storage = roles.contains(&Role::Storage);
    let consumer = roles.contains(&Role::Consumer);
    let mut found = vec![
        module(facts, "nvmet", storage),
        module(facts, "nvmet-tcp", storage),
        module(facts, "nvme-tcp", consumer),
        module(facts, "dm-mod", storage),
        module(facts, "dm-thin-pool", false),
        btf(facts),
    ];
    if storage {
        found.push(lvm_version(facts));
    }
    found.push(lvm_filter(facts, storage));
    found.extend(shared(facts));
    if storage {
        found.extend(portals(facts));
    }
    found.push(clock(facts));
    found.push(host_nqn(facts));
    found.push(nvme_multipath(facts, consumer));
    found.push(udev_rules(facts));
    found.push(multipath_config(facts));
    found
}

fn finding(name: &str, required: bool, state: State, seen: impl Into<String>) -> Finding {
    Finding {
        name: name.to_owned(),
        state,
        required,
        seen: seen.into(),
        remedy: None,
    }
}

impl Finding {
    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

fn module(facts: &Facts, module: &str, required: bool) -> Finding {
    let name = format!("module {module}");
    let found = |seen: &str| finding(&name, required, State::Found, seen);
    match facts.modules.get(module).unwrap_or(&Module::Absent) {
        Module::Loaded => found("loaded"),
        Module::BuiltIn => found("built in"),
        Module::Available => found("can be loaded"),
        Module::Absent => {
            let release = &facts.release;
            let seen = format!("not loaded, and not below /lib/modules/{release}");
            let remedy = format!(
                "install the modules of kernel {release}; in a container, mount the host's \
                 /lib/modules or load {module} on the host"
            );
            finding(&name, required, State::Missing, seen).remedy(remedy)
        }
    }
}

/// Without it volumes are served and not measured.
fn btf(facts: &Facts) -> Finding {
    let name = "kernel BTF";
    if !facts.btf.contains("vmlinux") {
        return finding(name, false, State::Missing, "no /sys/kernel/btf/vmlinux").remedy(
            "use a kernel with CONFIG_DEBUG_INFO_BTF; volumes are served, but not measured",
        );
    }
    let is_loaded = facts.modules.get("nvmet") == Some(&Module::Loaded);
    if is_loaded && !facts.btf.contains("nvmet") {
        return finding(name, false, State::Missing, "no /sys/kernel/btf/nvmet").remedy(
            "use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES; exports are served, but not measured",
        );
    }
    let names: Vec<&str> = facts.btf.iter().map(String::as_str).collect();
    finding(name, false, State::Found, names.join(", "))
}

fn lvm_version(facts: &Facts) -> Finding {
    let name = "LVM version";
    let (major, minor, patch) = OLDEST_LVM;
    let remedy = format!("install lvm2 {major}.{minor:02}.{patch} or later");
    let printed = match &facts.lvm {
        Ok(printed) => printed,
        Err(error) => return finding(name, true, State::Missing, error).remedy(remedy),
    };
    match version(printed) {
        Some((text, version)) if version >= OLDEST_LVM => finding(name, true, State::Found, text),
        Some((text, _)) => finding(name, true, State::Missing, text).remedy(remedy),
        None => finding(name, true, State::Unknown, "lvm printed no version").remedy(remedy),
    }
}

/// Of a line like `LVM version:     2.03.16(2) (2022-05-18)`.
fn version(printed: &str) -> Option<(String, (u32, u32, u32))> {
    let mut lines = printed.lines().map(str::trim);
    let text = lines.find_map(|line| line.strip_prefix("LVM version:"))?;
    let text = text.split('(').next()?.trim();
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    Some((text.to_owned(), version))
}

/// With `scan_lvs` the node's own LVM looks into its LVs; without the filter into whatever udev says are
/// volumes: it may activate what a tenant wrote.
fn lvm_filter(facts: &Facts, storage: bool) -> Finding {
    let name = "LVM filter";
    if facts.lvm.is_err() && !storage {
        return finding(name, true, State::Found, "not needed: LVM is not installed");
    }
    let remedy = "set devices/scan_lvs = 0 in /etc/lvm/lvm.conf, or tenants' volume groups appear \
                  on this node";
    let config = match &facts.lvm_config {
        Ok(config) => config,
        Err(error) => return finding(name, true, State::Unknown, error).remedy(remedy),
    };
    match setting(config, "scan_lvs") {
        Some("0") => {}
        Some(value) => {
            let seen = format!("scan_lvs={value}: LVM looks into LVs");
            return finding(name, true, State::Missing, seen).remedy(remedy);
        }
        None => {
            let seen = "lvmconfig names no scan_lvs";
            return finding(name, true, State::Unknown, seen).remedy(remedy);
        }
    }
    // LVM then looks at what the list names, and ignores its filters.
    if facts.has_devices_file && setting(config, "use_devicesfile") == Some("1") {
        let seen = "LVM looks only at what its devices file lists";
        return finding(name, true, State::Found, seen);
    }
    let filter = setting(config, "global_filter").unwrap_or_default();
    if facts.has_udev && !filter.contains("/dev/weir/") {
        let seen = "global_filter does not reject /dev/weir/";
        let remedy = "run deploy/install-host, or tenants' volume groups appear on this node";
        return finding(name, true, State::Missing, seen).remedy(remedy);
    }
    let seen = "LVM looks into no volume";
    finding(name, true, State::Found, seen)
}

fn setting<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = config.lines().map(str::trim);
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

fn shared(facts: &Facts) -> Vec<Finding> {
    let name = "shared directories";
    let Some(directories) = &facts.container else {
        return vec![finding(
            name,
            true,
            State::Found,
            "no container: they are the host's own",
        )];
    };
    let row = |(dir, is_shared): (&&str, &bool)| {
        let name = format!("shared {dir}");
        if *is_shared {
            return finding(&name, true, State::Found, "the host's");
        }
        let remedy = format!(
            "mount the host's {dir} into the container: two LVMs that don't see each other's locks \
             destroy volume groups"
        );
        finding(&name, true, State::Missing, "the container's own").remedy(remedy)
    };
    directories.iter().map(row).collect()
}

fn portals(facts: &Facts) -> Vec<Finding> {
    if facts.portals.is_empty() {
        let seen = "none was named, and no pool asks for one";
        let remedy = "name one with --portal to have it looked at";
        return vec![finding("portal", false, State::Unknown, seen).remedy(remedy)];
    }
    let row = |(address, state): (&std::net::SocketAddr, &Portal)| {
        let name = format!("portal {address}");
        match state {
            Portal::Free => finding(&name, true, State::Found, "free"),
            Portal::Target => finding(
                &name,
                true,
                State::Found,
                "the kernel's target listens there",
            ),
            Portal::Taken => {
                finding(&name, true, State::Missing, "another program listens there").remedy(
                    format!("find it with `ss -ltnp 'sport = :{}'`", address.port()),
                )
            }
            Portal::Refused(error) => {
                finding(&name, true, State::Missing, error.clone()).remedy(format!(
                    "give an interface of this node the address {}",
                    address.ip()
                ))
            }
        }
    };
    facts.portals.iter().map(row).collect()
}

/// A wrong clock breaks nothing of Weir's; it makes logs and metrics of several nodes useless.
fn clock(facts: &Facts) -> Finding {
    let name = "clock";
    let remedy = "run chrony or systemd-timesyncd";
    if facts.clock.now < SystemTime::UNIX_EPOCH + BEGUN {
        return finding(name, false, State::Missing, "it was never set").remedy(remedy);
    }
    match facts.clock.is_synchronised {
        Some(true) => finding(name, false, State::Found, "synchronised"),
        Some(false) => finding(name, false, State::Missing, "not synchronised").remedy(remedy),
        None => finding(name, false, State::Unknown, "the kernel would not say").remedy(remedy),
    }
}

/// Weir gives each grant a host NQN of its own; this one is nvme-cli's.
fn host_nqn(facts: &Facts) -> Finding {
    let name = "hostnqn";
    let remedy = "nvme gen-hostnqn > /etc/nvme/hostnqn (only nvme-cli wants it)";
    let Some(text) = &facts.host_nqn else {
        let seen = "no /etc/nvme/hostnqn";
        return finding(name, false, State::Missing, seen).remedy(remedy);
    };
    match text.parse::<nvmet::Nqn>() {
        Ok(nqn) => finding(name, false, State::Found, nqn.as_str()),
        Err(error) => finding(name, false, State::Missing, error.to_string()).remedy(remedy),
    }
}

/// Without it each portal of a volume is a disk of its own on the consumer.
fn nvme_multipath(facts: &Facts, required: bool) -> Finding {
    let name = "nvme multipath";
    let remedy = "boot with nvme_core.multipath=Y";
    match facts.nvme_multipath.as_deref() {
        Some("Y") => finding(name, required, State::Found, "on"),
        Some(value) => {
            let seen = format!("nvme_core's parameter is {value}");
            finding(name, required, State::Missing, seen).remedy(remedy)
        }
        None => {
            let seen = "nvme_core is not loaded, or was built without it";
            finding(name, false, State::Unknown, seen).remedy("modprobe nvme-tcp, and look again")
        }
    }
}

fn udev_rules(facts: &Facts) -> Finding {
    let name = "udev rules";
    if !facts.has_udev {
        return finding(name, true, State::Found, "not needed: no udev runs here");
    }
    let Some(rules) = facts.udev_rules.first() else {
        let remedy = "run deploy/install-host, or this node opens what tenants wrote";
        return finding(name, true, State::Missing, "Weir's are not installed").remedy(remedy);
    };
    let file = rules.file_name().unwrap_or_default().to_string_lossy();
    let is_there = |other: &&str| facts.udev_order.contains(*other);
    let too_early = NAMING
        .into_iter()
        .filter(is_there)
        .find(|other| file.as_ref() < *other);
    let too_late = PROBING
        .into_iter()
        .filter(is_there)
        .find(|other| file.as_ref() > *other);
    let misplaced = too_early
        .map(|other| format!("{file} runs before {other}"))
        .or_else(|| too_late.map(|other| format!("{file} runs after {other}")));
    if let Some(seen) = misplaced {
        let remedy = "remove it and run deploy/install-host, or this node opens what tenants wrote";
        return finding(name, true, State::Missing, seen).remedy(remedy);
    }
    finding(name, true, State::Found, rules.display().to_string())
}

fn multipath_config(facts: &Facts) -> Finding {
    let name = "multipath blacklist";
    if !facts.has_multipath_tools {
        let seen = "not needed: multipath-tools are not installed";
        return finding(name, true, State::Found, seen);
    }
    let Some(file) = facts.multipath_config.first() else {
        let remedy = "run deploy/install-host, or multipathd takes volumes for its own";
        return finding(name, true, State::Missing, "no file names Weir").remedy(remedy);
    };
    finding(name, true, State::Found, file.display().to_string())
}
