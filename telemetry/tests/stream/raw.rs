//! A client that says what it is told to, and not what an agent would.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use weir_telemetry::client::Credentials;
use weir_telemetry::wire::telemetry_client::TelemetryClient;
use weir_telemetry::wire::{FromAgent, FromLeader, Hello, Report, Rung, from_agent, from_leader};

use crate::leader::Leader;

/// A stream.
pub(crate) struct Raw {
    pub(crate) say: mpsc::Sender<FromAgent>,
    pub(crate) answers: Streaming<FromLeader>,
}

pub(crate) async fn channel(leader: &Leader, credentials: &Credentials) -> Channel {
    let tls = credentials.tls(&leader.place()).unwrap();
    let address = leader.address;
    let connector = tower::service_fn(move |_| {
        let tls = TlsConnector::from(Arc::clone(&tls));
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::from(address.ip());
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_with_connector(connector).await.unwrap()
}

impl Raw {
    /// A stream, with a token if there is one.
    pub(crate) async fn open(channel: Channel, token: Option<&str>) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(8);
        let mut request = Request::new(ReceiverStream::new(said));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let answers = TelemetryClient::new(channel).report(request).await?;
        Ok(Raw {
            say,
            answers: answers.into_inner(),
        })
    }

    pub(crate) async fn say(&self, what: from_agent::What) {
        self.say.send(FromAgent { what: Some(what) }).await.unwrap();
    }

    /// How the stream ended.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            match self.answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("without a word"),
                Err(status) => return status,
            }
        }
    }

    /// What the leader says next.
    pub(crate) async fn next(&mut self) -> from_leader::What {
        self.answers.message().await.unwrap().unwrap().what.unwrap()
    }
}

pub(crate) fn hello(node: &str) -> from_agent::What {
    from_agent::What::Hello(Hello {
        node: node.to_owned(),
        run: vec![7; 16],
        buckets: 210,
    })
}

pub(crate) fn report(sequence: u64) -> Report {
    Report {
        sequence,
        rung: Rung::Ebpf.into(),
        ..Report::default()
    }
}
