//! Writes blocks and marks: see [`crate::ordered`].

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

use anyhow::{Context, Result, bail, ensure};

use crate::ordered::{BLOCK, Block, PER_THREAD, Says, THREADS};
use crate::{Aligned, open};

pub(crate) fn run(device: &str, mode: &str, tag: &str, marks: &str) -> Result<()> {
    let file = open(device)?;
    let writer = Writer {
        tag: tag.parse()?,
        marks: marks.parse()?,
    };
    match mode {
        "flush" => writer.flush(&file),
        "dsync" => writer.durable(&file, &|block| {
            let flags = nix::libc::O_DIRECT | nix::libc::O_DSYNC;
            let durable = OpenOptions::new()
                .write(true)
                .custom_flags(flags)
                .open(device)?;
            put(&durable, block)
        }),
        "fua" => writer.durable(&file, &|block| put_with_fua(&file, block)),
        other => bail!("`{other}` is no mode"),
    }
}

struct Writer {
    tag: u64,
    marks: u64,
}

impl Writer {
    /// Threads write as fast as they can; flush after flush, marks say what is durable.
    fn flush(&self, file: &File) -> Result<()> {
        let done: [AtomicU64; THREADS] = Default::default();
        let stop = AtomicBool::new(false);
        let write = |thread: usize| -> Result<()> {
            for number in 0..PER_THREAD {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                put(file, &self.block(Says::Data(thread as u64, number)))?;
                done[thread].store(number + 1, Ordering::SeqCst);
            }
            Ok(())
        };
        let write = &write;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| scope.spawn(move || write(thread)))
                .collect();
            let read = || done.each_ref().map(|count| count.load(Ordering::SeqCst));
            let mut last = [0; THREADS];
            let marked = (0..self.marks).try_for_each(|number| {
                // Each mark has something new to say, until everything is written.
                let mut before = read();
                while before == last && !threads.iter().all(ScopedJoinHandle::is_finished) {
                    std::thread::yield_now();
                    before = read();
                }
                last = before;
                file.sync_data().context("flushing")?;
                put(file, &self.block(Says::Mark(number, before)))
            });
            stop.store(true, Ordering::SeqCst);
            for thread in threads {
                let ended = thread.join();
                ended.unwrap_or_else(|_| bail!("a writing thread panicked"))?;
            }
            marked
        })
    }

    /// One block after the other, each durable when it is acknowledged, and marked.
    fn durable(&self, file: &File, put_durably: &dyn Fn(&Block) -> Result<()>) -> Result<()> {
        for number in 0..self.marks {
            put_durably(&self.block(Says::Data(0, number)))?;
            let mut durable = [0; THREADS];
            durable[0] = number + 1;
            put(file, &self.block(Says::Mark(number, durable)))?;
        }
        Ok(())
    }

    fn block(&self, says: Says) -> Block {
        Block {
            tag: self.tag,
            says,
        }
    }
}

fn put(file: &File, block: &Block) -> Result<()> {
    let mut memory = Aligned::new(BLOCK);
    memory.bytes().copy_from_slice(&block.bytes());
    let at = block.place() * BLOCK as u64;
    let written = file.write_all_at(memory.bytes(), at);
    written.with_context(|| format!("writing {:?}", block.says))
}

/// `struct nvme_user_io` of include/uapi/linux/nvme_ioctl.h.
#[repr(C)]
#[derive(Default)]
struct NvmeUserIo {
    opcode: u8,
    flags: u8,
    control: u16,
    /// How many logical blocks, less one.
    nblocks: u16,
    rsvd: u16,
    metadata: u64,
    addr: u64,
    slba: u64,
    dsmgmt: u32,
    reftag: u32,
    apptag: u16,
    appmask: u16,
}

nix::ioctl_write_ptr!(nvme_submit_io, b'N', 0x42, NvmeUserIo);

/// A write command with Force Unit Access and no flush: no file system call sends just that.
fn put_with_fua(file: &File, block: &Block) -> Result<()> {
    const WRITE: u8 = 0x01;
    const FORCE_UNIT_ACCESS: u16 = 1 << 14;
    /// The target reports its LVs' logical blocks, which virtio disks have of this size.
    const LOGICAL: u64 = 512;
    let mut memory = Aligned::new(BLOCK);
    memory.bytes().copy_from_slice(&block.bytes());
    let command = NvmeUserIo {
        opcode: WRITE,
        control: FORCE_UNIT_ACCESS,
        nblocks: u16::try_from(BLOCK as u64 / LOGICAL - 1)?,
        addr: memory.bytes().as_ptr() as u64,
        slba: block.place() * BLOCK as u64 / LOGICAL,
        ..NvmeUserIo::default()
    };
    // SAFETY: the kernel reads the command and the block that `addr` points to, both of which live
    // until it returns; the descriptor is open.
    let status = unsafe { nvme_submit_io(file.as_raw_fd(), &raw const command) };
    let status = status.context("sending a write with FUA")?;
    ensure!(
        status == 0,
        "a write with FUA ended with NVMe status {status:#x}"
    );
    Ok(())
}
