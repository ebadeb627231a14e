//! The API as clients see it: a server in this process, and requests over TLS on the loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod client;
mod hostile;
mod identities;
mod kinds;
mod lists;
mod objects;
mod selected;
mod server;
mod watches;
