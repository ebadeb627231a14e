//! Ours, as they travel.

use std::time::Duration;

use crate::delta::Delta;
use crate::key::{Key, Subject};
use crate::reading;

use super::{Host, InFlight, Op, Pool, Series, Target, series::Of};

/// A series' delta, and over how long it was added.
pub(crate) fn series(key: &Key, delta: &Delta, span: Duration) -> Series {
    let of = match &key.subject {
        Subject::Pool(name) => Of::Pool(Pool {
            name: name.to_string(),
        }),
        Subject::Target { volume, host } => Of::Target(Target {
            volume: volume.0.as_bytes().to_vec(),
            host: host.to_string(),
        }),
        Subject::Host(volume) => Of::Host(Host {
            volume: volume.0.as_bytes().to_vec(),
        }),
    };
    let (bucket, added) = delta
        .buckets()
        .iter()
        .map(|(bucket, added)| (u32::from(*bucket), *added))
        .unzip();
    Series {
        of: Some(of),
        op: Op::from(key.op).into(),
        span_ms: u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
        bucket,
        added,
        unbucketed: delta.unbucketed(),
        sum_ns: delta.sum_ns(),
    }
}

/// What is in flight.
pub(crate) fn in_flight(now: &reading::InFlight) -> InFlight {
    InFlight {
        pool: now.pool.to_string(),
        op: Op::from(now.op).into(),
        now: now.now,
    }
}
