//! What Weir's own programs do with an API, through the client that they use: against a server of ours, or the one that
//! `WEIR_TEST_KUBECONFIG` names.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

mod control;
mod elections;
mod errors;
mod lists;
mod objects;
mod restarts;
mod watches;

#[path = "../served/objects.rs"]
mod made;
#[path = "../served/place.rs"]
mod place;
#[path = "../served/process.rs"]
#[expect(dead_code, reason = "whose process it is, nobody asks here")]
mod process;
