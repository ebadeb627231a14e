//! Compiles the protocol, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let described = protox::compile(["proto/telemetry.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // The connection is ours on both sides: nothing is generated that opens or takes one.
        .build_transport(false)
        .compile_fds(described)?;
    Ok(())
}
