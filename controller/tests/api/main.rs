//! The API as clients see it: a server in this process, and requests over TLS on the loopback.

mod client;
mod hostile;
mod identities;
mod kinds;
mod lists;
mod objects;
mod server;
mod watches;
