//! Hosts as users have them, with systemd, udev, lvm2, mdadm, btrfs and multipath-tools: what tenants
//! write into their volumes is opened by neither node, and the agent does its work among it.
//!
//! The control comes first: hosts without Weir's rules do open it, each kind of content in the way
//! that the test then looks for. After that the rules are installed as deploy/README.md says.

mod crash;
mod look;
mod tenants;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::report::Report;
use super::{Scale, expect};
use crate::scene::storage::{Agent, Wish};
use crate::scene::{consumer, storage};
use crate::vm::disk::Disk;
use crate::vm::guest::Guest;
use crate::vm::machine::{Lab, Machine, Spec, address};
use look::{reads, seen};
use tenants::{MOUNTED, SHARED, TENANTS, device};

/// Starts a boot with Weir's rules in place.
const WITH_RULES: &str = "weir.host-rules";
/// Where the consumer has a volume mounted the whole time.
const MOUNT: &str = "/mnt/kept";

/// Volumes that come and go while tenants' content lies about: before the reboot, and after it.
const PASSING: [Wish<'_>; 2] = [
    Wish {
        name: "passing",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0071",
        attached: Some((storage::NODE, 1)),
        ..MOUNTED
    },
    Wish {
        name: "passing-too",
        id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0072",
        attached: Some((storage::NODE, 1)),
        ..MOUNTED
    },
];

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let booted = report.need(&format!("{kernel} host: boot"), || Hosts::boot(lab));
    let Some(mut hosts) = booted else { return };
    let mut case = |name: &str, run: fn(&mut Hosts, &Lab) -> Result<()>| {
        report
            .need(&format!("{kernel} host: {name}"), || run(&mut hosts, lab))
            .is_some()
    };
    // Each case begins where the one before it ended.
    let _ = case("volumes", |hosts, _| hosts.volumes())
        && case("tenants write", |hosts, _| hosts.write())
        && case("negative control without rules", |hosts, _| hosts.control())
        && case("rules come to running hosts", |hosts, _| hosts.install())
        && case("nothing is opened", |hosts, _| hosts.closed())
        && (!scale.full
            || case("each line of the rules is needed", |hosts, _| {
                hosts.needed()
            }))
        && case("the agent works on", |hosts, _| hosts.work())
        && case("nothing is opened after a reboot", Hosts::reboot)
        && case("a lost record is found again", |hosts, _| hosts.refind());
    report.case(&format!("{kernel} host: stop"), || hosts.stop());
    crash::run(lab, report, scale);
}

struct Hosts {
    storage: Machine,
    consumer: Machine,
    /// Of the storage node: its state, the pool, and one that is blank.
    disks: [Disk; 3],
    /// Of [`TENANTS`], [`SHARED`], and of [`MOUNTED`] at the end: what to connect to.
    targets: Vec<Value>,
}

impl Hosts {
    fn boot(lab: &Lab) -> Result<Self> {
        let disks = [
            Disk::plain(lab.dir(), "state", 64 << 20)?,
            Disk::plain(lab.dir(), "pool", 2 << 30)?,
            Disk::plain(lab.dir(), "blank", 64 << 20)?,
        ];
        let [storage, consumer] = lab.boot([
            storage::spec(&disks.each_ref()),
            Spec {
                memory_mib: 1024,
                ..consumer::spec()
            },
        ])?;
        storage.guest.sh("mkfs.ext4 -q /dev/vda")?;
        mount_state(&storage)?;
        Ok(Hosts {
            storage,
            consumer,
            disks,
            targets: Vec::new(),
        })
    }

    fn agent(&self) -> Agent<'_> {
        Agent::new(&self.storage.guest)
    }

    /// Volumes, connected to the consumer.
    fn volumes(&mut self) -> Result<()> {
        let agent = Agent::new(&self.storage.guest);
        agent.start()?;
        ask(&agent, "/dev/vdb")?;
        self.targets = wait_ready(&agent)?;
        for target in &self.targets {
            consumer::connect(&self.consumer.guest, target)?;
        }
        settle(&self.consumer.guest)
    }

    /// What tenants write into them.
    fn write(&mut self) -> Result<()> {
        let pool = "pvs --noheadings -o pv_uuid /dev/vdb";
        let pool = self.storage.guest.sh(pool)?;
        let guest = &self.consumer.guest;
        guest.sh(&tenants::write(pool.trim()))?;
        guest.sh(&format!(
            "mkfs.ext4 -q -L kept {0} && mkdir -p {MOUNT} && mount {0} {MOUNT}",
            device(&MOUNTED)
        ))?;
        Ok(())
    }

    /// Without rules: the hosts open what is there.
    fn control(&mut self) -> Result<()> {
        self.disconnect()?;
        self.connect()?;
        trigger(&self.storage.guest)?;
        let [storage, consumer] = [&self.storage.guest, &self.consumer.guest];
        for (guest, symptoms) in [(storage, look::ON_STORAGE), (consumer, look::ON_CONSUMER)] {
            let found = look::wait(guest, symptoms)
                .context("without the rules: this test would prove nothing")?;
            eprintln!("without the rules:\n  {}", found.join("\n  "));
            guest.sh(look::CLOSE)?;
        }
        self.disconnect()
    }

    /// As a person does it, on running hosts that have volumes in use.
    fn install(&mut self) -> Result<()> {
        for guest in [&self.storage.guest, &self.consumer.guest] {
            expect("what `check` finds without", &found(guest)?, &[false; 3])?;
            guest.sh("udevadm verify --resolve-names=never /weir/deploy/udev/57-weir.rules")?;
            guest.sh("/weir/deploy/install-host")?;
            // Twice is once.
            guest.sh("/weir/deploy/install-host")?;
            ensure!(
                guest.sh("grep -c weir/ /etc/lvm/lvmlocal.conf")?.trim() == "1",
                "LVM's filter is not there once"
            );
            expect("what `check` finds", &found(guest)?, &[true; 3])?;
        }
        self.still_mounted()
    }

    /// With rules: nothing is opened when a volume appears, nor later.
    ///
    /// Seen red with: the rules not installed, which is the control. With one line of them spoilt it is
    /// what [`Hosts::needed`] shows.
    fn closed(&mut self) -> Result<()> {
        self.connect()?;
        let guests = [&self.storage.guest, &self.consumer.guest];
        for guest in guests {
            seen(guest)?.expect_nothing()?;
        }
        let before = [reads(guests[0])?, reads(guests[1])?];
        for (guest, before) in guests.into_iter().zip(before) {
            trigger(guest)?;
            guest.sh(look::PROVOKE)?;
            settle(guest)?;
            seen(guest)?.expect_nothing()?;
            let now = reads(guest)?;
            ensure!(
                now == before,
                "volumes were read: {now:?}, before {before:?}"
            );
        }
        self.still_mounted()
    }

    /// Rules with one line spoilt are not enough.
    fn needed(&mut self) -> Result<()> {
        for needed in &look::NEEDED {
            let guest = if needed.on_storage {
                &self.storage.guest
            } else {
                &self.consumer.guest
            };
            // On the consumer a volume appears under these rules; on the storage node all of them are there.
            if !needed.on_storage {
                self.disconnect()?;
            }
            guest.sh(&look::spoil(needed.spoil))?;
            if !needed.on_storage {
                self.connect()?;
            }
            trigger(guest)?;
            look::wait(guest, &[needed.symptom])
                .with_context(|| format!("`{}` makes no difference", needed.spoil))?;
            settle(guest)?;
            guest.sh(look::CLOSE)?;
            guest.sh(&look::spoil(""))?;
        }
        self.watched()?;
        self.disconnect()?;
        self.connect()?;
        for guest in [&self.storage.guest, &self.consumer.guest] {
            trigger(guest)?;
            seen(guest)?.expect_nothing()?;
        }
        Ok(())
    }

    /// Where udev watches a disk, it has the partition table read whenever a writer closes it.
    fn watched(&mut self) -> Result<()> {
        let guest = &self.consumer.guest;
        let close = "for device in /dev/weir/*; do exec 3<>$device && exec 3>&- || exit 1; done";
        let mut read = [false; 2];
        for (read, spoil) in read.iter_mut().zip(["s/nowatch/watch/", ""]) {
            guest.sh(&look::spoil(spoil))?;
            trigger(guest)?;
            let before = reads(guest)?;
            guest.sh(close)?;
            settle(guest)?;
            *read = reads(guest)? != before;
        }
        expect(
            "whether it was read, watched and not",
            &read,
            &[true, false],
        )
    }

    /// The agent's own pool is intact among a twin of its disk, which even appears on its own node.
    fn work(&mut self) -> Result<()> {
        let [storage, consumer] = [&self.storage.guest, &self.consumer.guest];
        let twin = &self.targets[tenants::TWIN];
        consumer::disconnect(consumer, twin)?;
        consumer::connect(storage, twin)?;
        settle(storage)?;
        seen(storage)?.expect_nothing()?;
        self.come_and_go(&PASSING[0])
    }

    /// The storage node loses power and comes back; the consumer reconnects by itself. The pool's disk
    /// has another name then, and another disk has its own: the agent finds the group among all.
    fn reboot(&mut self, lab: &Lab) -> Result<()> {
        self.storage.lose_power()?;
        let [state, pool, blank] = &self.disks;
        let disks = [state, blank, pool];
        self.storage = lab.start_with(&storage::spec(&disks), WITH_RULES)?;
        self.storage.wait_ready()?;
        mount_state(&self.storage)?;
        self.agent().start()?;
        let live =
            "for state in /sys/class/nvme/nvme*/state; do grep -qx live $state || exit 1; done";
        self.consumer.guest.wait_for(live, storage::PATIENCE)?;
        for guest in [&self.storage.guest, &self.consumer.guest] {
            settle(guest)?;
            trigger(guest)?;
            seen(guest)?.expect_nothing()?;
        }
        self.still_mounted()
    }

    /// The agent takes its group up again by its tags alone, on a node that shows a twin of its disk.
    fn refind(&mut self) -> Result<()> {
        let storage = &self.storage.guest;
        consumer::connect(storage, &self.targets[tenants::TWIN])?;
        settle(storage)?;
        let agent = self.agent();
        agent.kill()?;
        // The reboot took the requests away, which changed nothing. A record file that was removed is
        // one that nobody meant to remove.
        ask(&agent, "/dev/vdc")?;
        agent.empty_record()?;
        agent.start()?;
        self.come_and_go(&PASSING[1])?;
        let targets = wait_ready(&agent)?;
        ensure!(targets == self.targets, "what to connect to is {targets:?}");
        seen(storage)?.expect_nothing()
    }

    fn come_and_go(&self, wish: &Wish<'_>) -> Result<()> {
        let agent = self.agent();
        agent.ask(wish)?;
        agent.wait_ready(wish)?;
        agent.delete(wish)
    }

    fn disconnect(&self) -> Result<()> {
        // The one that is mounted stays.
        for target in &self.targets[..=TENANTS.len()] {
            consumer::disconnect(&self.consumer.guest, target)?;
        }
        settle(&self.consumer.guest)
    }

    fn connect(&self) -> Result<()> {
        for target in &self.targets[..=TENANTS.len()] {
            consumer::connect(&self.consumer.guest, target)?;
        }
        settle(&self.consumer.guest)
    }

    /// Rules that come later must not make systemd unmount what is in use.
    fn still_mounted(&self) -> Result<()> {
        let write = format!("mountpoint -q {MOUNT} && date > {MOUNT}/file && sync {MOUNT}/file");
        let written = self.consumer.guest.sh(&write);
        written
            .map(drop)
            .context("what was mounted is not any more")
    }

    fn stop(self) -> Result<()> {
        self.consumer.cut_power()?;
        self.storage.cut_power()
    }
}

/// Asks for the pool, on this disk, and every volume.
fn ask(agent: &Agent<'_>, disk: &str) -> Result<()> {
    // The consumer is to reconnect after a power cut: what a cache loses is another test's.
    agent.ask_pool_as(&[disk], &[&address(1)], 512, true)?;
    for wish in TENANTS.iter().chain([&MOUNTED]) {
        agent.ask(wish)?;
    }
    // Another node may use it as well: there are two mappings over its LV.
    let grants = [(consumer::NODE, 1), ("elsewhere", 1)];
    agent.ask_shared(SHARED.name, SHARED.id, SHARED.mib, &grants)
}

/// What the consumer connects to, in the order of [`Hosts::targets`].
fn wait_ready(agent: &Agent<'_>) -> Result<Vec<Value>> {
    let ready = |wish| Ok(json!({ "target": agent.wait_ready(wish)?["target"] }));
    let mut targets = TENANTS.iter().map(ready).collect::<Result<Vec<_>>>()?;
    let shared = agent.wait_granted(SHARED.name, consumer::NODE, 1)?;
    targets.push(json!({ "target": shared }));
    targets.push(ready(&MOUNTED)?);
    Ok(targets)
}

fn mount_state(storage: &Machine) -> Result<()> {
    let mount = "mkdir -p /var/lib/weir && mount /dev/vda /var/lib/weir";
    storage.guest.sh(mount).map(drop)
}

/// Which of the three files that [`Hosts::install`] installs `weir-agent check` finds.
fn found(guest: &Guest) -> Result<[bool; 3]> {
    // It fails if something required is missing.
    let text = guest.run("weir-agent check -o json")?.stdout;
    let checks: Value = serde_json::from_str(&text).context(text)?;
    let items = checks["items"].as_array().context("no items")?;
    let mut found = [false; 3];
    for (found, name) in found
        .iter_mut()
        .zip(["udev rules", "LVM filter", "multipath blacklist"])
    {
        let item = items.iter().find(|item| item["name"] == name);
        *found = item.with_context(|| format!("nothing on {name}"))?["state"] == "found";
    }
    Ok(found)
}

/// Waits until udev and systemd have done what the last events made them do.
fn settle(guest: &Guest) -> Result<()> {
    let settled = "udevadm settle && systemctl list-jobs | grep -q '^No jobs'";
    guest.wait_for(settled, storage::PATIENCE).map(drop)
}

/// Every event of every block device once more, as at boot and as when something changed.
fn trigger(guest: &Guest) -> Result<()> {
    for action in ["add", "change"] {
        guest.sh(&format!(
            "udevadm trigger --subsystem-match=block --action={action} && udevadm settle"
        ))?;
    }
    settle(guest)
}
