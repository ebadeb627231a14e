//! One stream: who it is, hello and welcome, then reports and acknowledgements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant as Moment, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use weir_agent_ebpf::scale::BUCKETS;

use super::authenticate::{Agent, Authenticate, Denied, Presented, Token};
use super::book::{Book, Refusal, Session};
use super::connection::{Known, Peer};
use super::limits::Limits;
use super::refusals::Reason;
use super::streams::{Present, Streams};
use super::{Shared, stopped};
use crate::wire::telemetry_server::Telemetry;
use crate::wire::{
    Ack, CheckedReport, FromAgent, FromLeader, Hello, Malformed, Welcome, from_agent, from_leader,
};

/// Answers to streams.
pub(super) struct Service<A> {
    authenticate: Arc<A>,
    shared: Shared,
    limits: Limits,
    streams: Streams,
    stop: watch::Receiver<bool>,
}

type Answers = mpsc::Sender<Result<FromLeader, Status>>;

impl<A: Authenticate> Service<A> {
    pub(super) fn new(authenticate: Arc<A>, shared: Shared, stop: watch::Receiver<bool>) -> Self {
        Service {
            authenticate,
            limits: shared.look(Book::limits),
            shared,
            streams: Streams::default(),
            stop,
        }
    }

    async fn identify(
        &self,
        peer: &Peer,
        request: &Request<Streaming<FromAgent>>,
    ) -> Result<Agent, Status> {
        let presented = Presented {
            certificates: Arc::clone(&peer.certificates),
            token: token(request),
        };
        let asked = self.authenticate.authenticate(presented);
        let answered = timeout(self.limits.authentication, asked).await;
        match answered {
            Ok(Ok(agent)) => Ok(agent),
            Ok(Err(denied @ Denied::Unavailable(_))) => {
                tracing::warn!(error = %weir_api::chain(&denied), "an agent cannot be identified");
                Err(Status::unavailable(denied.to_string()))
            }
            Ok(Err(denied)) => {
                self.shared.refuse(Reason::Identity);
                tracing::debug!(%denied, "refused a stream");
                Err(match denied {
                    Denied::NoAgent(_) => Status::permission_denied(denied.to_string()),
                    _ => Status::unauthenticated(denied.to_string()),
                })
            }
            Err(_) => Err(Status::unavailable(
                "it took too long to find out who it is",
            )),
        }
    }
}

#[tonic::async_trait]
impl<A: Authenticate> Telemetry for Service<A> {
    type ReportStream = ReceiverStream<Result<FromLeader, Status>>;

    async fn report(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        if *self.stop.borrow() {
            return Err(Status::unavailable(
                "this controller does not lead any more",
            ));
        }
        let peer = request
            .extensions()
            .get::<Peer>()
            .cloned()
            .unwrap_or_default();
        // Before anything of what it sends is looked at.
        let agent = self.identify(&peer, &request).await?;
        // An acknowledgement waits here until it is sent, and a report until its acknowledgement is: what an agent sends piles up
        // nowhere but in the connection's own window.
        let (answers, outgoing) = mpsc::channel(1);
        let stream = Stream {
            life: Moment::now() + agent.valid_for.min(self.limits.life),
            agent,
            shared: self.shared.clone(),
            limits: self.limits,
            streams: self.streams.clone(),
            stop: self.stop.clone(),
            reports: request.into_inner(),
            answers,
            _known: peer.is_known_now(),
        };
        tokio::spawn(stream.serve());
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// A stream of an agent that is known.
struct Stream {
    agent: Agent,
    life: Moment,
    shared: Shared,
    limits: Limits,
    streams: Streams,
    stop: watch::Receiver<bool>,
    reports: Streaming<FromAgent>,
    answers: Answers,
    _known: Known,
}

impl Stream {
    async fn serve(mut self) {
        let answers = self.answers.clone();
        let mut stop = self.stop.clone();
        let life = self.life;
        let node = self.agent.node.clone();
        let ended = tokio::select! {
            ended = self.talk() => ended,
            () = stopped(&mut stop) => Err(Status::unavailable("this controller does not lead any more")),
            () = sleep_until(life) => Err(Status::unavailable("who it is has to be shown again")),
        };
        if let Err(status) = ended {
            tracing::debug!(%node, %status, "a stream ended");
            // If the agent does not take it, it will see by the connection's end.
            drop(timeout(self.limits.silence, answers.send(Err(status))).await);
        }
    }

    async fn talk(&mut self) -> Result<(), Status> {
        let Some(from_agent::What::Hello(hello)) = self.next(self.limits.introduction).await?
        else {
            return Err(self.malformed(&Malformed::Field("hello")));
        };
        let (session, mut present) = self.welcome(&hello).await?;
        let mut ready = Moment::now();
        loop {
            let next = async {
                sleep_until(ready).await;
                self.next(self.limits.silence).await
            };
            let said = tokio::select! {
                said = next => said?,
                _ = &mut present.over => return Err(superseded()),
            };
            match said {
                None => return Ok(()),
                Some(from_agent::What::Report(report)) => {
                    ready = Moment::now() + self.limits.apart;
                    let report = CheckedReport::try_from(report);
                    let report = report.map_err(|why| self.malformed(&why))?;
                    let counted = self
                        .shared
                        .change(|book| book.count(&session, report, Instant::now()));
                    let counted = counted.map_err(|_| superseded())?.0;
                    self.answer(from_leader::What::Ack(Ack { counted })).await?;
                }
                Some(from_agent::What::Hello(_)) => {
                    return Err(self.malformed(&Malformed::Field("report")));
                }
            }
        }
    }

    async fn welcome(&mut self, hello: &Hello) -> Result<(Session, Present), Status> {
        let (node, run) = hello.checked().map_err(|why| self.malformed(&why))?;
        if node != self.agent.node {
            self.shared.refuse(Reason::OtherNode);
            let ours = &self.agent.node;
            tracing::warn!(agent = %ours, %node, "an agent wants to report for another node");
            let why = format!("the agent of {ours} may not report for {node}");
            return Err(Status::permission_denied(why));
        }
        if hello.buckets as usize != BUCKETS {
            let why = format!(
                "histograms have {BUCKETS} buckets here and {} there",
                hello.buckets
            );
            return Err(Status::failed_precondition(why));
        }
        // The book is what counts; the streams only see to it that the one before ends soon.
        let welcomed = self
            .shared
            .change(|book| book.welcome(&node, run, Instant::now()));
        let (session, counted) = welcomed.map_err(|refusal| {
            self.shared.refuse(Reason::Nodes);
            Status::resource_exhausted(refusal.to_string())
        })?;
        let present = self.streams.begin(&node, session.number());
        let welcome = Welcome {
            counted: counted.0,
            longest: u32::try_from(self.limits.message).unwrap_or(u32::MAX),
        };
        self.answer(from_leader::What::Welcome(welcome)).await?;
        Ok((session, present))
    }

    /// What is said next; `None`: the agent has ended the stream.
    async fn next(&mut self, patience: Duration) -> Result<Option<from_agent::What>, Status> {
        let said = timeout(patience, self.reports.message()).await;
        let said = said.map_err(|_| Status::deadline_exceeded("nothing was said for too long"))?;
        match said {
            Ok(None) => Ok(None),
            Ok(Some(FromAgent { what: Some(what) })) => Ok(Some(what)),
            Ok(Some(FromAgent { what: None })) => Err(self.malformed(&Malformed::Field("what"))),
            Err(status) => {
                // Tonic's words for a message that is too long, or none at all.
                if matches!(status.code(), Code::OutOfRange | Code::Internal) {
                    self.shared.refuse(Reason::Malformed);
                }
                Err(status)
            }
        }
    }

    async fn answer(&self, what: from_leader::What) -> Result<(), Status> {
        let answer = Ok(FromLeader { what: Some(what) });
        let sent = timeout(self.limits.silence, self.answers.send(answer)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(Status::cancelled("the agent takes no answer")),
        }
    }

    fn malformed(&self, why: &Malformed) -> Status {
        self.shared.refuse(Reason::Malformed);
        tracing::warn!(node = %self.agent.node, error = %weir_api::chain(why), "a malformed message");
        Status::invalid_argument(weir_api::chain(why))
    }
}

fn superseded() -> Status {
    Status::aborted(Refusal::Superseded.to_string())
}

/// The token that was sent with a stream.
fn token(request: &Request<Streaming<FromAgent>>) -> Option<Token> {
    let value = request.metadata().get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Token::new(token.trim().to_owned()))
}
