//! The agent's half: what was read and not yet acknowledged, and the stream that carries it to the leader.

mod backlog;
mod connection;
mod credentials;
mod pace;
mod reader;
mod session;

use std::time::{Duration, Instant};

use tokio::sync::watch;
use weir_api::names::NodeName;

use crate::place::Place;
use crate::reading::Reading;
use crate::run::Run;

pub use backlog::{Backlog, NeverSent};
pub use connection::ConnectError;
pub use credentials::{Credentials, CredentialsError};
pub use pace::Pace;
pub use session::SessionError;

use reader::Reader;
use session::Session;

/// Reads what was added since it was last called. The first reading of a run is the ground to count from: it has added nothing.
///
/// It is called on a thread that may wait, never twice at a time.
pub trait Source: Send + 'static {
    /// Reads. `None`: it can't be read just now, and nothing is lost by that.
    fn read(&mut self) -> Option<Reading>;
}

/// How an agent streams.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node whose figures these are.
    pub node: NodeName,
    /// How often it reads while a leader listens.
    pub interval: Duration,
    /// How often it reads while none does: so that what goes away meanwhile was read before.
    pub interval_alone: Duration,
    /// For how long it waits for a welcome, connecting included, or for an acknowledgement.
    pub patience: Duration,
    /// The first pause after a failure.
    pub pause: Duration,
    /// The longest one.
    pub longest_pause: Duration,
    /// Series of which it holds a delta, at most.
    pub room: usize,
    /// Where it says how the stream is.
    pub state: watch::Sender<State>,
}

/// How an agent's stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// A leader has welcomed it, and the stream has not ended since.
    pub is_connected: bool,
    /// When a leader last acknowledged something.
    pub acknowledged: Option<Instant>,
}

impl Settings {
    /// Each second, as design.md has it.
    #[must_use]
    pub fn new(node: NodeName) -> Self {
        Settings {
            node,
            interval: Duration::from_secs(1),
            interval_alone: Duration::from_secs(10),
            patience: Duration::from_secs(10),
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(15),
            room: 20_000,
            state: watch::Sender::new(State::default()),
        }
    }
}

/// Streams to whoever leads, for as long as the sender of `leader` is there: `None` in it is nobody.
pub async fn run(
    settings: Settings,
    credentials: Credentials,
    source: impl Source,
    mut leader: watch::Receiver<Option<Place>>,
) {
    let mut reader = Reader::new(source, Backlog::new(Run::draw(), settings.room));
    let mut pace = Pace::new(settings.pause, settings.longest_pause);
    // What is in the way is told once, not at each attempt.
    let mut told = None;
    loop {
        let place = leader.borrow_and_update().clone();
        let is_there = match &place {
            None => tokio::select! {
                is_there = moved(&mut leader, &place) => is_there,
                () = reader.read_alone(&settings) => true,
            },
            Some(at) => {
                let failed = tokio::select! {
                    failed = stream(&settings, &credentials, at, &mut reader, &mut pace) => Some(failed),
                    is_there = moved(&mut leader, &place) => {
                        if !is_there {
                            return;
                        }
                        None
                    }
                };
                let Some(failed) = failed else {
                    pace.begin_anew();
                    continue;
                };
                let is_first = pace.is_new();
                let pause = pace.next(fastrand::f64());
                let error = weir_api::chain(&failed);
                if is_first {
                    // A leader ends each stream now and then, to be shown again who it is.
                    tracing::info!(place = %at, error, "telemetry is about to begin anew");
                    told = None;
                } else if told.as_ref() != Some(&error) {
                    tracing::warn!(place = %at, error, "telemetry does not reach the leader");
                    told = Some(error);
                }
                tokio::select! {
                    is_there = moved(&mut leader, &place) => is_there,
                    () = reader.read_for(pause, &settings) => true,
                }
            }
        };
        if !is_there {
            return;
        }
    }
}

/// Waits until somebody else leads, or somewhere else. `false`: nobody can say it any more.
async fn moved(leader: &mut watch::Receiver<Option<Place>>, from: &Option<Place>) -> bool {
    // A Lease is renewed all the time, and whoever watches it may say the same again.
    let other = leader.wait_for(|place| place != from).await;
    other.is_ok()
}

/// Says at its end that there is no stream.
struct Over<'a>(&'a watch::Sender<State>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|state| {
            let was_connected = state.is_connected;
            state.is_connected = false;
            was_connected
        });
    }
}

/// Streams, and says so, until it fails or is dropped.
async fn stream<S: Source>(
    settings: &Settings,
    credentials: &Credentials,
    place: &Place,
    reader: &mut Reader<S>,
    pace: &mut Pace,
) -> SessionError {
    let _over = Over(&settings.state);
    let opening = Session::open(settings, credentials, place, &mut reader.backlog);
    let mut session = match tokio::time::timeout(settings.patience, opening).await {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return error,
        Err(_) => return SessionError::Late(settings.patience),
    };
    tracing::info!(%place, "telemetry reaches the leader");
    settings
        .state
        .send_modify(|state| state.is_connected = true);
    let mut tick = tokio::time::interval(settings.interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Reading goes on while an acknowledgement is waited for: deltas add up.
        tokio::select! {
            _ = tick.tick() => {
                reader.read().await;
                if let Err(error) = session.send(&mut reader.backlog) {
                    return error;
                }
            }
            answered = session.answered(settings.patience) => {
                let done = answered.and_then(|sequence| {
                    reader.backlog.counted(sequence)?;
                    let now = Some(Instant::now());
                    settings.state.send_modify(|state| state.acknowledged = now);
                    pace.begin_anew();
                    Ok(())
                });
                if let Err(error) = done {
                    return error;
                }
                session.look(&reader.backlog);
                // The rest of what did not fit into one message need not wait for the next reading.
                if reader.backlog.is_waiting() && let Err(error) = session.send(&mut reader.backlog) {
                    return error;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `leader.changed()` in the place of `wait_for`.
    #[tokio::test]
    async fn a_leader_that_is_said_again_has_not_moved() {
        let place = |text: &str| Some(text.parse::<Place>().unwrap());
        let (say, mut leader) = watch::channel(place("https://a:1"));
        let here = leader.borrow_and_update().clone();
        say.send_replace(here.clone());
        let waiting = tokio::time::timeout(Duration::ZERO, moved(&mut leader, &here));
        assert!(waiting.await.is_err());
        say.send_replace(None);
        assert!(moved(&mut leader, &here).await);
        drop(say);
        assert!(!moved(&mut leader, &None).await);
    }
}
