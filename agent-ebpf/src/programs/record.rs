//! Histograms and counters, and who holds a slot.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use weir_agent_ebpf::layout::{
    Account, Failure, Figure, Loss, Place, RawHistogram, SIZED_OPS, Size, Sized, Slot, Span, Stage,
    Tally, UNSEEN_NS, peak, per_failure, per_op,
};
use weir_agent_ebpf::scale::{BUCKETS, bucket_of};

#[map]
static VOLUMES: Array<Slot> = Array::with_max_entries(1, 0);
#[map]
static DISKS: Array<Slot> = Array::with_max_entries(1, 0);
#[map]
static INITIATORS: Array<Slot> = Array::with_max_entries(1, 0);
/// (Its elements begin with a cache line, as those of arrays that user space can map do.)
#[map]
static ACCOUNTS: Array<Account> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static DISK_FIGURES: Array<Figure> = Array::with_max_entries(1, 0);
#[map]
static HOST_FIGURES: Array<Figure> = Array::with_max_entries(1, 0);
#[map]
static HISTOGRAMS: Array<RawHistogram> = Array::with_max_entries(1, 0);
#[map]
static GIVEN: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static VOLUME_FAILURES: Array<Tally> = Array::with_max_entries(1, 0);
#[map]
static DISK_FAILURES: Array<Tally> = Array::with_max_entries(1, 0);
#[map]
static THROTTLED: Array<Tally> = Array::with_max_entries(1, 0);
#[map]
static DROPPED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Whether the volume that began the I/O still holds its slot.
#[inline(always)]
pub(crate) fn volume_holds(place: Place) -> bool {
    holds(&VOLUMES, place)
}

/// Whether the disk requests of the volume's I/Os are all seen from their beginning on.
#[inline(always)]
pub(crate) fn is_divided(place: Place) -> bool {
    VOLUMES
        .get(place.slot)
        .is_some_and(|slot| slot.divided == 1)
}

/// Where one operation of a volume is counted.
#[derive(Clone, Copy)]
pub(crate) struct Counted(*mut Account);

/// Where a volume's I/O is counted that has ended. `None` if the volume that began it holds its slot no more.
#[inline(always)]
pub(crate) fn counted(place: Place, op: u32) -> Option<Counted> {
    if !volume_holds(place) {
        return None;
    }
    ACCOUNTS.get_ptr_mut(per_op(place.slot, op)).map(Counted)
}

impl Counted {
    /// Counts an end of an I/O that was started, whatever end it was.
    #[inline(always)]
    pub(crate) fn ended(self) {
        // SAFETY: the verifier has checked the element's pointer.
        one_more(unsafe { &raw mut (*self.0).counts.ended });
    }

    /// An interval.
    #[inline(always)]
    pub(crate) fn stage(self, stage: Stage, ns: u64) {
        let (account, stage) = (self.0, stage as usize);
        // SAFETY: the verifier has checked the element's pointer; a stage's number is less than the arrays' lengths.
        let (sum, histogram, unbucketed) = unsafe {
            (
                (&raw mut (*account).sums_ns).cast::<u64>().add(stage),
                (&raw mut (*account).histograms).cast::<u32>().add(stage),
                (&raw mut (*account).unbucketed).cast::<u64>().add(stage),
            )
        };
        count(sum, histogram, unbucketed, ns);
    }

    /// The parts of the time from `queued` to `done` (t1, t4).
    #[inline(always)]
    pub(crate) fn parts(self, queued: u64, disk: Span, done: u64) {
        let Span { first_ns, last_ns } = disk;
        if first_ns == 0 && last_ns == 0 {
            return self.stage(Stage::Dm, done.saturating_sub(queued));
        }
        if last_ns <= done && self.disk_parts(queued, disk) {
            self.stage(Stage::Dm, done - last_ns);
        } else {
            lost(Loss::Undivided);
        }
    }

    /// The parts of the time from `queued` to the end of the last disk request, which is the I/O's own where no device mapper lies in
    /// between. False if they make no sense.
    #[inline(always)]
    pub(crate) fn disk_parts(self, queued: u64, disk: Span) -> bool {
        // The kernel's own time of issue may be that of the plug that the bio waited in.
        let first_ns = disk.first_ns.max(queued);
        let makes_sense = disk.first_ns > UNSEEN_NS && first_ns <= disk.last_ns;
        if makes_sense {
            self.stage(Stage::Queue, first_ns - queued);
            self.stage(Stage::Device, disk.last_ns - first_ns);
        }
        makes_sense
    }

    /// A read or write that ended well, by its size.
    #[inline(always)]
    pub(crate) fn size(self, op: u32, bytes: u64, ns: u64) {
        if op < SIZED_OPS {
            let size = Size::of(bytes) as usize;
            // SAFETY: the verifier has checked the element's pointer; a size's number is less than the array's length.
            let by_size = unsafe { (&raw mut (*self.0).sizes).cast::<Sized>().add(size) };
            // SAFETY: as above.
            tally(unsafe { &raw mut (*by_size).total }, ns);
            // SAFETY: as above.
            atomic_add(unsafe { &raw mut (*by_size).bytes }, bytes);
        }
    }
}

/// An I/O of a volume that failed. The caller has found where it is [`counted`].
#[inline(always)]
pub(crate) fn failed(place: Place, op: u32, failure: Failure, ns: u64) {
    if let Some(failed) = VOLUME_FAILURES.get_ptr_mut(per_failure(place.slot, op, failure)) {
        tally(failed, ns);
    }
}

/// How long a volume's I/O was held back by a limit before it was queued.
#[inline(always)]
pub(crate) fn throttled(place: Place, op: u32, ns: u64) {
    if volume_holds(place)
        && let Some(throttled) = THROTTLED.get_ptr_mut(per_op(place.slot, op))
    {
        tally(throttled, ns);
    }
}

/// A disk's interval.
#[inline(always)]
pub(crate) fn disk(place: Place, op: u32, failure: Option<Failure>, ns: u64) {
    if !holds(&DISKS, place) {
        return lost(Loss::StaleSlot);
    }
    match failure {
        None => add(&DISK_FIGURES, per_op(place.slot, op), ns),
        Some(failure) => {
            if let Some(failed) = DISK_FAILURES.get_ptr_mut(per_failure(place.slot, op, failure)) {
                tally(failed, ns);
            }
        }
    }
}

/// The whole of a request, as one of its initiator's.
#[inline(always)]
pub(crate) fn initiator(place: Place, op: u32, ns: u64) {
    if holds(&INITIATORS, place) {
        add(&HOST_FIGURES, per_op(place.slot, op), ns);
    } else {
        lost(Loss::UnknownInitiator);
    }
}

/// Counts a start of a volume's I/O, and how many are in flight with it.
#[inline(always)]
pub(crate) fn started(place: Place, op: u32, now_ns: u64) {
    let Some(account) = ACCOUNTS.get_ptr_mut(per_op(place.slot, op)) else {
        return;
    };
    // SAFETY: the verifier has checked the element's pointer.
    let counts = unsafe { &raw mut (*account).counts };
    // SAFETY: as above.
    let before = add_to(unsafe { &raw mut (*counts).started }, 1);
    // SAFETY: as above. Others count them up meanwhile, which they do atomically.
    let (ended, aged) = unsafe {
        (
            (&raw const (*counts).ended).read_volatile(),
            (&raw const (*counts).aged).read_volatile(),
        )
    };
    let in_flight = (before + 1).wrapping_sub(ended).wrapping_sub(aged);
    let (window, value) = peak(now_ns, in_flight);
    // SAFETY: as above; the index is 0 or 1.
    let kept = unsafe {
        (&raw mut (*counts).peaks)
            .cast::<u64>()
            .add((window & 1) as usize)
    };
    raise(kept, value);
}

/// Makes a counter at least this.
#[inline(always)]
fn raise(counter: *mut u64, value: u64) {
    // SAFETY: a pointer into a map's value that the verifier has checked.
    let mut seen = unsafe { counter.read_volatile() };
    // Who loses this often has met as many others who raised it at this very moment.
    for _ in 0..4 {
        if seen >= value {
            return;
        }
        // SAFETY: as above.
        let (before, done) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                counter, seen, value,
            )
        };
        if done {
            return;
        }
        seen = before;
    }
}

/// Counts a started I/O whose end was not seen.
#[inline(always)]
pub(crate) fn start_lost(place: Place, op: u32) {
    if let Some(counted) = counted(place, op) {
        counted.ended();
    }
}

/// Counts what could not be measured or attributed.
#[inline(always)]
pub(crate) fn lost(why: Loss) {
    if let Some(count) = DROPPED.get_ptr_mut(why as u32) {
        // Atomic although per CPU: programs of several kinds share it, and one may interrupt another.
        one_more(count);
    }
}

#[inline(always)]
fn holds(slots: &Array<Slot>, place: Place) -> bool {
    slots
        .get(place.slot)
        .is_some_and(|slot| slot.generation == place.generation)
}

#[inline(always)]
fn add(figures: &Array<Figure>, index: u32, ns: u64) {
    if let Some(figure) = figures.get_ptr_mut(index) {
        // SAFETY: the verifier has checked the element's pointer.
        let (sum, histogram, unbucketed) = unsafe {
            (
                &raw mut (*figure).sum_ns,
                &raw mut (*figure).histogram,
                &raw mut (*figure).unbucketed,
            )
        };
        count(sum, histogram, unbucketed, ns);
    }
}

/// (Not a function of its own: with the kernel's mitigations a return alone costs as much as all this.)
#[inline(always)]
fn count(sum: *mut u64, histogram: *mut u32, unbucketed: *mut u64, ns: u64) {
    atomic_add(sum, ns);
    let Some(histogram) = histogram_of(histogram) else {
        return one_more(unbucketed);
    };
    // The compiler knows that the bucket is in bounds and would drop the check that the verifier wants.
    let bucket = core::hint::black_box(bucket_of(ns));
    if bucket >= BUCKETS {
        return;
    }
    // SAFETY: as above.
    let buckets = unsafe { &raw mut (*histogram).buckets };
    // SAFETY: `bucket` is below BUCKETS, the array's length.
    let counter = unsafe { buckets.cast::<u64>().add(bucket) };
    one_more(counter);
}

/// The figure's histogram, out of the pool if it has none yet; `None` if the pool has none left.
#[inline(always)]
fn histogram_of(number: *mut u32) -> Option<*mut RawHistogram> {
    // SAFETY: the verifier has checked the element's pointer. Others may write it meanwhile, but only once, from 0.
    let mut given = unsafe { number.read_volatile() };
    if given == 0 {
        let next = GIVEN.get_ptr_mut(0)?;
        // Not counted on once the pool is empty.
        // SAFETY: as above.
        HISTOGRAMS.get_ptr(unsafe { next.read_volatile() })?;
        // Sequentially consistent, since LLVM takes a relaxed addition for one whose result nobody wants
        // (BPF's oldest form returns none) and hands back what was added.
        // SAFETY: as above; all who write it do so atomically.
        let mine = unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(next, 1) };
        HISTOGRAMS.get_ptr(mine)?;
        // Another CPU may have been faster: then the histogram taken here is nobody's, which happens
        // once in the life of a figure at most for each CPU.
        // SAFETY: as above.
        let (before, _) = unsafe {
            atomic_cxchg::<u32, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                number,
                0,
                mine + 1,
            )
        };
        given = if before == 0 { mine + 1 } else { before };
    }
    HISTOGRAMS.get_ptr_mut(given - 1)
}

/// Takes an amount off a counter; what it was before.
#[inline(always)]
pub(crate) fn take_off(counter: *mut u64, amount: u64) -> u64 {
    add_to(counter, amount.wrapping_neg())
}

/// Adds to a counter; what it was before. Sequentially consistent: see `histogram_of`.
#[inline(always)]
pub(crate) fn add_to(counter: *mut u64, amount: u64) -> u64 {
    // SAFETY: as in `atomic_add`.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(counter, amount) }
}

#[inline(always)]
fn tally(tally: *mut Tally, ns: u64) {
    // SAFETY: a pointer into a map's value that the verifier has checked.
    one_more(unsafe { &raw mut (*tally).count });
    // SAFETY: as above.
    atomic_add(unsafe { &raw mut (*tally).sum_ns }, ns);
}

#[inline(always)]
fn one_more(counter: *mut u64) {
    atomic_add(counter, 1);
}

/// (`AtomicU64::fetch_add` does not exist for the BPF target.)
#[inline(always)]
fn atomic_add(counter: *mut u64, amount: u64) {
    // SAFETY: a pointer into a map's value that the verifier checks; all who write it do so atomically.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, amount) };
}
