//! What came, checked. What is not as the protocol says is refused whole, with the field's name.

use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;
use weir_api::names::{NameError, NodeName, VolumeId};

use crate::delta::{BucketError, Delta};
use crate::key::{Key, Subject};
use crate::op::{Op, Rung};
use crate::reading::InFlight;
use crate::run::{Run, Sequence};

use super::series::Of;

/// A message that is not as the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A field is missing, or has a value that means nothing.
    #[error("{0} is missing, or means nothing")]
    Field(&'static str),
    /// A name is not allowed.
    #[error("{field} is not a name")]
    Name {
        /// Which field.
        field: &'static str,
        /// Why not.
        #[source]
        source: NameError,
    },
    /// A series' buckets are no histogram.
    #[error("series.bucket is no histogram")]
    Buckets(#[source] BucketError),
}

/// A report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its number.
    pub sequence: Sequence,
    /// How long before it was sent the figures were read.
    pub age: Duration,
    /// What they were measured with.
    pub rung: Rung,
    /// What was added.
    pub series: Vec<Series>,
    /// What is in flight.
    pub in_flight: Vec<InFlight>,
    /// Series for which the agent had no room since it was started.
    pub left_out: u64,
}

/// What was added to a series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Which.
    pub key: Key,
    /// What was added.
    pub delta: Delta,
    /// Over how long.
    pub span: Duration,
}

impl super::Hello {
    /// The node and the run that it names.
    ///
    /// # Errors
    /// One of them is none.
    pub fn checked(&self) -> Result<(NodeName, Run), Malformed> {
        let node = self.node.parse().map_err(named("hello.node"))?;
        let run = Uuid::from_slice(&self.run).map_err(|_| Malformed::Field("hello.run"))?;
        Ok((node, Run(run)))
    }
}

impl TryFrom<super::Report> for Report {
    type Error = Malformed;

    fn try_from(report: super::Report) -> Result<Self, Malformed> {
        if report.sequence == 0 {
            return Err(Malformed::Field("report.sequence"));
        }
        let series = report.series.into_iter().map(Series::try_from);
        let in_flight = report.in_flight.into_iter().map(InFlight::try_from);
        Ok(Report {
            sequence: Sequence(report.sequence),
            age: Duration::from_millis(report.age_ms),
            rung: rung(report.rung).ok_or(Malformed::Field("report.rung"))?,
            series: series.collect::<Result<_, _>>()?,
            in_flight: in_flight.collect::<Result<_, _>>()?,
            left_out: report.left_out,
        })
    }
}

impl TryFrom<super::Series> for Series {
    type Error = Malformed;

    fn try_from(series: super::Series) -> Result<Self, Malformed> {
        let volume = |bytes: &[u8]| {
            let id = Uuid::from_slice(bytes).map_err(|_| Malformed::Field("series.volume"));
            id.map(VolumeId)
        };
        let subject = match series.of.ok_or(Malformed::Field("series.of"))? {
            Of::Pool(pool) => Subject::Pool(pool.name.parse().map_err(named("series.pool.name"))?),
            Of::Target(target) => Subject::Target {
                volume: volume(&target.volume)?,
                host: target.host.parse().map_err(named("series.target.host"))?,
            },
            Of::Host(host) => Subject::Host(volume(&host.volume)?),
        };
        if series.bucket.len() != series.added.len() {
            return Err(Malformed::Field("series.added"));
        }
        let buckets = series.bucket.into_iter().zip(series.added);
        let delta = Delta::of_ascending(buckets, series.unbucketed, series.sum_ns);
        Ok(Series {
            key: Key {
                subject,
                op: op(series.op).ok_or(Malformed::Field("series.op"))?,
            },
            delta: delta.map_err(Malformed::Buckets)?,
            span: Duration::from_millis(series.span_ms),
        })
    }
}

impl TryFrom<super::InFlight> for InFlight {
    type Error = Malformed;

    fn try_from(in_flight: super::InFlight) -> Result<Self, Malformed> {
        Ok(InFlight {
            pool: in_flight.pool.parse().map_err(named("in_flight.pool"))?,
            op: op(in_flight.op).ok_or(Malformed::Field("in_flight.op"))?,
            now: in_flight.now,
        })
    }
}

fn named(field: &'static str) -> impl Fn(NameError) -> Malformed {
    move |source| Malformed::Name { field, source }
}

fn op(number: i32) -> Option<Op> {
    let known = Op::ALL.into_iter();
    let mut numbered = known.map(|op| (i32::from(super::Op::from(op)), op));
    numbered.find(|(this, _)| *this == number).map(|(_, op)| op)
}

fn rung(number: i32) -> Option<Rung> {
    match super::Rung::try_from(number).ok()? {
        super::Rung::Unspecified => None,
        super::Rung::Ebpf => Some(Rung::Ebpf),
        super::Rung::DmStatistics => Some(Rung::DmStatistics),
        super::Rung::Diskstats => Some(Rung::Diskstats),
    }
}
