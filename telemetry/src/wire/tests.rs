//! There and back, and what is refused on the way.

use proptest::prelude::*;
use prost::Message;
use std::time::Duration;
use uuid::Uuid;
use weir_agent_ebpf::scale::BUCKETS;
use weir_api::names::VolumeId;

use super::*;
use crate::delta::Delta;
use crate::key::{Key, Subject};
use crate::reading;

fn subject() -> impl Strategy<Value = Subject> {
    let volume = any::<u128>().prop_map(|id| VolumeId(Uuid::from_u128(id)));
    let host = "[a-z]{1,20}\\.[a-z]{1,20}".prop_map(|name| name.parse().unwrap());
    prop_oneof![
        "[a-z]{1,63}".prop_map(|name| Subject::Pool(name.parse().unwrap())),
        volume.clone().prop_map(Subject::Host),
        (volume, host).prop_map(|(volume, host)| Subject::Target { volume, host }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_read(
        subject in subject(),
        op in proptest::sample::select(OurOp::ALL.to_vec()),
        counts in proptest::collection::vec(0..3u64, BUCKETS),
        unbucketed: u64, sum_ns: u64, span_ms in 0..1u64 << 40,
    ) {
        let (key, delta) = (Key { subject, op }, Delta::of_buckets(&counts, unbucketed, sum_ns));
        let span = Duration::from_millis(span_ms);
        let bytes = series(&key, &delta, span).encode_to_vec();
        let read = CheckedSeries::try_from(Series::decode(&*bytes).unwrap()).unwrap();
        prop_assert_eq!((read.key, read.delta, read.span), (key, delta, span));
    }

    /// Whatever bytes come: an answer, and no panic.
    #[test]
    fn any_bytes_are_a_report_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(report) = Report::decode(&*bytes) {
            drop(CheckedReport::try_from(report));
        }
    }
}

#[test]
fn no_series_is_longer_than_is_said() {
    let host = [
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(61),
    ]
    .join(".");
    let subject = Subject::Target {
        volume: VolumeId(Uuid::from_u128(1)),
        host: host.parse().unwrap(),
    };
    let key = Key {
        subject,
        op: OurOp::ReadWrite,
    };
    let delta = Delta::of_buckets(&[u64::MAX; BUCKETS], u64::MAX, u64::MAX);
    let longest = series(&key, &delta, Duration::MAX).encoded_len();
    assert!(longest < LONGEST_SERIES, "{longest}");
}

#[test]
fn what_is_not_as_the_protocol_says_is_refused_by_name() {
    let pool = |name: &str| {
        Some(series::Of::Pool(Pool {
            name: name.to_owned(),
        }))
    };
    let good = Series {
        of: pool("p"),
        op: Op::Read.into(),
        bucket: vec![1, 2],
        added: vec![1, 1],
        ..Series::default()
    };
    let report = |series: Series| Report {
        sequence: 1,
        rung: Rung::Ebpf.into(),
        series: vec![series],
        ..Report::default()
    };
    assert!(CheckedReport::try_from(report(good.clone())).is_ok());
    let volume = vec![0; 15];
    let rows = [
        (
            "series.of",
            Series {
                of: None,
                ..good.clone()
            },
        ),
        (
            "series.pool.name",
            Series {
                of: pool("P"),
                ..good.clone()
            },
        ),
        (
            "series.volume",
            Series {
                of: Some(series::Of::Host(Host { volume })),
                ..good.clone()
            },
        ),
        (
            "series.op",
            Series {
                op: 0,
                ..good.clone()
            },
        ),
        (
            "series.op",
            Series {
                op: 77,
                ..good.clone()
            },
        ),
        (
            "series.added",
            Series {
                added: vec![1],
                ..good.clone()
            },
        ),
        (
            "series.bucket",
            Series {
                bucket: vec![2, 1],
                ..good.clone()
            },
        ),
    ];
    for (field, series) in rows {
        let error = CheckedReport::try_from(report(series)).unwrap_err();
        assert!(error.to_string().starts_with(field), "{field}: {error}");
    }
    let mut unnumbered = report(good.clone());
    unnumbered.sequence = 0;
    let mut unmeasured = report(good.clone());
    unmeasured.rung = 0;
    let mut nowhere = report(good);
    nowhere.in_flight = vec![InFlight::default()];
    for (field, report) in [
        ("report.sequence", unnumbered),
        ("report.rung", unmeasured),
        ("in_flight.pool", nowhere),
    ] {
        let error = CheckedReport::try_from(report).unwrap_err();
        assert!(error.to_string().starts_with(field), "{field}: {error}");
    }
    let hello = |node: &str, run: usize| Hello {
        node: node.to_owned(),
        run: vec![0; run],
        buckets: 0,
    };
    assert!(hello("n", 16).checked().is_ok());
    assert!(hello("N", 16).checked().is_err());
    assert!(hello("n", 15).checked().is_err());
    let now = reading::InFlight {
        pool: "p".parse().unwrap(),
        op: OurOp::Flush,
        now: 3,
    };
    assert_eq!(reading::InFlight::try_from(in_flight(&now)), Ok(now));
}
