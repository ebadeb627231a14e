//! A connection to a plugin's socket.

use std::path::Path;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Error, Uri};
use tower::service_fn;

/// Connects to the plugin that listens on a socket.
///
/// # Errors
/// Nobody does.
pub(crate) async fn dial(socket: &Path) -> Result<Channel, Error> {
    let socket = socket.to_owned();
    // The address is only a name: the connection is made by the function.
    let endpoint = Endpoint::from_static("http://csi.invalid");
    let connect = service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connect).await
}
