//! Taking away what an agent needs for a rung of its ladder, from a thread and all that it starts.

use std::io;
use std::mem::offset_of;

use nix::libc;

/// The privilege without which device mapper's ioctls and `bpf(2)` are refused (include/uapi/linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BPF: u32 = 39;

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    /// `bpf(2)` fails with EPERM, as systemd's `SystemCallFilter=~bpf` and container runtimes do it. CAP_SYS_ADMIN, which LVM
    /// needs, implies CAP_BPF: no set of capabilities takes away the one and leaves the other.
    Bpf,
    /// CAP_SYS_ADMIN and CAP_BPF.
    Admin,
}

/// Takes it away for good.
pub(crate) fn deprive(without: Without) -> io::Result<()> {
    match without {
        Without::Bpf => refuse(libc::SYS_bpf),
        Without::Admin => [CAP_SYS_ADMIN, CAP_BPF]
            .into_iter()
            .try_for_each(drop_capability),
    }
}

/// A seccomp filter: number of the system call, jump if it is the one, allow, refuse.
fn refuse(call: libc::c_long) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt,
        jf,
        k,
    };
    let word = |n: usize| u32::try_from(n).unwrap_or(0);
    let number = word(offset_of!(libc::seccomp_data, nr));
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let call = u32::try_from(call).unwrap_or(0);
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, call),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
    ];
    let filter = libc::sock_fprog {
        len: 4,
        filter: steps.as_mut_ptr(),
    };
    let (set, mode) = (libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER);
    // SAFETY: the filter and its steps live until the call returns; the kernel copies them.
    checked(unsafe { libc::prctl(set, mode, &raw const filter) })
}

fn drop_capability(capability: u32) -> io::Result<()> {
    // So that programs that are started don't get it back.
    // SAFETY: no pointers.
    checked(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) })?;
    // _LINUX_CAPABILITY_VERSION_3, of this thread; effective, permitted and inheritable, twice 32 bits each.
    let header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: version 3 has two words of header and six of data.
    checked(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) })?;
    let half = if capability < 32 { 0 } else { 3 };
    for set in &mut sets[half..half + 3] {
        *set &= !(1 << (capability % 32));
    }
    // SAFETY: as above; the kernel only reads.
    checked(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })
}

fn checked(result: impl Into<i64>) -> io::Result<()> {
    match result.into() {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
