//! The store of the standalone API, from outside: durability, power cuts, watches and lists, against
//! a model and on a disk of the tests' own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod directory;
mod durable;
mod lists;
mod medium;
mod model;
mod objects;
mod power;
mod recording;
mod tape;
mod watches;
