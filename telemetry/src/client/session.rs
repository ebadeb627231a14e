//! One stream to one leader: hello and welcome, then reports and acknowledgements.

use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::{Request, Status, Streaming};
use weir_agent_ebpf::scale::BUCKETS;

use super::Settings;
use super::backlog::{Backlog, NeverSent};
use super::connection::{ConnectError, connect};
use super::credentials::{Credentials, CredentialsError};
use crate::place::Place;
use crate::run::Sequence;
use crate::wire::telemetry_client::TelemetryClient;
use crate::wire::{FromAgent, FromLeader, Hello, LONGEST_SERIES, from_agent, from_leader};

/// What a leader says is short.
const LONGEST_ANSWER: usize = 1024;
/// The longest report that is ever made, whatever the leader would take.
const LONGEST_REPORT: usize = 1024 * 1024;

/// A stream ended.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The leader could not be reached.
    #[error("cannot reach the leader")]
    Connect(#[source] ConnectError),
    /// There is no token to show.
    #[error("cannot use this node's token")]
    Token(#[source] CredentialsError),
    /// The token is none.
    #[error("the token is no header's value")]
    TokenValue(#[source] InvalidMetadataValue),
    /// The leader ended the stream, or the connection did.
    #[error("the stream ended")]
    Ended(#[source] Box<Status>),
    /// The leader ended it without a word.
    #[error("the leader closed the stream")]
    Closed,
    /// The leader did not answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The leader said something else than it had to.
    #[error("the leader did not say {0}")]
    Unexpected(&'static str),
    /// The leader claims what can't be.
    #[error("the leader is mistaken")]
    NeverSent(#[from] NeverSent),
}

/// A stream that was begun.
pub(super) struct Session {
    reports: mpsc::Sender<FromAgent>,
    answers: Streaming<FromLeader>,
    longest: usize,
    /// When the report was sent that is not acknowledged yet.
    waits_since: Option<Instant>,
}

impl Session {
    /// Connects, and is told by the leader what it counted in. It may be given up at any point.
    pub(super) async fn open(
        settings: &Settings,
        credentials: &Credentials,
        place: &Place,
        backlog: &mut Backlog,
    ) -> Result<Self, SessionError> {
        let channel = connect(credentials, place).await;
        let channel = channel.map_err(SessionError::Connect)?;
        let mut client = TelemetryClient::new(channel).max_decoding_message_size(LONGEST_ANSWER);
        // A hello and a report: never more than one is on its way.
        let (reports, outgoing) = mpsc::channel(2);
        let hello = Hello {
            node: settings.node.to_string(),
            run: backlog.run().0.as_bytes().to_vec(),
            buckets: u32::try_from(BUCKETS).unwrap_or(u32::MAX),
        };
        send(&reports, from_agent::What::Hello(hello))?;
        let mut request = Request::new(ReceiverStream::new(outgoing));
        if let Some(token) = credentials.token().map_err(SessionError::Token)? {
            let value = AsciiMetadataValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(SessionError::TokenValue)?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        let opened = client.report(request).await;
        let mut answers = opened.map_err(ended)?.into_inner();
        let first = answers.message().await.map_err(ended)?;
        let first = first.ok_or(SessionError::Closed)?;
        let Some(from_leader::What::Welcome(welcome)) = first.what else {
            return Err(SessionError::Unexpected("welcome"));
        };
        backlog.resume(Sequence(welcome.counted))?;
        let longest = usize::try_from(welcome.longest).unwrap_or(LONGEST_REPORT);
        Ok(Session {
            reports,
            answers,
            longest: longest.clamp(LONGEST_SERIES, LONGEST_REPORT),
            waits_since: None,
        })
    }

    /// Sends the next report, if there is one and none is on its way.
    pub(super) fn send(&mut self, backlog: &mut Backlog) -> Result<(), SessionError> {
        let now = Instant::now();
        let Some(report) = backlog.take(self.longest, now) else {
            return Ok(());
        };
        self.waits_since = Some(now);
        send(&self.reports, from_agent::What::Report(report))
    }

    /// Waits for the next acknowledgement, which has to come in time if a report is on its way. It may be given up
    /// and called again.
    pub(super) async fn answered(&mut self, patience: Duration) -> Result<Sequence, SessionError> {
        let answer = match self.waits_since {
            None => self.answers.message().await,
            Some(since) => {
                let left = (since + patience).saturating_duration_since(Instant::now());
                let answer = timeout(left, self.answers.message()).await;
                answer.map_err(|_| SessionError::Late(patience))?
            }
        };
        let answer = answer.map_err(ended)?.ok_or(SessionError::Closed)?;
        let Some(from_leader::What::Ack(ack)) = answer.what else {
            return Err(SessionError::Unexpected("ack"));
        };
        Ok(Sequence(ack.counted))
    }

    /// Looks whether the report that was sent last is still on its way.
    pub(super) fn look(&mut self, backlog: &Backlog) {
        if !backlog.is_sending() {
            self.waits_since = None;
        }
    }
}

fn send(reports: &mpsc::Sender<FromAgent>, what: from_agent::What) -> Result<(), SessionError> {
    let message = FromAgent { what: Some(what) };
    // It is full only if the connection took nothing of what went before, and that was not acknowledged then.
    reports.try_send(message).map_err(|_| SessionError::Closed)
}

fn ended(status: Status) -> SessionError {
    SessionError::Ended(Box::new(status))
}
