//! The protocol, as `build.rs` makes it of `proto/csi.proto`.

#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation is the protocol's"
)]
mod generated {
    tonic::include_proto!("csi.v1");
}

pub use generated::*;

/// The descriptors of all of it, for whoever wants to compare.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/csi.bin"));
