//! Conditions in words, and which of them are bad.

use weir_api::condition::{self, Condition, Truth, reason};

/// A type, what it says where it holds and where it does not, and which of the two is bad.
struct Words {
    kind: &'static str,
    holds: &'static str,
    fails: &'static str,
    bad: Option<Truth>,
}

const fn words(
    kind: &'static str,
    holds: &'static str,
    fails: &'static str,
    bad: Option<Truth>,
) -> Words {
    Words {
        kind,
        holds,
        fails,
        bad,
    }
}

const ALL: [Words; 19] = [
    words(
        condition::READY,
        "it does what its spec asks for",
        "it does not do what its spec asks for",
        Some(Truth::False),
    ),
    words(
        condition::SCHEDULED,
        "a pool was chosen",
        "no pool was chosen",
        Some(Truth::False),
    ),
    words(
        condition::NODE_AVAILABLE,
        "the agent of its pool is heard",
        "the node of its pool is out of service",
        Some(Truth::False),
    ),
    words(
        condition::REMOVED,
        "nothing is left of it",
        "something of it may be left",
        Some(Truth::False),
    ),
    words(
        condition::REFUSED,
        "part of what is asked for can't be done, and was left as it is",
        "nothing is refused",
        Some(Truth::True),
    ),
    words(
        condition::REJECTED,
        "the pool's agent can't make it there, and made nothing",
        "no agent rejects it now",
        Some(Truth::True),
    ),
    words(
        condition::ORPHANED,
        "nobody asks for it any more; it is kept, and served as recorded",
        "somebody asks for it",
        Some(Truth::True),
    ),
    words(
        condition::EXPORTED,
        "the nodes it is attached to can reach it",
        "it is not exported",
        Some(Truth::False),
    ),
    words(
        condition::OPENED_LOCALLY,
        "somebody on the storage node has it open, though it is granted to others",
        "nobody but its users has it open",
        Some(Truth::True),
    ),
    words(
        condition::NOT_WIPED,
        "whoever gets its space next may be able to read what was there",
        "its space is overwritten when it is given back",
        None,
    ),
    words(
        condition::LATENCY_MET,
        "its latency objective is kept",
        "its latency objective is not kept",
        Some(Truth::False),
    ),
    words(
        condition::PORTALS_LISTENING,
        "every portal accepts connections",
        "not every portal accepts connections",
        Some(Truth::False),
    ),
    words(
        condition::DATA_PLANE_HEALTHY,
        "its exports answer on its portals",
        "its exports do not answer on its portals",
        Some(Truth::False),
    ),
    words(
        condition::DEVICES_PRESENT,
        "every disk is there",
        "a disk is missing",
        Some(Truth::False),
    ),
    words(
        condition::TELEMETRY_FRESH,
        "the controller hears its latencies",
        "the controller does not hear its latencies",
        Some(Truth::False),
    ),
    words(
        condition::VOLATILE_WRITE_CACHE,
        "a disk's write cache loses its content with the power",
        "no disk has a volatile write cache",
        Some(Truth::True),
    ),
    words(
        condition::THIN_POOL_FULL,
        "its thin pool is too full for more volumes",
        "its thin pool has room",
        Some(Truth::True),
    ),
    words(
        condition::ORPHANS,
        "it holds volumes that nobody asks for",
        "everything in it is asked for",
        Some(Truth::True),
    ),
    // Said of every pool without DH-HMAC-CHAP: a fact to know, and not one that something is to be done about today.
    words(
        condition::UNAUTHENTICATED,
        "hosts are told apart by name only",
        "hosts are authenticated",
        None,
    ),
];

/// What a condition says, in words; nothing of a type that this version does not know.
pub(crate) fn told(condition: &Condition) -> Option<&'static str> {
    let known = ALL.iter().find(|known| known.kind == condition.kind)?;
    match condition.status {
        Truth::True => Some(known.holds),
        Truth::False => Some(known.fails),
        Truth::Unknown => None,
    }
}

/// Whether something is to be done about what a condition says.
pub(crate) fn is_bad(condition: &Condition) -> bool {
    let known = ALL.iter().find(|known| known.kind == condition.kind);
    // Nobody attached, used where it is, being attended to, or accepted by a person.
    let fine = [
        reason::NOT_ATTACHED,
        reason::LOCAL_USE,
        reason::WAITING,
        reason::ACCEPTED,
    ];
    known.is_some_and(|known| known.bad == Some(condition.status))
        && !fine.contains(&condition.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bad_and_what_is_only_so() {
        use Truth::{False, True, Unknown};
        let rows = [
            (condition::READY, False, reason::STEP_FAILED, true),
            (condition::READY, True, reason::AS_ASKED, false),
            (condition::EXPORTED, False, reason::NOT_ATTACHED, false),
            (condition::EXPORTED, False, reason::NO_PORTAL, true),
            (
                condition::VOLATILE_WRITE_CACHE,
                True,
                reason::WRITE_BACK,
                true,
            ),
            (
                condition::VOLATILE_WRITE_CACHE,
                True,
                reason::ACCEPTED,
                false,
            ),
            (
                condition::PORTALS_LISTENING,
                Unknown,
                reason::WAITING,
                false,
            ),
            (condition::REJECTED, False, reason::UNBOUND, false),
            (condition::UNAUTHENTICATED, True, "NoKeys", false),
            ("OfALaterVersion", False, "Why", false),
        ];
        for (kind, status, reason, bad) in rows {
            let condition = Condition::new(kind, status, reason, "");
            assert_eq!(is_bad(&condition), bad, "{kind} {status:?} {reason}");
        }
    }

    #[test]
    fn a_type_is_in_the_list_once() {
        let mut kinds = ALL.map(|known| known.kind);
        kinds.sort_unstable();
        assert!(kinds.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
