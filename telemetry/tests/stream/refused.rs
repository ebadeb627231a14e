//! What a leader refuses: nothing changes by it, and it goes on.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use weir_telemetry::client::Credentials;
use weir_telemetry::server::{Limits, Reason};
use weir_telemetry::wire::{FromAgent, InFlight, Op, Series, from_agent, from_leader};

use crate::authority::Authority;
use crate::leader::{Cluster, DEADLINE, Leader};
use crate::raw::{Raw, channel, hello, report};

fn refusals(leader: &Leader, reason: Reason) -> u64 {
    let figures = leader.shared.figures(std::time::Instant::now());
    figures.refusals.of(reason)
}

#[tokio::test]
async fn whoever_is_no_agent_is_refused_before_it_is_heard() {
    let cluster = Cluster::new();
    let leader = cluster.lead(Limits::default()).await;
    let nobody = Credentials {
        certificate: None,
        ..cluster.credentials("one")
    };
    let channel = channel(&leader, &nobody).await;
    for token in [None, Some("another")] {
        let refused = Raw::open(channel.clone(), token).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }
    assert_eq!(refusals(&leader, Reason::Identity), 2);
    assert_eq!(leader.shared.look(|book| book.nodes().count()), 0);
}

/// Seen red with: the comparison of `node` with `self.agent.node` left out of `Stream::welcome`.
#[tokio::test]
async fn an_agent_reports_for_its_own_node_alone() {
    let cluster = Cluster::new();
    let leader = cluster.lead(Limits::default()).await;
    let channel = channel(&leader, &cluster.credentials("one")).await;
    let mut raw = Raw::open(channel, None).await.unwrap();
    raw.say(hello("two")).await;
    let refused = raw.end().await;
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("the agent of one"), "{refused}");
    assert_eq!(refusals(&leader, Reason::OtherNode), 1);
    assert_eq!(leader.shared.look(|book| book.nodes().count()), 0);
}

#[tokio::test]
async fn an_agent_does_not_talk_to_another_authoritys_leader() {
    let (cluster, others) = (Cluster::new(), Authority::new());
    let leader = cluster.lead(Limits::default()).await;
    let credentials = Credentials {
        authority: Some(others.0.certificate),
        ..cluster.credentials("one")
    };
    let tls = credentials.tls(&leader.place()).unwrap();
    let stream = TcpStream::connect(leader.address).await.unwrap();
    let name = leader.address.ip().into();
    let refused = TlsConnector::from(tls).connect(name, stream).await;
    let refused = refused.err().unwrap().to_string();
    // It is no issuer that this agent knows: by its name, or by its key where the names are the same.
    assert!(refused.contains("certificate"), "{refused}");
}

/// Each of them ends its own stream with a word that tells what was wrong.
#[tokio::test]
async fn what_is_not_as_the_protocol_says_ends_its_stream_and_counts_for_nothing() {
    let cluster = Cluster::new();
    let limits = Limits {
        message: 16 * 1024,
        ..Limits::default()
    };
    let leader = cluster.lead(limits).await;
    let channel = channel(&leader, &cluster.credentials("one")).await;
    let good = Series {
        op: Op::Read.into(),
        ..Series::default()
    };
    let with = |series: Series| {
        let mut report = report(1);
        report.series = vec![series];
        from_agent::What::Report(report)
    };
    let mut long = report(1);
    let in_flight = InFlight {
        pool: "p".repeat(60),
        op: Op::Read.into(),
        now: 1,
    };
    long.in_flight = vec![in_flight; 1_000];
    let rows = [
        (
            vec![from_agent::What::Report(report(1))],
            Code::InvalidArgument,
            "hello",
        ),
        (vec![hello("One")], Code::InvalidArgument, "hello.node"),
        (
            vec![hello("one"), hello("one")],
            Code::InvalidArgument,
            "report",
        ),
        (
            vec![hello("one"), with(good)],
            Code::InvalidArgument,
            "series.of",
        ),
        (
            vec![hello("one"), from_agent::What::Report(report(0))],
            Code::InvalidArgument,
            "report.sequence",
        ),
        (
            vec![hello("one"), from_agent::What::Report(long)],
            Code::OutOfRange,
            "",
        ),
    ];
    for (said, code, field) in rows {
        let mut raw = Raw::open(channel.clone(), None).await.unwrap();
        for what in said {
            raw.say(what).await;
        }
        let refused = raw.end().await;
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(field), "{field}: {refused}");
    }
    let mut raw = Raw::open(channel.clone(), None).await.unwrap();
    raw.say.send(FromAgent { what: None }).await.unwrap();
    assert_eq!(raw.end().await.code(), Code::InvalidArgument);
    assert_eq!(refusals(&leader, Reason::Malformed), 7);
    assert_eq!(leader.shared.look(weir_telemetry::server::Book::reports), 0);
    // And it takes what is right.
    let mut raw = Raw::open(channel, None).await.unwrap();
    raw.say(hello("one")).await;
    let from_leader::What::Welcome(welcome) = raw.next().await else {
        panic!("no welcome");
    };
    assert_eq!((welcome.counted, welcome.longest), (0, 16 * 1024));
    raw.say(from_agent::What::Report(report(1))).await;
    assert!(matches!(raw.next().await, from_leader::What::Ack(ack) if ack.counted == 1));
}

#[tokio::test]
async fn histograms_of_another_scale_are_refused() {
    let cluster = Cluster::new();
    let leader = cluster.lead(Limits::default()).await;
    let channel = channel(&leader, &cluster.credentials("one")).await;
    let mut raw = Raw::open(channel, None).await.unwrap();
    let from_agent::What::Hello(mut other) = hello("one") else {
        unreachable!("it is one");
    };
    other.buckets = 64;
    raw.say(from_agent::What::Hello(other)).await;
    assert_eq!(raw.end().await.code(), Code::FailedPrecondition);
}

/// Seen red with: `Streams::begin` not taking the one before it out.
#[tokio::test]
async fn a_new_stream_of_an_agent_ends_the_one_before_it() {
    let cluster = Cluster::new();
    let leader = cluster.lead(Limits::default()).await;
    let channel = channel(&leader, &cluster.credentials("one")).await;
    let mut first = Raw::open(channel.clone(), None).await.unwrap();
    first.say(hello("one")).await;
    first.next().await;
    let mut second = Raw::open(channel, None).await.unwrap();
    second.say(hello("one")).await;
    second.next().await;
    assert_eq!(first.end().await.code(), Code::Aborted);
}

#[tokio::test]
async fn a_node_too_many_is_told_so() {
    let cluster = Cluster::new();
    let limits = Limits {
        nodes: 1,
        ..Limits::default()
    };
    let leader = cluster.lead(limits).await;
    let ones = channel(&leader, &cluster.credentials("one")).await;
    let mut first = Raw::open(ones, None).await.unwrap();
    first.say(hello("one")).await;
    first.next().await;
    let channel = channel(&leader, &cluster.credentials("two")).await;
    let mut second = Raw::open(channel, None).await.unwrap();
    second.say(hello("two")).await;
    assert_eq!(second.end().await.code(), Code::ResourceExhausted);
    assert_eq!(refusals(&leader, Reason::Nodes), 1);
}

/// Whoever does not say who it is, or that it is there, is let go of.
#[tokio::test]
async fn silence_ends_connections_and_streams() {
    let cluster = Cluster::new();
    let limits = Limits {
        introduction: Duration::from_millis(200),
        silence: Duration::from_millis(400),
        ..Limits::default()
    };
    let leader = cluster.lead(limits).await;
    // A connection over which nothing is asked.
    let tls = cluster.credentials("one").tls(&leader.place()).unwrap();
    let stream = TcpStream::connect(leader.address).await.unwrap();
    let name = leader.address.ip().into();
    let mut stream = TlsConnector::from(tls).connect(name, stream).await.unwrap();
    let mut sink = Vec::new();
    // The end, well or not; else the test does not end.
    drop(stream.read_to_end(&mut sink).await);
    // A stream without a hello, and one without a report.
    let channel = channel(&leader, &cluster.credentials("one")).await;
    let mut raw = Raw::open(channel.clone(), None).await.unwrap();
    assert_eq!(raw.end().await.code(), Code::DeadlineExceeded);
    let mut raw = Raw::open(channel, None).await.unwrap();
    raw.say(hello("one")).await;
    assert_eq!(raw.end().await.code(), Code::DeadlineExceeded);
}

/// Seen red with: `Connection::is_over` always false.
#[tokio::test]
async fn there_is_room_for_so_many_strangers_and_others_wait_until_they_go() {
    let cluster = Cluster::new();
    let limits = Limits {
        strangers: 1,
        introduction: Duration::from_millis(300),
        ..Limits::default()
    };
    let leader = cluster.lead(limits).await;
    let connect = || async {
        let tls = cluster.credentials("one").tls(&leader.place()).unwrap();
        let stream = TcpStream::connect(leader.address).await.unwrap();
        let name = leader.address.ip().into();
        TlsConnector::from(tls).connect(name, stream).await
    };
    let mut stranger = connect().await.unwrap();
    let ended = async {
        drop(stranger.read_to_end(&mut Vec::new()).await);
    };
    // Both within the time that it may stay, and the other one not before.
    let (mut ended, mut other) = (Box::pin(ended), Box::pin(connect()));
    tokio::select! {
        biased;
        () = &mut ended => {}
        _ = &mut other => panic!("there was room for two"),
        () = tokio::time::sleep(DEADLINE) => panic!("a stranger stays"),
    }
    tokio::time::timeout(DEADLINE, other)
        .await
        .unwrap()
        .unwrap();
}

/// Seen red with: `sleep_until(ready)` left out of `Stream::talk`.
#[tokio::test]
async fn an_agent_that_goes_wild_takes_its_share_and_no_more() {
    let cluster = Cluster::new();
    let limits = Limits {
        apart: Duration::from_millis(50),
        ..Limits::default()
    };
    let leader = cluster.lead(limits).await;
    let channel = channel(&leader, &cluster.credentials("one")).await;
    let mut raw = Raw::open(channel, None).await.unwrap();
    raw.say(hello("one")).await;
    raw.next().await;
    let begun = std::time::Instant::now();
    let say = raw.say.clone();
    tokio::spawn(async move {
        for sequence in 1..=10 {
            let what = Some(from_agent::What::Report(report(sequence)));
            say.send(FromAgent { what }).await.unwrap();
        }
    });
    for sequence in 1..=10 {
        let next = raw.next().await;
        assert!(matches!(next, from_leader::What::Ack(ack) if ack.counted == sequence));
    }
    assert!(begun.elapsed() >= 9 * limits.apart);
}
