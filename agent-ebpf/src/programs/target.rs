//! Requests of the NVMe target: `nvmet_req_init` (t0) and `nvmet_req_complete` (t5).

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::{HashMap, PerCpuArray};
use aya_ebpf::programs::RawTracePointContext;
use weir_agent_ebpf::kernel::UNKNOWN;
use weir_agent_ebpf::layout::{
    Failure, HostKey, Loss, NQN_BYTES, Op, Place, RequestStart, Span, Stage, VOLUME_EXPORTED,
};

use super::facts::{
    NVMET_CTRL_HOSTNQN, NVMET_NS_BDEV, NVMET_REQ_CQE, NVMET_REQ_LENGTH, NVMET_REQ_NS, NVMET_REQ_SQ,
    NVMET_SQ_CTRL, NVMET_SQ_QID, TARGET_BDEV_DEV, read, read_at,
};
use super::{Event, device, now, on_duty, record, starts};

#[map]
static HOSTS: HashMap<HostKey, Place> = HashMap::with_max_entries(1, 0);
#[map]
static SCRATCH: PerCpuArray<HostKey> = PerCpuArray::with_max_entries(1, 0);

#[expect(clippy::cast_possible_truncation, reason = "224")]
const ROOM: u32 = NQN_BYTES as u32;

// struct nvme_command, fixed by the NVMe Base and NVM Command Set specifications.
const COMMAND_OPCODE: u64 = 0;
const COMMAND_DSM_ATTRIBUTES: u64 = 44;
const OPCODE_FLUSH: u8 = 0x00;
const OPCODE_WRITE: u8 = 0x01;
const OPCODE_READ: u8 = 0x02;
const OPCODE_WRITE_ZEROES: u8 = 0x08;
const OPCODE_DSM: u8 = 0x09;
// struct nvme_completion, and its status field: bit 0 is the phase, those above the status code's type say how to go on.
const COMPLETION_STATUS: u64 = 14;
const STATUS_SHIFT: u16 = 1;
const STATUS_MASK: u16 = 0x7ff;
/// Dataset management asks for a discard; all else it can say are hints, which nvmet ignores.
const DSM_DEALLOCATE: u32 = 1 << 2;

/// `nvmet_req_init(struct nvmet_req *req, struct nvme_command *cmd)`
#[raw_tracepoint(tracepoint = "nvmet_req_init")]
pub(crate) fn nvmet_init(ctx: RawTracePointContext) -> i32 {
    let request = ctx.arg(0);
    if on_duty(Event::TargetInit, request) && began(request, ctx.arg(1)).is_none() {
        record::lost(Loss::Unreadable);
    }
    0
}

/// `nvmet_req_complete(struct nvmet_req *req)`
#[raw_tracepoint(tracepoint = "nvmet_req_complete")]
pub(crate) fn nvmet_complete(ctx: RawTracePointContext) -> i32 {
    let request = ctx.arg(0);
    if on_duty(Event::TargetComplete, request)
        && let Some(start) = starts::take_target(request)
    {
        completed(request, &start);
    }
    0
}

/// `None` if the request can't be read.
#[inline(always)]
fn began(request: u64, command: u64) -> Option<()> {
    let init_ns = now();
    let namespace: u64 = read(request, &NVMET_REQ_NS)?;
    if namespace == 0 {
        return Some(());
    }
    let queue: u64 = read(request, &NVMET_REQ_SQ)?;
    // Queue 0 is the admin queue: its commands are no I/O, and asynchronous event requests wait there.
    if read::<u16>(queue, &NVMET_SQ_QID)? == 0 {
        return Some(());
    }
    let bdev: u64 = read(namespace, &NVMET_NS_BDEV)?;
    if bdev == 0 {
        return Some(());
    }
    let Some(device) = device(read(bdev, &TARGET_BDEV_DEV)?) else {
        return Some(());
    };
    if device.flags & VOLUME_EXPORTED == 0 {
        return Some(());
    }
    let Some(op) = op_of_command(command)? else {
        return Some(());
    };
    let start = RequestStart {
        init_ns,
        queued_ns: 0,
        disk: Span::default(),
        done_ns: 0,
        bio: 0,
        volume: device.volume,
        initiator: initiator_of(queue, device.volume),
        op: op as u32,
        divided: u32::from(record::is_divided(device.volume)),
    };
    if starts::target(request, &start) {
        record::started(start.volume, start.op, init_ns);
    }
    Some(())
}

#[inline(always)]
fn completed(request: u64, start: &RequestStart) {
    let Some(counted) = record::counted(start.volume, start.op) else {
        return record::lost(Loss::StaleSlot);
    };
    let end = now();
    counted.ended();
    let total = end.saturating_sub(start.init_ns);
    if let Some(failure) = status_of(request).and_then(Failure::of_nvme) {
        return record::failed(start.volume, start.op, failure, total);
    }
    // A request that never became a bio, or whose bio's completion was missed, has no stages: what is
    // recorded of a request always sums to its total.
    if start.queued_ns != 0 && start.done_ns != 0 {
        let wait = start.queued_ns.saturating_sub(start.init_ns);
        let backend = start.done_ns.saturating_sub(start.queued_ns);
        let response = end.saturating_sub(start.done_ns);
        counted.stage(Stage::FabricWait, wait);
        counted.stage(Stage::Backend, backend);
        counted.stage(Stage::Response, response);
        if start.divided == 1 {
            counted.parts(start.queued_ns, start.disk, start.done_ns);
        }
    }
    counted.stage(Stage::Total, total);
    if let Some(bytes) = read::<u64>(request, &NVMET_REQ_LENGTH) {
        counted.size(start.op, bytes, total);
    }
    if start.initiator != Place::NONE {
        record::initiator(start.initiator, start.op, total);
    }
}

/// How a request ended: status code and type.
#[inline(always)]
fn status_of(request: u64) -> Option<u16> {
    let completion: u64 = read(request, &NVMET_REQ_CQE)?;
    let status: u16 = read_at(completion.wrapping_add(COMPLETION_STATUS))?;
    Some(u16::from_le(status) >> STATUS_SHIFT & STATUS_MASK)
}

/// `Some(None)` for commands that are not measured.
#[inline(always)]
fn op_of_command(command: u64) -> Option<Option<Op>> {
    let opcode: u8 = read_at(command + COMMAND_OPCODE)?;
    let op = match opcode {
        OPCODE_READ => Op::Read,
        OPCODE_WRITE => Op::Write,
        OPCODE_FLUSH => Op::Flush,
        OPCODE_WRITE_ZEROES => Op::WriteZeroes,
        OPCODE_DSM => {
            let attributes: u32 = read_at(command + COMMAND_DSM_ATTRIBUTES)?;
            if u32::from_le(attributes) & DSM_DEALLOCATE == 0 {
                return Some(None);
            }
            Op::Discard
        }
        _ => return Some(None),
    };
    Some(Some(op))
}

/// The initiator that the target's queue belongs to; [`Place::NONE`], counted, if it is not announced.
#[inline(always)]
fn initiator_of(queue: u64, volume: Place) -> Place {
    if NVMET_CTRL_HOSTNQN.load() == UNKNOWN || NVMET_SQ_CTRL.load() == UNKNOWN {
        return Place::NONE;
    }
    let found = announced(queue, volume);
    if found.is_none() {
        record::lost(Loss::UnknownInitiator);
    }
    found.unwrap_or(Place::NONE)
}

#[inline(always)]
fn announced(queue: u64, volume: Place) -> Option<Place> {
    let controller: u64 = read(queue, &NVMET_SQ_CTRL)?;
    let name = controller.wrapping_add(u64::from(NVMET_CTRL_HOSTNQN.load()));
    // This program alone uses the scratch room, and the kernel never runs it twice on one CPU at once.
    let key = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the verifier has checked the pointer.
    unsafe {
        (*key) = HostKey {
            volume,
            nqn: [0; NQN_BYTES],
        }
    };
    // SAFETY: as above.
    let room = unsafe { &raw mut (*key).nqn };
    // SAFETY: the helper checks the source, and the room is NQN_BYTES long.
    let length = unsafe { bpf_probe_read_kernel_str(room.cast(), ROOM, name as *const _) };
    if length <= 0 {
        return None;
    }
    // SAFETY: as above.
    let key = unsafe { &*key };
    // SAFETY: the agent waits for running programs between deletions and insertions, as for DEVICES.
    unsafe { HOSTS.get(key) }.copied()
}
