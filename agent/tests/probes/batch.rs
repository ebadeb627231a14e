//! Much at once: in one write, or in several that are handed to the kernel in one system call, which keeps them
//! together until it has seen all (`blk_start_plug` in fs/aio.c): neighbours on a disk become one request.

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{
    O_DIRECT, O_DSYNC, SYS_io_destroy, SYS_io_getevents, SYS_io_setup, SYS_io_submit, c_long,
    syscall,
};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::io::BLOCK;

/// `IOCB_CMD_PWRITE` (include/uapi/linux/aio_abi.h).
const WRITE: u16 = 1;

/// `struct iocb` (include/uapi/linux/aio_abi.h).
#[repr(C)]
#[derive(Default)]
struct Control {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    file: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event_file: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    data: u64,
    control: u64,
    result: i64,
    more: i64,
}

/// Writes so many bytes, so many times, each in one system call: as few bios as the kernel can make of it.
pub(crate) fn write_long(path: &Path, bytes: usize, times: u64) {
    let length = NonZeroUsize::new(bytes).unwrap();
    let (access, flags) = (
        ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        MapFlags::MAP_PRIVATE,
    );
    // Not from the allocator, whose memory may be of huge pages already. From neighbouring huge pages 6.1 makes one fragment of a
    // packet, and its own check of copies out of the kernel (mm/usercopy.c) stops the target's thread when it receives that over
    // the loopback.
    // SAFETY: new memory.
    let memory = unsafe { mmap_anonymous(None, length, access, flags) }.unwrap();
    // SAFETY: advice about memory that is ours and that nobody has touched yet.
    unsafe { madvise(memory, bytes, MmapAdvise::MADV_NOHUGEPAGE) }.unwrap();
    // SAFETY: as above; it is readable and writable, and no one else's.
    let data = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr().cast::<u8>(), bytes) };
    data.fill(0x5a);
    let file = open(path, 0);
    for i in 0..times {
        assert_eq!(file.write_at(data, i * bytes as u64).unwrap(), bytes);
    }
    // SAFETY: mapped above; the writes are over.
    unsafe { munmap(memory, bytes) }.unwrap();
}

/// Writes so many bytes, at most 256 pages, which is one bio, to stable storage (`REQ_FUA`).
pub(crate) fn write_durably(path: &Path, bytes: usize) {
    let buffer = vec![0x5a; bytes + BLOCK];
    let start = buffer.as_ptr().align_offset(BLOCK);
    let written = open(path, O_DSYNC).write_at(&buffer[start..start + bytes], 0);
    assert_eq!(written.unwrap(), bytes);
}

/// Writes one block to each place, and waits for all.
pub(crate) fn write(places: &[(&Path, u64)]) {
    Batch::of(places).write();
}

/// Writes that are handed to the kernel together, as often as one likes.
pub(crate) struct Batch {
    context: u64,
    controls: Vec<Control>,
    _files: Vec<File>,
    _buffer: Vec<u8>,
}

impl Batch {
    /// One block to each place.
    pub(crate) fn of(places: &[(&Path, u64)]) -> Self {
        let buffer = vec![0x5a_u8; 2 * BLOCK];
        let block = buffer[buffer.as_ptr().align_offset(BLOCK)..].as_ptr();
        let files: Vec<File> = places.iter().map(|(path, _)| open(path, 0)).collect();
        let controls = files
            .iter()
            .zip(places)
            .map(|(file, (_, offset))| Control {
                opcode: WRITE,
                file: file.as_raw_fd().try_into().unwrap(),
                buffer: block as u64,
                bytes: BLOCK as u64,
                offset: (*offset).try_into().unwrap(),
                ..Control::default()
            })
            .collect();
        let mut context: u64 = 0;
        // SAFETY: the kernel writes the context's handle.
        let made = unsafe { syscall(SYS_io_setup, places.len(), &raw mut context) };
        assert_eq!(made, 0);
        Batch {
            context,
            controls,
            _files: files,
            _buffer: buffer,
        }
    }

    /// Begins all of them, and waits until the last one has ended.
    pub(crate) fn write(&mut self) {
        let count = self.controls.len();
        let pointers: Vec<*mut Control> =
            self.controls.iter_mut().map(std::ptr::from_mut).collect();
        // SAFETY: controls, buffer and files outlive the writes, which are waited for.
        let submitted = unsafe { syscall(SYS_io_submit, self.context, count, pointers.as_ptr()) };
        assert_eq!(submitted, c_long::try_from(count).unwrap());
        let mut events = vec![Event::default(); count];
        // SAFETY: there is room for so many events.
        let ended = unsafe {
            syscall(
                SYS_io_getevents,
                self.context,
                count,
                count,
                events.as_mut_ptr(),
                0,
            )
        };
        assert_eq!(ended, submitted);
        assert!(events.iter().all(|event| event.result == BLOCK as i64));
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: nothing is in flight any more.
        unsafe { syscall(SYS_io_destroy, self.context) };
    }
}

fn open(path: &Path, flags: i32) -> File {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(O_DIRECT | flags);
    options.open(path).unwrap()
}
