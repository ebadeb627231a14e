//! The agent's local socket: HTTP over a Unix socket that only root, and whoever runs the agent, may use.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use nix::unistd::Uid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_api::cluster::{ACCEPT, SHOW};
use weir_api::orphan::{ADOPT, LIST, REMOVE, Refused};

use crate::orders::{Answer, Order, Orderer};

/// Listens at `path`, which may hold what an earlier agent left there.
///
/// # Errors
/// The socket can't be made.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    // Made beside and renamed: under its own name it never had other rights.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(beside)?;
    fs::set_permissions(beside, Permissions::from_mode(0o600))?;
    fs::rename(beside, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves orders until the process ends.
///
/// # Errors
/// The listener is not one that can be waited for.
pub async fn serve(listener: UnixListener, orderer: Orderer) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let service = router(orderer).into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).await
}

fn router(orderer: Orderer) -> Router {
    Router::new()
        .route(LIST, get(list))
        .route(ADOPT, post(adopt))
        .route(REMOVE, post(remove))
        .route(SHOW, get(clusters))
        .route(ACCEPT, post(accept))
        .layer(middleware::from_fn(check_peer))
        .with_state(orderer)
}

/// Who is at the other end, as the kernel says (SO_PEERCRED, unix(7)).
#[derive(Clone, Copy, Debug)]
struct Peer(Option<Uid>);

impl Connected<IncomingStream<'_, tokio::net::UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, tokio::net::UnixListener>) -> Self {
        let peer = stream.io().peer_cred();
        Peer(peer.ok().map(|peer| Uid::from_raw(peer.uid())))
    }
}

impl Peer {
    fn may_order(self, own: Uid) -> bool {
        self.0.is_some_and(|uid| uid.is_root() || uid == own)
    }
}

async fn check_peer(
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if peer.may_order(Uid::effective()) {
        return next.run(request).await;
    }
    tracing::warn!(?peer, "an order from somebody who may not give any");
    let error = "only root, and the agent's own user, may give orders".to_owned();
    json(StatusCode::FORBIDDEN, &Refused { error })
}

async fn list(State(orderer): State<Orderer>) -> Response {
    answer(orderer.give(Order::List).await)
}

async fn adopt(State(orderer): State<Orderer>, body: Bytes) -> Response {
    order(&orderer, &body, Order::Adopt).await
}

async fn remove(State(orderer): State<Orderer>, body: Bytes) -> Response {
    order(&orderer, &body, Order::Remove).await
}

async fn clusters(State(orderer): State<Orderer>) -> Response {
    answer(orderer.give(Order::Clusters).await)
}

async fn accept(State(orderer): State<Orderer>, body: Bytes) -> Response {
    order(&orderer, &body, Order::Accept).await
}

async fn order<T: DeserializeOwned>(
    orderer: &Orderer,
    body: &[u8],
    order: impl FnOnce(T) -> Order,
) -> Response {
    match serde_json::from_slice(body) {
        Ok(wanted) => answer(orderer.give(order(wanted)).await),
        Err(error) => {
            let error = error.to_string();
            json(StatusCode::BAD_REQUEST, &Refused { error })
        }
    }
}

fn answer(answer: Answer) -> Response {
    match answer {
        Answer::Orphans(orphans) => json(StatusCode::OK, &orphans),
        Answer::Clusters(clusters) => json(StatusCode::OK, &clusters),
        Answer::Done(done) => json(StatusCode::OK, &done),
        // Whoever carries orders out has created it before answering.
        Answer::Create(pool) => {
            let error = format!("pool `{}` was not created", pool.metadata.name);
            json(StatusCode::INTERNAL_SERVER_ERROR, &Refused { error })
        }
        Answer::Refused(error) => json(StatusCode::CONFLICT, &Refused { error }),
        Answer::Failed(error) => json(StatusCode::INTERNAL_SERVER_ERROR, &Refused { error }),
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders;
    use crate::wake::Wake;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use weir_api::orphan::{Orphans, Remove};

    /// Seen red with: `may_order` returning `true`.
    #[test]
    fn only_root_and_the_agents_own_user_may_order() {
        let uid = |uid| Peer(Some(Uid::from_raw(uid)));
        let own = Uid::from_raw(1000);
        assert!(uid(0).may_order(own) && uid(1000).may_order(own));
        assert!(!uid(1001).may_order(own) && !Peer(None).may_order(own));
    }

    fn ask(path: &Path, request: &str, body: &str) -> String {
        let mut stream = UnixStream::connect(path).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn orders_reach_the_engine_and_answers_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir/agent.sock");
        let (wake, woken) = mpsc::channel();
        let (orderer, taken) = orders::channel(wake);
        // What an agent that was killed left behind.
        drop(listen(&path).unwrap());
        let listener = listen(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            runtime.block_on(serve(listener, orderer))
        });
        std::thread::spawn(move || {
            for (order, reply) in taken {
                let answer = match order {
                    Order::List => Answer::Orphans(Orphans::default()),
                    Order::Remove(Remove { id }) => Answer::Refused(format!("{id} stays")),
                    _ => Answer::Failed("no".to_owned()),
                };
                reply.send(answer).unwrap();
            }
        });
        let id = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";
        let listed = ask(&path, &format!("GET {LIST}"), "");
        assert!(listed.starts_with("HTTP/1.1 200") && listed.ends_with("{\"items\":[]}"));
        assert_eq!(woken.recv().unwrap(), Wake::Ordered);
        let removed = ask(
            &path,
            &format!("POST {REMOVE}"),
            &format!("{{\"id\":\"{id}\"}}"),
        );
        assert!(removed.starts_with("HTTP/1.1 409"), "{removed}");
        assert!(
            removed.ends_with(&format!("{{\"error\":\"{id} stays\"}}")),
            "{removed}"
        );
        let nonsense = ask(&path, &format!("POST {ADOPT}"), "{\"what\":\"world\"}");
        assert!(nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
        assert!(ask(&path, "DELETE /v1/orphans", "").starts_with("HTTP/1.1 405"));
    }
}
