//! Waiting until every eBPF program that was running has ended.

use std::time::Duration;

/// `MEMBARRIER_CMD_GLOBAL` (include/uapi/linux/membarrier.h).
const GLOBAL: libc::c_int = 1;

/// Returns when no program runs any more that was running at the call. Whoever deletes a map's entry
/// and then inserts another must wait in between: the kernel hands the deleted entry's memory to the
/// new one while a program may still read it.
///
/// The kernel waits for an RCU grace period (kernel/sched/membarrier.c), and raw tracepoint programs
/// are RCU readers. Where that command is refused (with `nohz_full`), a tenth of a second has to do:
/// programs take microseconds and can't sleep.
pub(super) fn wait_for_running_programs() {
    // SAFETY: the system call takes two integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0) };
    if result != 0 {
        std::thread::sleep(Duration::from_millis(100));
    }
}
