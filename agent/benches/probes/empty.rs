//! A program that does nothing: what it costs is what the kernel's statistics cost.

use std::ffi::CString;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc::{SYS_bpf, c_long, syscall};

use crate::statistics::Runs;

const PROG_LOAD: c_long = 5;
const RAW_TRACEPOINT_OPEN: c_long = 17;
const RAW_TRACEPOINT: u32 = 17;
/// `r0 = 0` and `exit` (Documentation/bpf/standardization/instruction-set.rst).
const NOTHING: [u64; 2] = [0x0000_0000_0000_00b7, 0x0000_0000_0000_0095];

/// The first members of `union bpf_attr` for `BPF_PROG_LOAD` (include/uapi/linux/bpf.h).
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
}

/// The same for `BPF_RAW_TRACEPOINT_OPEN`.
#[repr(C)]
struct Open {
    name: u64,
    prog_fd: u32,
    reserved: u32,
}

/// It is attached, and detached with its value.
pub(crate) struct Empty {
    program: OwnedFd,
    _link: OwnedFd,
}

impl Empty {
    pub(crate) fn attach(tracepoint: &str) -> Self {
        let license = CString::new("GPL").unwrap();
        let program = bpf(
            PROG_LOAD,
            &Load {
                prog_type: RAW_TRACEPOINT,
                insn_cnt: 2,
                insns: NOTHING.as_ptr() as u64,
                license: license.as_ptr() as u64,
            },
        );
        let name = CString::new(tracepoint).unwrap();
        let link = bpf(
            RAW_TRACEPOINT_OPEN,
            &Open {
                name: name.as_ptr() as u64,
                prog_fd: u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&program)).unwrap(),
                reserved: 0,
            },
        );
        Empty {
            program,
            _link: link,
        }
    }

    pub(crate) fn statistics(&self) -> Runs {
        Runs::of(self.program.as_fd())
    }
}

fn bpf<T>(command: c_long, attributes: &T) -> OwnedFd {
    // SAFETY: the attributes live through the call, and what they point to does too; the kernel takes what is missing at
    // their end for zeroes.
    let fd = unsafe { syscall(SYS_bpf, command, attributes, size_of::<T>()) };
    let fd = Errno::result(fd).unwrap_or_else(|error| panic!("bpf({command}): {error}"));
    // SAFETY: the kernel has just made it, for us.
    unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap()) }
}
