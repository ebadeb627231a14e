//! The load of the power-cut test, run inside guests: writes whose durability can be told
//! afterwards, block by block.
//!
//! `guest-io write DEVICE LOG BLOCKS FLUSH_EVERY` writes block 0, 1, 2 ... once each, with a
//! content that names the block, flushes after every FLUSH_EVERY of them, and only then appends the
//! number of blocks that the flush covered to LOG.
//!
//! `guest-io check DEVICE BLOCKS` reads the first BLOCKS blocks back and fails on the first that
//! does not hold what was written.
//!
//! `guest-io append PATH LOG FIRST COUNT` does the same with a file or a device, from block FIRST on, and flushes after each block (fsync); `guest-io
//! blocks PATH` prints how many blocks from the first on hold what was written.
//!
//! `guest-io touch DEVICE STRIDE` zeroes one sector in every STRIDE bytes, which makes a thin volume
//! allocate all its blocks.
//!
//! `guest-io burst DEVICE LOG FIRST COUNT LETTER` writes COUNT blocks from block FIRST on, all at once,
//! each full of LETTER, and appends how each ended to LOG: `ok BLOCK` or `error BLOCK: why`.
//! `guest-io holds DEVICE FIRST COUNT LETTER` fails unless these blocks are full of LETTER.
//!
//! `guest-io find DEVICE TEXT` fails where TEXT stands anywhere on the device; `guest-io fill
//! DEVICE TEXT` writes it everywhere.
//!
//! `guest-io order DEVICE MODE TAG MARKS` writes blocks from several threads and MARKS marks, each of
//! which says what was durable before it: by a flush, by O_DSYNC (`dsync`), by NVMe's FUA (`fua`).
//!
//! `guest-io without bpf|admin PROGRAM [ARGUMENT...]` becomes a program that may not use `bpf(2)`, or that is no administrator.

#[path = "guest-io/deprive.rs"]
mod deprive;
#[path = "guest-io/order.rs"]
mod order;
#[cfg_attr(not(test), expect(dead_code, reason = "this program only writes them"))]
#[path = "../ordered.rs"]
mod ordered;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

/// Size of a sector in bytes: what O_DIRECT can write.
const SECTOR: usize = 512;
/// Size of a block in bytes.
const BLOCK: usize = 4096;
/// How much is read or written at once where it is the whole device.
const CHUNK: usize = 256 * BLOCK;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["write", device, log, blocks, every] => write(device, log, blocks, every),
        ["check", device, blocks] => check(device, blocks),
        ["burst", device, log, first, count, letter] => burst(device, log, first, count, letter),
        ["holds", device, first, count, letter] => holds(device, first, count, letter),
        ["append", path, log, first, count] => append(path, log, first, count),
        ["blocks", path] => whole_blocks(path),
        ["touch", device, stride] => touch(device, stride),
        ["fill", device, text] => fill(device, text.as_bytes()),
        ["order", device, mode, tag, marks] => order::run(device, mode, tag, marks),
        ["find", device, text] => find(device, text.as_bytes()),
        ["without", what, program, ref rest @ ..] => become_without(what, program, rest),
        _ => Err(anyhow::anyhow!("usage: see the source")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-io: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns only if it can't.
fn become_without(what: &str, program: &str, arguments: &[&str]) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let without = match what {
        "bpf" => deprive::Without::Bpf,
        "admin" => deprive::Without::Admin,
        _ => bail!("`{what}` is neither bpf nor admin"),
    };
    deprive::deprive(without).context("giving up privileges")?;
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("becoming {program}"))
}

fn write(device: &str, log: &str, blocks: &str, every: &str) -> Result<()> {
    let (blocks, every): (u64, u64) = (blocks.parse()?, every.parse()?);
    let device = open(device)?;
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .context("opening the log")?;
    let mut memory = Aligned::new(BLOCK);
    for block in 0..blocks {
        let buffer = memory.bytes();
        buffer.copy_from_slice(&content(block));
        device
            .write_all_at(buffer, offset(block))
            .with_context(|| format!("writing block {block}"))?;
        if (block + 1) % every == 0 {
            device.sync_data().context("flushing")?;
            writeln!(log, "{}", block + 1).context("writing the log")?;
        }
    }
    Ok(())
}

fn append(path: &str, log: &str, first: &str, count: &str) -> Result<()> {
    let is_file = !std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device());
    let mut options = OpenOptions::new();
    options.write(true).create(is_file).truncate(false);
    let file = options
        .custom_flags(nix::libc::O_DIRECT)
        .open(path)
        .with_context(|| format!("opening {path}"))?;
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .context("opening the log")?;
    let mut memory = Aligned::new(BLOCK);
    for block in blocks(first, count)? {
        memory.bytes().copy_from_slice(&content(block));
        file.write_all_at(memory.bytes(), offset(block))
            .with_context(|| format!("writing block {block}"))?;
        file.sync_all()
            .with_context(|| format!("flushing block {block}"))?;
        writeln!(log, "{}", block + 1).context("writing the log")?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it was asked for")]
fn whole_blocks(path: &str) -> Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_DIRECT)
        .open(path)
        .with_context(|| format!("opening {path}"))?;
    let mut memory = Aligned::new(BLOCK);
    let mut block = 0;
    loop {
        let read = file
            .read_at(memory.bytes(), offset(block))
            .with_context(|| format!("reading block {block}"))?;
        if read < BLOCK || memory.bytes() != content(block) {
            break;
        }
        block += 1;
    }
    println!("{block}");
    Ok(())
}

fn check(device: &str, blocks: &str) -> Result<()> {
    let device = open(device)?;
    let mut memory = Aligned::new(BLOCK);
    for block in 0..blocks.parse()? {
        let buffer = memory.bytes();
        device
            .read_exact_at(buffer, offset(block))
            .with_context(|| format!("reading block {block}"))?;
        ensure!(
            buffer == content(block),
            "block {block} was flushed and is not there"
        );
    }
    Ok(())
}

fn burst(device: &str, log: &str, first: &str, count: &str, letter: &str) -> Result<()> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .context("opening the log")?;
    let device = open(device)?;
    std::thread::scope(|scope| -> Result<()> {
        let mut writers = Vec::new();
        for block in blocks(first, count)? {
            let (device, mut log) = (&device, &log);
            let byte = byte(letter)?;
            writers.push(scope.spawn(move || {
                let mut memory = Aligned::new(BLOCK);
                memory.bytes().fill(byte);
                let written = device.write_all_at(memory.bytes(), offset(block));
                let line = match written {
                    Ok(()) => format!("ok {block}\n"),
                    Err(error) => format!("error {block}: {error}\n"),
                };
                // One write: lines of several threads don't mix.
                log.write_all(line.as_bytes())
            }));
        }
        for writer in writers {
            writer.join().ok().context("a writer panicked")??;
        }
        Ok(())
    })
}

fn holds(device: &str, first: &str, count: &str, letter: &str) -> Result<()> {
    let device = open(device)?;
    let mut memory = Aligned::new(BLOCK);
    let wanted = byte(letter)?;
    for block in blocks(first, count)? {
        device
            .read_exact_at(memory.bytes(), offset(block))
            .with_context(|| format!("reading block {block}"))?;
        let mut bytes = memory.bytes().iter();
        if let Some(other) = bytes.find(|byte| **byte != wanted) {
            bail!("block {block} holds byte {other:#x} instead of `{letter}`");
        }
    }
    Ok(())
}

fn blocks(first: &str, count: &str) -> Result<std::ops::Range<u64>> {
    let first: u64 = first.parse()?;
    Ok(first..first + count.parse::<u64>()?)
}

fn byte(letter: &str) -> Result<u8> {
    letter.bytes().next().context("an empty letter")
}

fn fill(device: &str, text: &[u8]) -> Result<()> {
    let file = open(device)?;
    let mut memory = Aligned::new(CHUNK);
    let pattern = text.iter().copied().cycle();
    memory
        .bytes()
        .iter_mut()
        .zip(pattern)
        .for_each(|(byte, letter)| *byte = letter);
    for at in offsets(&file, CHUNK)? {
        file.write_all_at(memory.bytes(), at)
            .with_context(|| format!("writing at {at}"))?;
    }
    file.sync_data().context("flushing")
}

fn touch(device: &str, stride: &str) -> Result<()> {
    let file = open(device)?;
    let mut memory = Aligned::new(SECTOR);
    for at in offsets(&file, stride.parse()?)? {
        file.write_all_at(memory.bytes(), at)
            .with_context(|| format!("writing at {at}"))?;
    }
    file.sync_data().context("flushing")
}

fn find(device: &str, text: &[u8]) -> Result<()> {
    let file = open(device)?;
    let mut memory = Aligned::new(CHUNK);
    for at in offsets(&file, CHUNK)? {
        file.read_exact_at(memory.bytes(), at)
            .with_context(|| format!("reading at {at}"))?;
        let found = memory
            .bytes()
            .windows(text.len())
            .position(|window| window == text);
        if let Some(position) = found {
            bail!(
                "`{}` stands at byte {}",
                String::from_utf8_lossy(text),
                at + position as u64
            );
        }
    }
    Ok(())
}

/// Offsets of all pieces; a device's size is a multiple of LVM's extents, hence of a piece.
fn offsets(file: &File, piece: usize) -> Result<impl Iterator<Item = u64> + use<>> {
    use std::io::{Seek, SeekFrom};
    let size = (&*file)
        .seek(SeekFrom::End(0))
        .context("sizing the device")?;
    ensure!(
        size % piece as u64 == 0,
        "the device's size {size} is no multiple of {piece}"
    );
    Ok((0..size).step_by(piece))
}

/// Opens a device past the page cache. Without O_CREAT: a device that went away must not become a
/// plain file of that name.
fn open(path: &str) -> Result<File> {
    let flags = nix::libc::O_DIRECT;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path);
    let file = file.with_context(|| format!("opening {path}"))?;
    ensure!(
        file.metadata()?.file_type().is_block_device(),
        "{path} is not a block device"
    );
    Ok(file)
}

fn offset(block: u64) -> u64 {
    block * BLOCK as u64
}

/// What block `block` holds: its number plus one, over and over, so that zeroes are never right.
fn content(block: u64) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    bytes.as_chunks_mut().0.fill((block + 1).to_le_bytes());
    bytes
}

/// Memory aligned as O_DIRECT wants it.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let memory = vec![0; length + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        Aligned {
            memory,
            start,
            length,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}
