//! How the programs of one build hand over to those of another, without an event that both handle or none.
//!
//! A new build's programs are attached behind the old ones: the kernel calls them after these, for each event, on the same CPU. One number,
//! at [`crate::layout::Common::object`], says whose act. It changes in steps, and the agent waits after each until no program runs that has seen the one
//! before:
//!
//! 1. *leaving*: the old ones act, and leave a note on their CPU, which the new ones take away.
//! 2. *entering*: the old ones do nothing. The new ones act, unless there is a note: of an event that was on its way between the two.
//! 3. The new ones act.

/// The bits of the number that tell the step; an object's own number has none of them.
const STEP: u64 = 3;
const LEAVING: u64 = 1;
const ENTERING: u64 = 2;

/// What programs are attached to. Each has notes of its own, since one event may come in the middle of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Event {
    /// `block_bio_queue`
    BioQueue,
    /// `block_bio_complete`
    BioComplete,
    /// `block_rq_issue`
    RequestIssue,
    /// `block_rq_requeue`
    RequestRequeue,
    /// `block_rq_complete`
    RequestComplete,
    /// `nvmet_req_init`
    TargetInit,
    /// `nvmet_req_complete`
    TargetComplete,
    /// `nvme_setup_cmd`
    CommandSetup,
    /// `nvme_complete_rq`
    CommandComplete,
    /// `__blk_throtl_bio`
    Throttle,
}

/// The number of [`Event`]s.
pub const EVENTS: u32 = 10;

/// What a program is to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Handle it.
    Act,
    /// Handle it, and leave a note.
    ActAndNote,
    /// Take the note away if there is one; else handle it.
    ActUnlessNoted,
    /// Take the note away if there is one.
    Forget,
}

/// An object's number, of one that has any bits.
#[must_use]
#[inline(always)]
pub const fn number(of: u64) -> u64 {
    // Never 0, which is nobody's.
    of & !STEP | (STEP + 1)
}

/// The number while an object's programs are to be followed by others.
#[must_use]
pub const fn leaving(object: u64) -> u64 {
    object | LEAVING
}

/// The number while an object's programs follow others.
#[must_use]
pub const fn entering(object: u64) -> u64 {
    object | ENTERING
}

/// Whose programs act.
#[must_use]
pub const fn object_of(gate: u64) -> u64 {
    gate & !STEP
}

/// What an object's programs are to do.
#[must_use]
#[inline(always)]
pub const fn duty(gate: u64, object: u64) -> Duty {
    if gate == object {
        Duty::Act
    } else if gate == leaving(object) {
        Duty::ActAndNote
    } else if gate == entering(object) {
        Duty::ActUnlessNoted
    } else {
        Duty::Forget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every moment at which the steps may be taken between two programs that an event runs one after the other: exactly one handles it.
    ///
    /// Seen red with: `Duty::Forget` where `duty` gives `ActUnlessNoted`, and `Act` there; `Act` where it gives `ActAndNote`.
    #[test]
    fn whenever_an_event_comes_exactly_one_of_two_builds_handles_it() {
        let (old, new) = (number(0x1234_5678), number(0x9abc_def0));
        let steps = [old, leaving(old), entering(new), new];
        for at_first in 0..steps.len() {
            // The agent waits after each step, so an event meets at most two neighbours.
            for later in at_first..steps.len().min(at_first + 2) {
                let (mut note, mut handled) = (false, 0);
                for (object, gate) in [(old, steps[at_first]), (new, steps[later])] {
                    match duty(gate, object) {
                        Duty::Act => handled += 1,
                        Duty::ActAndNote => {
                            note = true;
                            handled += 1;
                        }
                        Duty::ActUnlessNoted => handled += u32::from(!core::mem::take(&mut note)),
                        Duty::Forget => note = false,
                    }
                }
                assert_eq!(handled, 1, "{at_first} {later}");
                assert!(!note, "a note is left: {at_first} {later}");
            }
        }
    }

    #[test]
    fn an_objects_number_tells_no_step() {
        for bits in [0, 1, 2, 3, u64::MAX] {
            assert_ne!(number(bits), 0);
            assert_eq!(object_of(leaving(number(bits))), number(bits));
            assert_eq!(object_of(entering(number(bits))), number(bits));
        }
    }
}
