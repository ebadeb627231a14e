//! A kubeconfig with everything in it: server, authority, certificate and key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::certificate::Pair;
use crate::standalone::identity::Identity;

/// The name of the cluster and the context in a kubeconfig.
const NAME: &str = "weir";

/// The text of a kubeconfig.
pub(super) fn text(
    identity: &Identity,
    server: &str,
    authority: &str,
    client: &Pair,
) -> Result<String, serde_yaml_ng::Error> {
    let user = identity.to_string();
    serde_yaml_ng::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {
            "server": server,
            "certificate-authority-data": STANDARD.encode(authority),
        }}],
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(&client.certificate),
            "client-key-data": STANDARD.encode(&client.key),
        }}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": user}}],
        "current-context": NAME,
    }))
}

/// The client certificate, as PEM, and the server and the authority that a kubeconfig names.
pub(super) struct Contents {
    pub(super) certificate: String,
    pub(super) authority: String,
    pub(super) server: String,
}

/// Reads a kubeconfig of ours; `None` if it is another's.
pub(super) fn read(text: &str) -> Option<Contents> {
    let value: Value = serde_yaml_ng::from_str(text).ok()?;
    let data = |pointer: &str| {
        let bytes = STANDARD.decode(value.pointer(pointer)?.as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    };
    Some(Contents {
        certificate: data("/users/0/user/client-certificate-data")?,
        authority: data("/clusters/0/cluster/certificate-authority-data")?,
        server: value
            .pointer("/clusters/0/cluster/server")?
            .as_str()?
            .to_owned(),
    })
}
