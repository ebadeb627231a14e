//! Requests, as cheap as they can be made: what clients do with the answers is not measured here.

use std::path::Path;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use crate::place::plain_client;

/// The volumes' path.
pub(crate) const VOLUMES: &str = "/apis/weir.dev/v1alpha1/volumes";

/// Who asks.
#[derive(Clone)]
pub(crate) struct Asking {
    client: Client,
}

impl Asking {
    pub(crate) async fn new(kubeconfig: &Path) -> Self {
        Self {
            client: plain_client(kubeconfig).await,
        }
    }

    /// The answer's head; its body goes on.
    pub(crate) async fn begin(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: Vec<u8>,
    ) -> Response<Body> {
        let response = loop {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", media);
            let request = request.body(Body::from(body.clone())).unwrap();
            let response = self.client.send(request).await.unwrap();
            // A server that has no room now says so, and every client tries again.
            if response.status() != StatusCode::TOO_MANY_REQUESTS {
                break response;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        assert!(
            response.status().is_success(),
            "{method} {path}: {}",
            response.status()
        );
        response
    }

    /// The whole answer.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: Vec<u8>,
    ) -> Vec<u8> {
        let response = self.begin(method, path, media, body).await;
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .into()
    }

    /// The whole answer of a GET.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let bytes = self.ask("GET", path, "application/json", Vec::new()).await;
        serde_json::from_slice(&bytes).unwrap()
    }
}
