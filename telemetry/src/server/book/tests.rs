//! Rooms, ages, and what lies between two ends.

use uuid::Uuid;

use super::*;
use crate::delta::Delta;
use crate::key::Key;
use crate::op::Rung;
use crate::reading::InFlight;

const SECOND: Duration = Duration::from_secs(1);

fn name(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn pool(index: usize) -> Subject {
    Subject::Pool(format!("p{index}").parse().unwrap())
}

fn host(index: u128) -> Subject {
    Subject::Host(VolumeId(Uuid::from_u128(index)))
}

fn report(sequence: u64, series: Vec<(Subject, Delta)>) -> CheckedReport {
    let series = series.into_iter().map(|(subject, delta)| CheckedSeries {
        key: Key {
            subject,
            op: Op::Read,
        },
        delta,
        span: SECOND,
    });
    CheckedReport {
        sequence: Sequence(sequence),
        age: Duration::ZERO,
        rung: Rung::Ebpf,
        series: series.collect(),
        in_flight: Vec::new(),
        left_out: 0,
    }
}

fn totals(book: &Book, node: &str, subject: Subject) -> Option<u64> {
    let key = Key {
        subject,
        op: Op::Read,
    };
    let totals = book.node(&name(node))?.totals(&key)?;
    Some(totals.count)
}

struct Fixture {
    book: Book,
    now: Instant,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        Fixture {
            book: Book::new(limits),
            now: Instant::now(),
        }
    }

    fn welcome(&mut self, node: &str) -> Result<Session, Refusal> {
        let welcomed = self.book.welcome(&name(node), Run::draw(), self.now);
        welcomed.map(|(session, _)| session)
    }

    fn tell(&mut self, node: &str, series: Vec<(Subject, Delta)>) {
        let session = self.welcome(node).unwrap();
        self.book
            .count(&session, report(1, series), self.now)
            .unwrap();
    }
}

/// Seen red with: `<=` replaced by `<` in `count`.
#[test]
fn a_report_is_counted_in_once() {
    let mut fixture = Fixture::new(Limits::default());
    let session = fixture.welcome("n").unwrap();
    let (book, now) = (&mut fixture.book, fixture.now);
    let one = || report(1, vec![(pool(1), Delta::of_sum(1, 1))]);
    for _ in 0..2 {
        assert_eq!(book.count(&session, one(), now), Ok(Sequence(1)));
    }
    assert_eq!(totals(book, "n", pool(1)), Some(1));
    assert_eq!(book.reports(), 1);
}

#[test]
fn what_was_counted_in_is_known_of_the_last_runs() {
    let mut fixture = Fixture::new(Limits::default());
    let runs = [(); 6].map(|()| Run::draw());
    for run in runs {
        let (session, counted) = fixture.book.welcome(&name("n"), run, fixture.now).unwrap();
        assert_eq!(counted, Sequence(0));
        fixture
            .book
            .count(&session, report(7, Vec::new()), fixture.now)
            .unwrap();
    }
    let mut counted = |run| {
        fixture
            .book
            .welcome(&name("n"), run, fixture.now)
            .unwrap()
            .1
    };
    assert_eq!(counted(runs[5]), Sequence(7));
    assert_eq!(counted(runs[2]), Sequence(7));
    assert_eq!(counted(runs[1]), Sequence(0));
}

#[test]
fn an_age_counts_from_the_reading() {
    let mut fixture = Fixture::new(Limits::default());
    let session = fixture.welcome("n").unwrap();
    assert_eq!(fixture.book.age(&name("n"), fixture.now), None);
    let told = CheckedReport {
        age: 3 * SECOND,
        ..report(1, Vec::new())
    };
    fixture.book.count(&session, told, fixture.now).unwrap();
    let later = fixture.now + 4 * SECOND;
    assert_eq!(fixture.book.age(&name("n"), later), Some(7 * SECOND));
    assert_eq!(fixture.book.age(&name("m"), later), None);
}

/// Seen red with: `of_node >= self.limits.histories_each` left out; the same of `links_each`.
#[test]
fn a_node_has_room_for_so_much_and_all_of_them_for_so_much() {
    let mut fixture = Fixture::new(Limits {
        histories_each: 3,
        histories: 5,
        links_each: 2,
        links: 3,
        ..Limits::default()
    });
    let all = |delta: u64| {
        let pools = (0..10).map(pool);
        let links = (0..10).map(host);
        let all = pools.chain(links);
        all.map(|subject| (subject, Delta::of_sum(delta, delta)))
            .collect()
    };
    for node in ["a", "b", "c"] {
        fixture.tell(node, all(1));
    }
    assert_eq!(fixture.book.held(), (5, 3));
    let held = |node: &str| {
        let node = fixture.book.node(&name(node)).unwrap();
        (node.pools.len(), node.links.len())
    };
    assert_eq!([held("a"), held("b"), held("c")], [(3, 2), (2, 1), (0, 0)]);
    assert_eq!(fixture.book.left_out(), 60 - 8);
    // What has its place keeps it.
    fixture.tell("a", all(1));
    assert_eq!(totals(&fixture.book, "a", pool(0)), Some(2));
    assert_eq!(totals(&fixture.book, "a", host(1)), Some(2));
}

#[test]
fn what_is_in_flight_is_told_whole_and_has_a_bound() {
    let mut fixture = Fixture::new(Limits {
        histories_each: 2,
        ..Limits::default()
    });
    let session = fixture.welcome("n").unwrap();
    let mut tell = |sequence, pools: &[usize]| {
        let now = pools.iter().map(|pool| InFlight {
            pool: format!("p{pool}").parse().unwrap(),
            op: Op::Write,
            now: 9,
        });
        let told = CheckedReport {
            in_flight: now.collect(),
            ..report(sequence, Vec::new())
        };
        fixture.book.count(&session, told, fixture.now).unwrap();
        let node = fixture.book.node(&name("n")).unwrap();
        [0, 1, 2].map(|pool| node.all_in_flight(&format!("p{pool}").parse().unwrap()))
    };
    // Where nothing ever ended, this is all that is known.
    assert_eq!(tell(1, &[0]), [9, 0, 0]);
    assert_eq!(tell(2, &[1]), [0, 9, 0]);
    assert_eq!(tell(3, &[0, 1, 2]), [9, 9, 0]);
    assert_eq!(fixture.book.left_out(), 1);
}

#[test]
fn there_is_room_for_so_many_nodes_and_the_silent_give_way() {
    let mut fixture = Fixture::new(Limits {
        nodes: 2,
        ..Limits::default()
    });
    fixture.tell("a", vec![(pool(0), Delta::of_sum(1, 1))]);
    fixture.now += 60 * SECOND;
    fixture.tell("b", vec![(pool(0), Delta::of_sum(1, 1))]);
    assert_eq!(fixture.welcome("c"), Err(Refusal::Nodes));
    assert!(fixture.welcome("a").is_ok());
    fixture.now += Limits::default().replaced;
    assert!(fixture.welcome("c").is_ok());
    assert!(fixture.book.node(&name("a")).is_none());
    assert_eq!(fixture.book.held(), (1, 0));
}

#[test]
fn what_was_not_heard_of_for_long_is_let_go_of() {
    let mut fixture = Fixture::new(Limits::default());
    fixture.tell(
        "a",
        vec![
            (pool(0), Delta::of_sum(1, 1)),
            (host(1), Delta::of_sum(1, 1)),
        ],
    );
    fixture.tell("b", vec![(pool(0), Delta::of_sum(1, 1))]);
    fixture.now += Limits::default().forgotten / 2;
    fixture.tell("a", vec![(pool(1), Delta::of_sum(1, 1))]);
    fixture.book.tidy(fixture.now);
    assert_eq!(fixture.book.held(), (3, 1));
    fixture.now += Limits::default().forgotten / 2;
    fixture.book.tidy(fixture.now);
    assert_eq!(fixture.book.held(), (1, 0));
    assert!(fixture.book.node(&name("b")).is_none());
}

#[test]
fn the_network_is_between_what_both_ends_told() {
    let mut fixture = Fixture::new(Limits::default());
    let volume = VolumeId(Uuid::from_u128(7));
    let target = Subject::Target {
        volume,
        host: name("consumer"),
    };
    let network = |fixture: &Fixture| {
        let (storage, consumer) = (name("storage"), name("consumer"));
        let Fixture { book, now } = fixture;
        book.network(volume, &storage, &consumer, Op::Read, *now)
    };
    fixture.tell(
        "consumer",
        vec![(Subject::Host(volume), Delta::of_sum(10, 1_500_000))],
    );
    assert_eq!(network(&fixture), None);
    // Another node's word about this volume is not taken for the storage node's.
    fixture.tell("other", vec![(target.clone(), Delta::of_sum(10, 10))]);
    assert_eq!(network(&fixture), None);
    fixture.tell("storage", vec![(target, Delta::of_sum(10, 1_000_000))]);
    let found = network(&fixture).unwrap();
    assert_eq!(found.mean(), Duration::from_micros(50));
}
