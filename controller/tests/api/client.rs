//! A small client: one connection per request, so that nothing is shared between them.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The media type of merge patches.
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// The media type of JSON patches.
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

/// The header by which kubectl asks for tables.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// A client of one identity.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The object, which had to be answered with this code.
    pub(crate) fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        self.json()
    }

    /// The fields that are at fault, as the answer names them.
    pub(crate) fn fields(&self) -> Vec<String> {
        let json = self.json();
        let causes = json.pointer("/details/causes").and_then(Value::as_array);
        let causes = causes.into_iter().flatten();
        let fields = causes.filter_map(|cause| cause["field"].as_str());
        fields.map(str::to_owned).collect()
    }
}

/// The resourceVersion of an object.
pub(crate) fn version(object: &Value) -> String {
    let version = object.pointer("/metadata/resourceVersion");
    version
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

impl Client {
    /// The client that a kubeconfig describes.
    pub(crate) fn of_kubeconfig(address: SocketAddr, kubeconfig: &str) -> Self {
        let config: Value = serde_yaml_ng::from_str(kubeconfig).unwrap();
        let data = |pointer: &str| {
            let text = config.pointer(pointer).and_then(Value::as_str).unwrap();
            STANDARD.decode(text).unwrap()
        };
        let roots = roots(&data("/clusters/0/cluster/certificate-authority-data"));
        let certificate = data("/users/0/user/client-certificate-data");
        let key = data("/users/0/user/client-key-data");
        Self::with_certificate(address, roots, &certificate, &key)
    }

    pub(crate) fn with_certificate(
        address: SocketAddr,
        roots: RootCertStore,
        certificate: &[u8],
        key: &[u8],
    ) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let config = builder(roots).with_client_auth_cert(vec![certificate], key);
        Self {
            address,
            config: Arc::new(config.unwrap()),
        }
    }

    /// A client without a certificate.
    pub(crate) fn anonymous(address: SocketAddr, authority: &[u8]) -> Self {
        let config = builder(roots(authority)).with_no_client_auth();
        Self {
            address,
            config: Arc::new(config),
        }
    }

    /// A connection on which nothing was said yet.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await.unwrap()
    }

    /// Sends a request, and returns the answer before its body was read.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = TokioIo::new(self.connect().await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "127.0.0.1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.send(request).await;
        let (parts, body) = response.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        Reply {
            code: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.call("GET", target, &[], "").await
    }

    pub(crate) async fn get_as(&self, target: &str, accept: &str) -> Reply {
        self.call("GET", target, &[(ACCEPT.as_str(), accept)], "")
            .await
    }

    pub(crate) async fn post(&self, target: &str, object: &Value) -> Reply {
        let json = [(CONTENT_TYPE.as_str(), "application/json")];
        self.call("POST", target, &json, object.to_string()).await
    }

    pub(crate) async fn put(&self, target: &str, object: &Value) -> Reply {
        let json = [(CONTENT_TYPE.as_str(), "application/json")];
        self.call("PUT", target, &json, object.to_string()).await
    }

    pub(crate) async fn patch(&self, target: &str, media: &str, patch: &Value) -> Reply {
        let media = [(CONTENT_TYPE.as_str(), media)];
        self.call("PATCH", target, &media, patch.to_string()).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.call("DELETE", target, &[], "").await
    }

    /// Begins a watch.
    pub(crate) async fn watch(&self, target: &str) -> Watch {
        self.watch_as(target, "application/json").await
    }

    pub(crate) async fn watch_as(&self, target: &str, accept: &str) -> Watch {
        let request = Request::builder()
            .uri(target)
            .header("host", "127.0.0.1")
            .header(ACCEPT, accept);
        let response = self.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), 200);
        Watch {
            body: response.into_body(),
            text: BytesMut::new(),
        }
    }
}

fn builder(
    roots: RootCertStore,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

/// Trust in one authority.
pub(crate) fn roots(authority: &[u8]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority).unwrap();
    roots.add(authority.into_owned()).unwrap();
    roots
}

/// A watch that goes on.
pub(crate) struct Watch {
    body: Incoming,
    text: BytesMut,
}

impl Watch {
    /// The next event; `None` when the server ended the watch in good order.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, self.read())
            .await
            .expect("no event in time")
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line = self.text.split_to(end + 1);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let Some(frame) = self.body.frame().await else {
                assert!(self.text.is_empty(), "the last line is not whole");
                return None;
            };
            if let Ok(data) = frame.unwrap().into_data() {
                self.text.extend_from_slice(&data);
            }
        }
    }

    /// The next event's type and its object's name and version.
    pub(crate) async fn told(&mut self) -> (String, String, String) {
        let event = self.next().await.expect("the watch ended");
        let text = |pointer: &str| {
            let value = event.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        (
            text("/type"),
            text("/object/metadata/name"),
            text("/object/metadata/resourceVersion"),
        )
    }

    /// Asserts what comes next.
    pub(crate) async fn expect(&mut self, kind: &str, name: &str) -> String {
        let (found, named, version) = self.told().await;
        assert_eq!((found.as_str(), named.as_str()), (kind, name));
        version
    }
}
