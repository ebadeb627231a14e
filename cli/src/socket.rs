//! One question to the agent's local socket, and its answer.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use weir_api::orphan::Refused;

/// Longer than LVM may take for all that the agent does before it answers.
const PATIENCE: Duration = Duration::from_secs(600);

/// Asks for what is at `path`.
pub(crate) fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T> {
    ask(socket, Method::GET, path, Bytes::new())
}

/// Gives an order.
pub(crate) fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    order: &impl Serialize,
) -> Result<T> {
    let body = serde_json::to_vec(order).context("cannot write the order")?;
    ask(socket, Method::POST, path, body.into())
}

fn ask<T: DeserializeOwned>(socket: &Path, method: Method, path: &str, body: Bytes) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let (status, body) = runtime.block_on(async {
        let answer = tokio::time::timeout(PATIENCE, exchange(socket, method, path, body)).await;
        answer.map_err(|_| anyhow!("the agent does not answer"))?
    })?;
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).context("the agent's answer can't be read");
    }
    match serde_json::from_slice::<Refused>(&body) {
        Ok(refused) => bail!("{}", refused.error),
        Err(_) => bail!("the agent answered {status}"),
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes)> {
    let stream = UnixStream::connect(socket).await;
    let stream = stream.with_context(|| format!("no agent listens on `{}`", socket.display()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer; an error of it is one of the answer too.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "agent")
        .body(Full::new(body))?;
    let answer = sender
        .send_request(request)
        .await
        .context("the agent broke off")?;
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .context("the agent broke off")?;
    Ok((status, body.to_bytes()))
}
