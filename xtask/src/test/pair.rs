//! A storage node and a consumer, booted once for several tests.

use anyhow::Result;

use crate::kernel::Kernel;
use crate::scene::storage::Agent;
use crate::scene::{consumer, storage};
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Machine, address};

/// Two VMs. The storage node has a 4 GiB disk (vda) and a dm-delay device of 2 GiB, `slow`, over
/// a second one; a third one (vdc) is cramped.
pub(crate) struct Pair {
    pub(crate) kernel: Kernel,
    pub(crate) storage: Machine,
    pub(crate) consumer: Machine,
}

/// Injected by `slow`.
pub(crate) const READ_DELAY_MS: u64 = 20;
/// Injected by `slow`.
pub(crate) const WRITE_DELAY_MS: u64 = 50;

impl Pair {
    pub(crate) fn boot(lab: &Lab) -> Result<Self> {
        let disks = [
            Disk::plain(lab.dir(), "fast", 4 << 30)?,
            Disk::plain(lab.dir(), "under", 2 << 30)?,
            Disk::cramped(lab.dir(), "cramped", 64 << 20)?,
        ];
        let disks: Vec<_> = disks.iter().collect();
        let [storage, consumer] = lab.boot([storage::spec(&disks), consumer::spec()])?;
        storage.guest.sh(
            "modprobe dm-delay && size=$(blockdev --getsz /dev/vdb) && dmsetup create slow --table \
             \"0 $size delay /dev/vdb 0 0 /dev/vdb 0 0\" && dmsetup mknodes",
        )?;
        Ok(Pair {
            kernel: lab.kernel,
            storage,
            consumer,
        })
    }

    /// The agent of the storage node.
    pub(crate) fn agent(&self) -> Agent<'_> {
        Agent::new(&self.storage.guest)
    }

    /// Makes `slow` slow, or fast again so that nothing but the measurement has to wait.
    pub(crate) fn delay(&self, slow: bool) -> Result<()> {
        let (read, write) = if slow {
            (READ_DELAY_MS, WRITE_DELAY_MS)
        } else {
            (0, 0)
        };
        self.storage.guest.sh(&format!(
            "size=$(blockdev --getsz /dev/vdb) && dmsetup suspend slow && dmsetup load slow --table \
             \"0 $size delay /dev/vdb 0 {read} /dev/vdb 0 {write}\" && dmsetup resume slow"
        ))?;
        Ok(())
    }

    /// Brings agent and pool, whichever is missing.
    pub(crate) fn ensure_pool(&self, agent: &Agent<'_>) -> Result<()> {
        if self.storage.guest.run("pidof weir-agent")?.code != 0 {
            agent.start()?;
        }
        agent.ask_pool(&["/dev/mapper/slow"], &self.portal(), 256)
    }

    /// Where the storage node exports.
    pub(crate) fn portal(&self) -> String {
        address(1)
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.consumer.stop()?;
        self.storage.stop()
    }
}
