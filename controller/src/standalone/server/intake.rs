//! A request's body, taken in within bounds.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use super::limits::{Gates, Limits};
use crate::standalone::error::ApiError;

/// A body, and the room that was made for it.
pub(super) struct Intake {
    pub(super) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Reads a body to its end.
///
/// # Errors
/// It is too large, too slow, or there is no room for it now.
pub(super) async fn take(
    mut body: Incoming,
    limits: &Limits,
    gates: &Gates,
) -> Result<Intake, ApiError> {
    let announced = body.size_hint().upper();
    let room = match announced.map(usize::try_from) {
        Some(Ok(length)) if length <= limits.body => length,
        Some(_) => {
            pour_away(&mut body, limits).await;
            return Err(ApiError::too_large(limits.body));
        }
        // Sent in chunks: it may become as large as any.
        None => limits.body,
    };
    let permit = gates.body(room).await?;
    let read = async {
        let mut bytes = BytesMut::with_capacity(room.min(64 * 1024));
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|_| ApiError::bad_request("the body of the request ended too early"))?;
            if let Ok(data) = frame.into_data() {
                if bytes.len() + data.len() > limits.body {
                    return Err(ApiError::too_large(limits.body));
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes.freeze())
    };
    let late = || ApiError::bad_request("the body of the request was not sent in time");
    let bytes = tokio::time::timeout(limits.body_time, read)
        .await
        .map_err(|_| late())??;
    Ok(Intake {
        bytes,
        _room: permit,
    })
}

/// Reads on for a while after a body was found too large, and keeps nothing: a connection that is
/// closed while its client still sends is reset, and the client never hears why.
async fn pour_away(body: &mut Incoming, limits: &Limits) {
    let pour = async {
        let mut poured = 0;
        while poured < 2 * limits.body
            && let Some(Ok(frame)) = body.frame().await
        {
            poured += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whoever sends slowly is not waited for.
    let _ = tokio::time::timeout(limits.body_time, pour).await;
}
