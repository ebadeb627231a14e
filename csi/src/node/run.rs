//! One run of a request: look, ask what comes next, do it, and again.

use std::time::Duration;

use tokio::time::Instant;

use super::format::Found;
use super::host::{Host, Trouble};
use super::marker::Marker;
use super::plan::unstage::GRACE;
use super::plan::{Known, Next};
use super::seen::{Seen, Subject};
use super::step::{DeviceOf, Step};
use crate::deadline::Deadline;
use crate::failure::Failure;

/// Between two looks at what others do, of which the kernel tells nothing: at first, since most of it takes some ten milliseconds.
const SOON: Duration = Duration::from_millis(10);
/// And in the end: each look reads what there is of all controllers, and many requests may wait at once.
const LATER: Duration = Duration::from_millis(200);
/// Between two looks at the target while something is done that needs it.
const WATCH: Duration = Duration::from_secs(1);
/// More steps than any request has: one that goes round in circles ends.
const MOST: u32 = 200;

/// Whoever keeps the markers.
pub(super) trait Markers {
    /// Notes one, and returns what is noted then: where somebody else was quicker, that.
    async fn note(&self, before: Option<Marker>, after: Marker) -> Result<Option<Marker>, Failure>;
}

/// For requests that make no file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoMarkers;

impl Markers for NoMarkers {
    async fn note(&self, _: Option<Marker>, _: Marker) -> Result<Option<Marker>, Failure> {
        Err(Failure::Internal(
            "this request makes no file system".to_owned(),
        ))
    }
}

/// Runs a request until nothing is left to do; what was there in the end.
pub(super) async fn run<H: Host>(
    host: &H,
    markers: &impl Markers,
    subject: &Subject,
    mut known: Known,
    deadline: Deadline,
    next: impl Fn(&Seen, &Known) -> Next,
) -> Result<Seen, Failure> {
    let begun = Instant::now();
    known.patience = deadline.at().saturating_duration_since(begun);
    let (mut steps, mut pause) = (0, SOON);
    loop {
        let seen = host.look(subject).await?;
        known.waited = begun.elapsed();
        match next(&seen, &known) {
            Next::Done => return Ok(seen),
            Next::Refuse(failure) => return Err(failure),
            Next::Wait(why) => {
                if Instant::now() >= deadline.at() {
                    return Err(Failure::Late(why));
                }
                // Not longer: who asked would hear that time is over, and not what is waited for.
                tokio::time::sleep_until(deadline.at().min(Instant::now() + pause)).await;
                pause = LATER.min(pause * 2);
                continue;
            }
            Next::Do(step) => {
                tracing::debug!(id = %subject.id, ?step, "step");
                match act(host, subject, &step).await {
                    Ok(()) => known.did(&step),
                    Err(trouble) => {
                        let failure = Failure::from(trouble);
                        if !known.failed(&step, &failure) {
                            return Err(failure);
                        }
                        tracing::warn!(id = %subject.id, %failure, "step failed, others may do");
                    }
                }
            }
            Next::Probe => {
                known.found = Some(match &seen.device {
                    Some(device) => {
                        let device = DeviceOf {
                            path: device.path.clone(),
                            id: subject.id,
                        };
                        host.probe(&device).await
                    }
                    None => Found::Unreadable("there is no device".to_owned()),
                });
            }
            Next::Note(marker) => {
                known.marker = markers.note(known.marker, marker).await?;
                known.found = None;
            }
        }
        pause = SOON;
        steps += 1;
        if steps > MOST {
            let message = "it goes round in circles: something undoes what is done".to_owned();
            return Err(Failure::Internal(message));
        }
    }
}

/// Does a step. One that needs the target is given up before its time where that is lost: nothing else is done about the volume meanwhile,
/// and what comes next may be to let go of it.
async fn act<H: Host>(host: &H, subject: &Subject, step: &Step) -> Result<(), Trouble> {
    let work = host.act(step);
    if !step.needs_target() {
        return work.await;
    }
    tokio::pin!(work);
    let mut lost: Option<Instant> = None;
    loop {
        if let Ok(done) = tokio::time::timeout(WATCH, &mut work).await {
            return done;
        }
        let is_lost = host.look(subject).await.is_ok_and(|seen| seen.is_cut_off());
        lost = is_lost.then(|| lost.unwrap_or_else(Instant::now));
        if lost.is_some_and(|since| since.elapsed() >= GRACE) {
            return Err(Trouble::Late("its target does not answer".to_owned()));
        }
    }
}
