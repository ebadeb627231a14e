//! Compiles the protocol, without protoc.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let described = protox::compile(["proto/csi.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("csi.bin"), described.encode_to_vec())?;
    // Whoever has a secret can't be printed: a log line with one in it does not compile.
    let ours = described
        .file
        .iter()
        .filter(|file| file.package() == "csi.v1");
    let secret = ours.flat_map(|file| &file.message_type).filter(|message| {
        let mut fields = message.field.iter();
        fields.any(|field| field.name() == "secrets")
    });
    let secret: Vec<String> = secret
        .map(|message| format!(".csi.v1.{}", message.name()))
        .collect();
    tonic_prost_build::configure()
        // The connection is ours: nothing is generated that opens one.
        .build_transport(false)
        // A method that is not written is answered with UNIMPLEMENTED, as the interface wants of what is not advertised.
        .generate_default_stubs(true)
        .skip_debug(secret)
        .compile_fds(described)?;
    Ok(())
}
