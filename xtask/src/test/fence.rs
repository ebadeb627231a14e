//! A host is cut off before the next one is let in, and never writes again.

use anyhow::{Context, Result, bail, ensure};

use super::Scale;
use super::report::Report;
use crate::scene::consumer;
use crate::scene::storage::{self, Agent, PATIENCE, Wish};
use crate::vm::disk::Disk;
use crate::vm::guest::Guest;
use crate::vm::machine::{Lab, Machine, Spec, address};

/// Two hosts that take turns, or share.
const HOSTS: [&str; 2] = ["host-a", "host-b"];

/// Writes in flight when their host is cut off.
const IN_FLIGHT: u32 = 32;
/// What each write takes, injected by dm-delay under the volume: long enough that on a busy machine a
/// revocation that waits for nothing is still told of while they are on their way, and less than the
/// 30 s after which a host gives up on an I/O.
const WRITE_MS: u64 = 10_000;

/// How long a host waits for its target before its I/O ends in an error.
const LOST: &str = "--ctrl-loss-tmo 8";

/// How a volume is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// The hosts take turns.
    Single,
    /// Both have it; one of them goes and comes.
    Multi,
}

/// A storage node whose disk can be made slow, and two hosts.
struct Trio<'l> {
    lab: &'l Lab,
    storage: Machine,
    hosts: [Machine; 2],
}

pub(crate) fn run(lab: &Lab, report: &mut Report, scale: Scale) {
    let kernel = lab.kernel;
    let Some(trio) = report.need(&format!("{kernel} fence: boot"), || Trio::boot(lab)) else {
        return;
    };
    // CI has time for one of them, which the seed tells.
    let all = (0..).zip([Access::Single, Access::Multi]);
    for (_, access) in all.filter(|(number, _)| scale.is_due(0, *number, 2)) {
        report.case(
            &format!("{kernel} fence: writes in flight, {access:?}"),
            || trio.in_flight(access),
        );
        report.case(
            &format!("{kernel} fence: a host returns from a partition, {access:?}"),
            || trio.partition(access),
        );
    }
    report.case(&format!("{kernel} fence: clean stop"), || trio.stop());
}

impl<'l> Trio<'l> {
    fn boot(lab: &'l Lab) -> Result<Self> {
        let disk = Disk::plain(lab.dir(), "fenced", 1 << 30)?;
        let disks = [&disk];
        let host = |name, address| Spec {
            name,
            address,
            memory_mib: 512,
            disks: &[],
        };
        let specs = [storage::spec(&disks), host(HOSTS[0], 2), host(HOSTS[1], 3)];
        let [storage, first, second] = lab.boot(specs)?;
        storage.guest.sh(&format!(
            "modprobe dm-delay && {} | dmsetup create slow && dmsetup mknodes",
            table(0)
        ))?;
        let trio = Trio {
            lab,
            storage,
            hosts: [first, second],
        };
        let agent = trio.agent();
        agent.start()?;
        agent.ask_pool(&["/dev/mapper/slow"], &address(1), 64)?;
        Ok(trio)
    }

    fn stop(self) -> Result<()> {
        let Trio { storage, hosts, .. } = self;
        for host in hosts {
            host.stop()?;
        }
        storage.stop()
    }

    fn agent(&self) -> Agent<'_> {
        Agent::new(&self.storage.guest)
    }

    fn guest(&self, host: &str) -> &Guest {
        &self.hosts[usize::from(host != HOSTS[0])].guest
    }

    fn write_delay(&self, ms: u64) -> Result<()> {
        // No flush: it would wait for the delayed writes.
        let change = format!(
            "dmsetup suspend --noflush slow && {} | dmsetup load slow && dmsetup resume slow",
            table(ms)
        );
        self.storage.guest.sh(&change).map(drop)
    }

    /// 32 slow writes of A are on their way when it is cut off and B writes the same blocks: B's data is
    /// there in the end, and each of A's writes either had ended well before A was off, or failed.
    ///
    /// Seen red, single-host and multi-host, with: the fence reduced to unlinking the allowed host (`exports::fence` clears
    /// `allowed_hosts` alone; the plan and `CheckClosed` look away from the subsystem that stays): all 32
    /// writes ended well after the host was said to be off.
    fn in_flight(&self, access: Access) -> Result<()> {
        let volume = Shared::new(self, access, 1);
        let [a, b] = HOSTS;
        let device = volume.grant(a, 1)?;
        if access == Access::Multi {
            volume.grant(b, 1)?;
        }
        self.write_delay(WRITE_MS)?;
        let log = format!("/tmp/in-flight-{access:?}");
        let burst = |device: &str, log: &str, letter: char| {
            format!("guest-io burst {device} {log} 0 {IN_FLIGHT} {letter}")
        };
        self.guest(a)
            .spawn(&burst(&device, &log, 'a'), "/tmp/burst.log")?;
        let lv = format!("w_{}", volume.id.replace('-', ""));
        let all = format!(
            "dm=dm-$(dmsetup info -c --noheadings -o minor weir--{}-{lv}) && \
             set -- $(cat /sys/block/$dm/inflight) && [ $2 -ge {IN_FLIGHT} ]",
            storage::POOL
        );
        self.storage.guest.wait_for(&all, PATIENCE)?;

        let done = |log: &str| -> Result<String> {
            self.guest(a)
                .sh(&format!("grep -c ^ok {log} || true"))
                .map(|count| count.trim().to_owned())
        };
        volume.revoke(a, 1, b, 2)?;
        // At once: what ends well from here on was not waited for.
        let before = done(&log)?;
        let device = volume.connect_next(b, 2)?;
        // These wait as long as any of the old host's still could, which came before them.
        let later = format!("{log}-b");
        self.guest(b)
            .sh_within(&burst(&device, &later, 'b'), PATIENCE)?;
        let failed = self.guest(b).run(&format!("grep -v ^ok {later}"))?.stdout;
        ensure!(failed.is_empty(), "writes of the new host failed: {failed}");
        self.write_delay(0)?;
        self.guest(b)
            .sh(&format!("guest-io holds {device} 0 {IN_FLIGHT} b"))
            .context("the new host's data is not what is there")?;
        let ended = format!("[ $(cat {log} | wc -l) -eq {IN_FLIGHT} ]");
        self.guest(a)
            .wait_for(&ended, PATIENCE)
            .context("writes of the old host neither ended well nor failed")?;
        let after = done(&log)?;
        ensure!(
            before == after,
            "{after} writes of the old host ended well, {before} of them before it was off"
        );
        volume.delete()
    }

    /// A is cut off from the network with writes it could not send; B gets the volume and writes; A gets
    /// it back, and its network: B's data survives.
    ///
    /// Seen red, multi-host, with the same: writes of the revoked grant ended well. A single-host volume's
    /// survives that by the new host's name alone, which the old host does not have.
    fn partition(&self, access: Access) -> Result<()> {
        let volume = Shared::new(self, access, 2);
        let [a, b] = HOSTS;
        let device = volume.grant(a, 1)?;
        if access == Access::Multi {
            volume.grant(b, 1)?;
        }
        self.guest(a).sh(&format!(
            "guest-io burst {device} /tmp/before 0 {IN_FLIGHT} 0"
        ))?;
        self.lab.network.cut_off(a);
        let log = format!("/tmp/partition-{access:?}");
        self.guest(a).spawn(
            &format!("guest-io burst {device} {log} 0 {IN_FLIGHT} a"),
            "/tmp/burst.log",
        )?;
        volume.revoke(a, 1, b, 2)?;
        let device = volume.connect_next(b, 2)?;
        self.guest(b).sh(&format!(
            "guest-io burst {device} /tmp/between 0 {IN_FLIGHT} b"
        ))?;
        volume.ask(a, b, 3)?;
        let target = self.agent().wait_granted(&volume.name, a, 3)?;
        self.lab.network.heal(a);
        // The connection of before must not become a path of the new one.
        let connected = loop {
            match consumer::connect_to(self.guest(a), &target, LOST) {
                Ok(device) => break device,
                Err(error) if format!("{error:#}").contains("disconnect that first") => {
                    let nqn = target["nqn"].as_str().unwrap_or_default();
                    self.guest(a).sh(&format!("nvmet disconnect {nqn}"))?;
                }
                Err(error) => return Err(error),
            }
        };
        let ended = format!("[ $(cat {log} | wc -l) -eq {IN_FLIGHT} ]");
        self.guest(a)
            .wait_for(&ended, PATIENCE)
            .context("writes from before the partition neither ended well nor failed")?;
        let well = self.guest(a).run(&format!("grep ^ok {log}"))?.stdout;
        ensure!(
            well.is_empty(),
            "writes of a revoked grant ended well: {well}"
        );
        self.guest(a)
            .sh(&format!("guest-io holds {connected} 0 {IN_FLIGHT} b"))
            .context("what was written meanwhile did not survive")?;
        volume.delete()
    }
}

/// Prints a table that delays writes to volumes, and neither LVM's metadata, which is in the first MiB,
/// nor flushes: what a grant waits for besides its fence must not make up for a fence that is missing.
fn table(write_ms: u64) -> String {
    format!(
        "printf '0 2048 linear /dev/vda 0\n2048 %d delay /dev/vda 2048 0 /dev/vda 2048 {write_ms} \
         /dev/vda 2048 0\n' $(($(blockdev --getsz /dev/vda) - 2048))"
    )
}

/// A volume of one case.
struct Shared<'t> {
    trio: &'t Trio<'t>,
    access: Access,
    name: String,
    id: String,
}

impl<'t> Shared<'t> {
    fn new(trio: &'t Trio<'t>, access: Access, number: u32) -> Self {
        let number = number * 2 + u32::from(access == Access::Multi);
        Shared {
            trio,
            access,
            name: format!("fenced-{number}"),
            id: format!("5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d01{number:02}"),
        }
    }

    fn wish(&self) -> Wish<'_> {
        Wish {
            name: &self.name,
            id: &self.id,
            pool: storage::POOL,
            mib: 64,
            thin: false,
            attached: None,
            deleted: false,
        }
    }

    /// Asks that `host` has it with this generation: alone, or beside `beside`, whose generation in that
    /// case stays 1.
    fn ask(&self, host: &str, beside: &str, generation: u64) -> Result<()> {
        let agent = self.trio.agent();
        match self.access {
            Access::Single => agent.ask(&Wish {
                attached: Some((host, generation)),
                ..self.wish()
            }),
            Access::Multi if host == beside => {
                agent.ask_shared(&self.name, &self.id, 64, &[(beside, 1)])
            }
            Access::Multi => {
                let grants = [(host, generation), (beside, 1)];
                agent.ask_shared(&self.name, &self.id, 64, &grants)
            }
        }
    }

    /// Grants it to a host, which connects; the device there.
    fn grant(&self, host: &str, generation: u64) -> Result<String> {
        let agent = self.trio.agent();
        match self.access {
            Access::Single => self.ask(host, "", generation)?,
            Access::Multi => {
                let grants = HOSTS.map(|host| (host, 1));
                agent.ask_shared(&self.name, &self.id, 64, &grants)?;
            }
        }
        let target = agent.wait_granted(&self.name, host, generation)?;
        consumer::connect_to(self.trio.guest(host), &target, LOST)
    }

    /// Takes it from one host for the other; returns once the first one is off.
    fn revoke(&self, from: &str, old: u64, to: &str, new: u64) -> Result<()> {
        self.ask(to, to, new)?;
        self.trio.agent().wait_revoked(&self.name, from, old)
    }

    /// Connects the host that has it now, unless it is connected already; the device there.
    fn connect_next(&self, to: &str, new: u64) -> Result<String> {
        let agent = self.trio.agent();
        let new = if self.access == Access::Multi { 1 } else { new };
        let target = agent.wait_granted(&self.name, to, new)?;
        consumer::connect_to(self.trio.guest(to), &target, LOST)
    }

    fn delete(&self) -> Result<()> {
        let agent = self.trio.agent();
        for host in HOSTS {
            let gone = self.trio.guest(host).sh(&format!(
                "for nqn in $(cat /sys/class/nvme/nvme*/subsysnqn | grep {}); do \
                 nvmet disconnect $nqn; done",
                self.id
            ));
            gone.map(drop)?;
        }
        match self.access {
            Access::Single => agent.ask(&Wish {
                deleted: true,
                ..self.wish()
            })?,
            Access::Multi => agent.delete_shared(&self.name, &self.id, 64)?,
        }
        agent.wait_phase(&self.name, "Deleted")?;
        let left = self
            .trio
            .storage
            .guest
            .sh("dmsetup ls | grep -c ^weir-[0-9a-f] || true")?;
        if left.trim() != "0" {
            bail!("{} device mappings are left", left.trim());
        }
        Ok(())
    }
}
