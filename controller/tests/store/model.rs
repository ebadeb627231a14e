//! Any interleaving of changes, lists, watches and restarts, against a model that is a map and a
//! list of events.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use weir_controller::standalone::store::{
    Change, CommitError, Expected, Indexed, Page, Query, Revision, Store, StoreLimits, WatchEnd,
    WatchEvent, Watcher,
};

use crate::medium::Medium;
use crate::objects::{
    POOL, all, hint, in_pool, indexed, key, object, open_within, put, remove_if, volumes,
};

const LIMITS: StoreLimits = StoreLimits {
    history_changes: 12,
    history_bytes: 1 << 20,
    watcher_backlog: 6,
    queue: 64,
    batch_changes: 4,
    batch_bytes: 1 << 20,
    cache_bytes: 1 << 16,
};

/// A change of one of a few objects: removed, or put into one of a few pools. What is expected is
/// right, or never can be.
#[derive(Clone, Debug)]
struct Wanted {
    name: u8,
    pool: Option<u8>,
    is_right: bool,
}

#[derive(Clone, Debug)]
enum Action {
    /// Asked for at once; one is a group of one.
    Change(Vec<Wanted>),
    /// A watch from so many revisions ago, of one pool or all.
    Watch { ago: u64, pool: Option<u8> },
    /// One of the watchers reads so many events.
    Read { which: usize, most: usize },
    /// A list is begun, or gone on with.
    Page { limit: usize, pool: Option<u8> },
    /// The store is closed and opened.
    Reopen,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let pool = prop_oneof![3 => (0..3_u8).prop_map(Some), 1 => Just(None)];
    (0..6_u8, pool, prop::bool::weighted(0.85)).prop_map(|(name, pool, is_right)| Wanted {
        name,
        pool,
        is_right,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let pool = || prop::option::of(0..3_u8);
    prop_oneof![
        6 => vec(wanted(), 1..6).prop_map(Action::Change),
        2 => (0..20_u64, pool()).prop_map(|(ago, pool)| Action::Watch { ago, pool }),
        4 => (0..4_usize, 1..20_usize).prop_map(|(which, most)| Action::Read { which, most }),
        3 => (0..4_usize, pool()).prop_map(|(limit, pool)| Action::Page { limit, pool }),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// Seen red with: `Expected` checked against memory alone; only the new value told; old states
    /// left out of the log; the past not read; what is gone left out of it.
    #[test]
    fn the_store_is_what_the_model_is(actions in vec(action(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for action in actions {
                run.act(action).await;
                run.compare();
            }
        });
    }
}

/// The state of an object: revision, pool and bytes.
type State = (Revision, String, Bytes);

#[derive(Clone, Debug)]
struct Event {
    name: String,
    /// `None` if it is gone.
    after: Option<State>,
    before: Option<State>,
    bytes: Bytes,
}

struct Watching {
    watcher: Watcher,
    pool: Option<u8>,
    /// Everything up to here was told.
    position: Revision,
    /// The newest revision when it began.
    began: Revision,
}

struct Run {
    medium: Medium,
    store: Option<Store>,
    objects: BTreeMap<String, State>,
    /// The first is of the revision after `Revision::FIRST`.
    events: Vec<Event>,
    oldest: Revision,
    watching: Vec<Watching>,
    /// A list that has more pages: its revision, pool and token.
    paging: Option<(Revision, Option<u8>, (String, String))>,
}

fn pool_name(pool: u8) -> String {
    format!("pool-{pool}")
}

impl Run {
    fn new() -> Self {
        let medium = Medium::default();
        Self {
            store: Some(open_within(&medium, LIMITS)),
            medium,
            objects: BTreeMap::new(),
            events: Vec::new(),
            oldest: Revision::FIRST,
            watching: Vec::new(),
            paging: None,
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn revision(&self) -> Revision {
        Revision(self.events.len() as u64 + 1)
    }

    fn event(&self, revision: Revision) -> &Event {
        &self.events[usize::try_from(revision.0 - 2).unwrap()]
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Change(wanted) => self.change(wanted).await,
            Action::Watch { ago, pool } => self.watch(ago, pool),
            Action::Read { which, most } => self.read(which, most),
            Action::Page { limit, pool } => self.page(limit, pool),
            Action::Reopen => self.reopen().await,
        }
    }

    /// What is asked for at once may be done in any order and in any groups, so the answers are
    /// taken in the order of revisions, and each refusal must be right after one of them.
    async fn change(&mut self, wanted: Vec<Wanted>) {
        let base = self.objects.clone();
        let store = self.store().clone();
        let tasks: Vec<_> = wanted
            .into_iter()
            .map(|wanted| {
                let name = format!("vol-{}", wanted.name);
                let change = change(&name, &wanted, base.get(&name));
                let store = store.clone();
                (
                    name,
                    wanted,
                    tokio::spawn(async move { store.commit(change).await }),
                )
            })
            .collect();
        let mut made = BTreeMap::new();
        let mut refused = Vec::new();
        for (name, wanted, task) in tasks {
            match task.await.unwrap() {
                Ok(stored) => {
                    let there = made.insert(stored.revision, (name, wanted, stored));
                    assert!(there.is_none(), "a revision was given twice");
                }
                Err(CommitError::Mismatch { current }) => {
                    refused.push((name, current.map(|stored| stored.revision)));
                }
                Err(error) => panic!("{error}"),
            }
        }
        // By name: the revisions it had in the course of this.
        let mut seen: BTreeMap<String, Vec<Option<Revision>>> = BTreeMap::new();
        for (name, state) in &base {
            seen.insert(name.clone(), vec![Some(state.0)]);
        }
        for (revision, (name, wanted, stored)) in made {
            assert_eq!(revision, self.revision().next());
            let before = self.objects.get(&name).cloned();
            let seen = seen.entry(name.clone()).or_insert_with(|| vec![None]);
            assert!(wanted.is_right && before.as_ref().map(|old| old.0) == seen[0]);
            assert_eq!(seen.len(), 1, "two changes of one state");
            let after = wanted
                .pool
                .map(|pool| (revision, pool_name(pool), stored.bytes.clone()));
            seen.push(after.as_ref().map(|new| new.0));
            match after.clone() {
                Some(state) => self.objects.insert(name.clone(), state),
                None => self.objects.remove(&name),
            };
            self.events.push(Event {
                name,
                after,
                before,
                bytes: stored.bytes,
            });
        }
        for (name, current) in refused {
            let seen = seen.entry(name).or_insert_with(|| vec![None]);
            assert!(seen.contains(&current), "{current:?} is none of {seen:?}");
        }
        // Changes of the group that is being written are always kept, and each group only drops
        // what it must.
        let kept = LIMITS.history_changes as u64;
        self.oldest = Revision(self.revision().0.saturating_sub(kept)).max(self.oldest);
    }

    fn watch(&mut self, ago: u64, pool: Option<u8>) {
        let from = Revision(self.revision().0.saturating_sub(ago));
        let (filter, hint) = match pool.map(pool_name) {
            None => (all(), None),
            Some(pool) => (in_pool(&pool), hint(&pool)),
        };
        match self.store().watch(volumes(), from, filter, hint) {
            Err(too_old) => {
                assert!(from < self.oldest);
                assert_eq!(too_old.oldest, self.oldest);
            }
            Ok(watcher) => {
                assert!(from >= self.oldest);
                let watching = Watching {
                    watcher,
                    pool,
                    position: from,
                    began: self.revision(),
                };
                if self.watching.len() == 4 {
                    self.watching.remove(0);
                }
                self.watching.push(watching);
            }
        }
    }

    fn read(&mut self, which: usize, most: usize) {
        if which >= self.watching.len() {
            return;
        }
        let mut watching = self.watching.remove(which);
        for _ in 0..most {
            let next = watching.watcher.try_next();
            if !self.is_right(&mut watching, next) {
                return;
            }
        }
        self.watching.insert(which, watching);
    }

    /// Whether a watcher goes on; panics if it was told wrong.
    fn is_right(
        &self,
        watching: &mut Watching,
        next: Result<Option<WatchEvent>, WatchEnd>,
    ) -> bool {
        let pool = watching.pool.map(pool_name);
        let concerns = |event: &Event| {
            let is_in = |state: &Option<State>| {
                state
                    .as_ref()
                    .is_some_and(|it| Some(&it.1) == pool.as_ref())
            };
            pool.is_none() || is_in(&event.after) || is_in(&event.before)
        };
        let ahead: Vec<Revision> = (watching.position.0 + 1..=self.revision().0)
            .map(Revision)
            .filter(|&revision| concerns(self.event(revision)))
            .collect();
        match next {
            Ok(None) => {
                assert_eq!(ahead, [], "there was more to tell");
                watching.position = self.revision();
                let position = watching.watcher.position();
                assert_eq!(position, Ok(self.revision()));
                true
            }
            Ok(Some(told)) => {
                let expected = self.event(ahead[0]);
                assert_eq!(told.revision, ahead[0], "a gap, or out of order");
                assert_eq!(told.object.key.name, expected.name);
                assert_eq!(told.object.bytes, expected.bytes);
                assert_eq!(told.removed, expected.after.is_none());
                let before = told.before.map(|old| (old.revision, old.bytes));
                assert_eq!(before, expected.before.clone().map(|old| (old.0, old.2)));
                watching.position = told.revision;
                true
            }
            Err(end) => {
                assert_eq!(end, WatchEnd::Lagged);
                let began_in_the_past = watching.position < watching.began;
                let is_lost = ahead.first().is_some_and(|&next| next <= self.oldest)
                    || (began_in_the_past && watching.position < self.oldest);
                assert!(
                    is_lost || ahead.len() > LIMITS.watcher_backlog,
                    "nothing was lost"
                );
                false
            }
        }
    }

    fn page(&mut self, limit: usize, pool: Option<u8>) {
        let (at, pool, after) = match self.paging.take() {
            None => (self.revision(), pool, None),
            Some((at, pool, after)) => (at, pool, Some(after)),
        };
        let name = pool.map(pool_name);
        let keep = |indexed: &Indexed| name.as_ref().is_none_or(|name| indexed.field(POOL) == name);
        let query = Query {
            of: &volumes(),
            hint: name.as_deref().map(|name| (POOL, name)),
            after: after.as_ref(),
            limit,
            keep: &keep,
        };
        let page = self.store().page(&query, Some(at));
        let Ok(page) = page else {
            assert!(at < self.oldest, "nothing was too old");
            return;
        };
        assert!(at >= self.oldest);
        assert_eq!(page.revision, at);
        let begin = after.map_or(String::new(), |(_, name)| name + "\0");
        let there = self.objects_at(at);
        let rest: Vec<_> = there
            .range(begin..)
            .filter(|(_, state)| name.as_ref().is_none_or(|name| *name == state.1))
            .collect();
        let limit = if limit == 0 { usize::MAX } else { limit };
        let expected: Vec<_> = rest
            .iter()
            .take(limit)
            .map(|(name, state)| (*name, state.0))
            .collect();
        let told: Vec<_> = page
            .items
            .iter()
            .map(|item| (&item.key.name, item.revision))
            .collect();
        assert_eq!(told, expected);
        self.check_rest(&page, rest.len() - expected.len(), pool);
        self.paging = page.next.map(|next| (at, pool, next));
    }

    fn check_rest(&self, page: &Page, rest: usize, pool: Option<u8>) {
        assert_eq!(page.next.is_some(), rest > 0);
        if pool.is_none() {
            assert_eq!(page.remaining.unwrap_or(0), rest as u64);
        }
    }

    fn objects_at(&self, at: Revision) -> BTreeMap<String, State> {
        let mut objects = BTreeMap::new();
        for revision in (2..=at.0).map(Revision) {
            let event = self.event(revision);
            match event.after.clone() {
                Some(state) => objects.insert(event.name.clone(), state),
                None => objects.remove(&event.name),
            };
        }
        objects
    }

    /// Watchers are told the rest, and begin again where they were.
    async fn reopen(&mut self) {
        self.store = None;
        let mut resumed = Vec::new();
        for mut watching in std::mem::take(&mut self.watching) {
            loop {
                match watching.watcher.next().await {
                    Err(WatchEnd::Closed) => {
                        assert!(self.is_right(&mut watching, Ok(None)));
                        resumed.push((watching.position, watching.pool));
                        break;
                    }
                    Err(end) => {
                        assert!(!self.is_right(&mut watching, Err(end)));
                        break;
                    }
                    Ok(event) => assert!(self.is_right(&mut watching, Ok(Some(event)))),
                }
            }
        }
        self.store = Some(open_within(&self.medium, LIMITS));
        for (position, pool) in resumed {
            self.watch(self.revision().0 - position.0, pool);
        }
    }

    /// Compares what is there now.
    fn compare(&self) {
        let store = self.store();
        assert_eq!(store.revision(), self.revision());
        let statistics = store.statistics();
        assert_eq!(statistics.oldest, self.oldest);
        assert_eq!(statistics.watchers, self.watching.len());
        let list = store.list(&volumes(), None, 0, &|_| true);
        let there = list
            .items
            .iter()
            .map(|item| (&item.key.name, item.revision, &item.bytes));
        let expected = self
            .objects
            .iter()
            .map(|(name, state)| (name, state.0, &state.2));
        assert!(there.eq(expected));
        for number in 0..6 {
            let name = format!("vol-{number}");
            let found = store.get(&key(&name)).map(|stored| stored.bytes);
            assert_eq!(found, self.objects.get(&name).map(|state| state.2.clone()));
        }
    }
}

/// The change that is wanted of an object in this state.
fn change(name: &str, wanted: &Wanted, current: Option<&State>) -> Change {
    let key = key(name);
    let right = current.map(|state| state.0);
    let expected = match (right, wanted.is_right) {
        (Some(right), true) => Expected::Revision(right),
        (None, true) => Expected::Absent,
        // No object is of this one.
        (_, false) => Expected::Revision(Revision::FIRST),
    };
    match (wanted.pool, expected) {
        (Some(pool), expected) => put(&key, &pool_name(pool), "", expected),
        (None, Expected::Revision(revision)) => {
            let last = object(
                &key,
                &current.map_or(String::new(), |state| state.1.clone()),
                "",
            );
            debug_assert_eq!(indexed(&last).name, name);
            remove_if(&key, revision, last)
        }
        // There is nothing to remove: it must be refused.
        (None, Expected::Absent) => remove_if(&key, Revision::FIRST, object(&key, "", "")),
    }
}
