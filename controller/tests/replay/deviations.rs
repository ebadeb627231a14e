//! Where we answer otherwise than the recorded server, and why.

/// A known difference.
#[derive(Debug)]
pub(crate) struct Deviation {
    /// What the exchange is called; `*` stands for anything.
    at: &'static str,
    /// What the difference is, likewise.
    difference: &'static str,
    /// Why it is so.
    #[expect(dead_code, reason = "it is printed")]
    why: &'static str,
}

impl Deviation {
    /// Whether a difference is this one.
    pub(crate) fn covers(&self, name: &str, difference: &str) -> bool {
        matches(self.at, name) && matches(self.difference, difference)
    }
}

/// Whether a text is what a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(left) = text.strip_prefix(begin) else {
        return false;
    };
    let mut ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
    ends.any(|at| matches(rest, &left[at..]))
}

const fn known(at: &'static str, difference: &'static str, why: &'static str) -> Deviation {
    Deviation {
        at,
        difference,
        why,
    }
}

const SSA: &str = "server-side apply is refused, not done by halves: no fields are owned";
const POLICY: &str =
    "there is no garbage collector that would finish these policies: each deletion is a plain one";
const EMPTY: &str = "what is empty is left out";
const NODE: &str = "nodes are what was written: no kubelet and no admission fill them in";
const ITEMS: &str = "each item says what it is, as those of custom resources do";
const VERSION: &str = "there is no other version to emulate";
const HASH: &str = "objects are stored in one version: there is nothing to hash";
const CODE: &str = "the request is wrong, not the server";

/// All of them.
pub(crate) const DEVIATIONS: &[Deviation] = &[
    known("*apply*", "status: 415 instead of *", SSA),
    known("*ssa*", "status: 415 instead of *", SSA),
    known(
        "kube-rs: Controller + finalizer + Recorder #1*",
        "status: 415 instead of 200: *",
        SSA,
    ),
    known(
        "*",
        ".message: `the body of the request was in an unknown format - accepted media types include: *",
        SSA,
    ),
    known("* --cascade=foreground *", ".kind: *", POLICY),
    known("* --cascade=orphan *", ".kind: *", POLICY),
    known("kube-rs: delete foreground *", ".kind: *", POLICY),
    known("raw: DELETE orphan *", ".kind: *", POLICY),
    known("*", "*Time: missing, was null", EMPTY),
    known("*", "*Timestamp: missing, was null", EMPTY),
    known("*", "*.reporting*: missing, was \"\"", EMPTY),
    known("*", "*ource: missing, was {}", EMPTY),
    known("*", "*].apiVersion: not there, now *", ITEMS),
    known("*", "*].kind: not there, now *", ITEMS),
    known("*node*", "*.spec: missing, was {\"taints\":*", NODE),
    known("*node*", "*.status*: missing, was *", NODE),
    known("*", ".emulationM*: missing, *", VERSION),
    known("*", ".minCompatibilityM*: missing, *", VERSION),
    known("*", "*.storageVersionHash: missing, *", HASH),
    known(
        "k136: kubectl api-versions *",
        "*.responseKind.version: `v1` instead of ``",
        "every kind has its version here",
    ),
    known(
        "k136: kubectl api-versions *",
        "*.responseKind.group: *",
        "every kind has its group here",
    ),
    known(
        "k136: kubectl api-versions *",
        "*[finalize]: missing",
        "namespaces end by themselves",
    ),
    known(
        "k136: kubectl api-versions *",
        "*[proxy]: missing",
        "there is nothing behind a node to be reached",
    ),
    known("*", "status: 400 instead of 500: *", CODE),
    known(
        "k136: kubectl api-versions *",
        "*.resources[services]: not there",
        "the core's list was cut to what Weir writes; services and pods are there and always empty",
    ),
    known(
        "k136: kubectl api-versions *",
        "*.resources[pods]: not there",
        "the core's list was cut to what Weir writes; services and pods are there and always empty",
    ),
    known(
        "k136: kubectl get --raw /readyz?verbose *",
        "*",
        "other parts are well",
    ),
    known(
        "k136: kubectl replace -f baduid.json *",
        ".message: *Precondition failed: *",
        "there is no etcd to name the key of",
    ),
    known(
        "k136: kubectl get leases -A *",
        ".rows: 1 instead of 2: *",
        "a real server has a lease of its own",
    ),
    known(
        "*",
        "*.groups[authentication.k8s.io]: not there",
        "the recorded list was of another server",
    ),
    known(
        "k136: kubectl api-versions *",
        ".items[authentication.k8s.io]: not there",
        "the recorded list lacks it",
    ),
    known(
        "k136: kubectl get ns *",
        ".rows*",
        "nothing reads kube-public here, and Weir's agents have a namespace",
    ),
    known(
        "raw: ns table *",
        ".rows: 4 instead of 5: *",
        "nothing reads kube-public here, and namespaces end by themselves",
    ),
    known(
        "raw: create in terminating ns 403 *",
        "status: 404 instead of 403: *",
        "the namespace has ended by then",
    ),
    known(
        "*bad continue *",
        ".message: `invalid continue token: continue key is not valid: *",
        "another decoder's words",
    ),
    known(
        "kube-rs: raw watch rv=1 (too old) *",
        "*",
        "what was then is still known here",
    ),
    known(
        "raw: 400 apiVersion mismatch *",
        "warning: *",
        "what is refused is not warned about as well",
    ),
    known("raw: root / *", ".paths: *", "other paths"),
    known(
        "raw: /api plain *",
        ".serverAddressByClientCIDRs: missing, *",
        "clients have the address already",
    ),
    known(
        "raw: Accept Table v1beta1 *",
        ".rows[0].object.apiVersion: *",
        "only kubectl before 1.15 asks for nothing newer",
    ),
    known(
        "raw: legacy /watch/ path *",
        "status: 404 instead of 200: *",
        "deprecated since 1.11; no client asks for it",
    ),
    known(
        "raw: watch as Table sendInitialEvents *",
        "*.object.rows[0].cells[0]: null instead of *",
        "a bookmark's row is empty in every cell; kubectl does not show it",
    ),
    known(
        "raw: selfsubjectrulesreview json *",
        ".status.nonResourceRules: *",
        "other paths",
    ),
    known(
        "raw: selfsubjectreview json *",
        ".status.userInfo.*",
        "users are named by their certificates",
    ),
];
