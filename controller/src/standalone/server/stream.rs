//! A watch as it is sent: a task of its own that writes lines until something ends it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until};

use super::answer;
use super::asked::Asked;
use super::body::Body;
use super::present::{Presenter, line};
use super::{Answered, Api, read, stopped};
use crate::standalone::error::ApiError;
use crate::standalone::identity::Identity;
use crate::standalone::request::accept::Encoding;
use crate::standalone::request::options::ListOptions;
use crate::standalone::store::{Filter, Indexed, Revision, Stored, WatchEnd, Watcher};
use crate::standalone::watch;

/// Lines that wait to be sent. What waits beyond is not copied: the store's watcher stands at it.
const WAITING: usize = 8;

/// A watch that asks for no end ends after half an hour to an hour, as at a real API server.
const SHORTEST: u64 = 1_800;

/// Watches, counted by who has them.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<Identity, usize>>);

/// One watch among those that are counted.
struct Counted {
    api: Arc<Api>,
    who: Identity,
}

impl Watches {
    fn enter(api: &Arc<Api>, who: &Identity) -> Result<Counted, ApiError> {
        let mut counts = api.watches.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.get(who).copied().unwrap_or_default();
        if all >= api.limits.watches || own >= api.limits.watches_each {
            return Err(ApiError::too_many_requests());
        }
        counts.insert(who.clone(), own + 1);
        Ok(Counted {
            api: Arc::clone(api),
            who: who.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let watches = &self.api.watches.0;
        let mut counts = watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = counts.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                counts.remove(&self.who);
            }
        }
    }
}

/// What there is when a watch begins.
#[derive(Default)]
struct Beginning {
    items: Vec<Stored>,
    is_marked: bool,
}

/// A watch that is being sent.
struct Stream<K> {
    api: Arc<Api>,
    presenter: Presenter,
    watcher: Watcher,
    keep: K,
    sender: mpsc::Sender<Bytes>,
    bookmarks: bool,
    deadline: Instant,
    is_first: bool,
    _counted: Counted,
}

/// The client is gone, or there is nothing more to tell it.
struct Ended;

/// `watch`
pub(super) async fn watch(api: &Arc<Api>, asked: &Asked, expires: i64) -> Answered {
    let options = ListOptions::parse(&asked.query, &asked.resource)?;
    if asked.presenter.form.encoding == Encoding::Yaml {
        return Err(ApiError::not_acceptable());
    }
    let counted = Watches::enter(api, &asked.who)?;
    let keep = read::keep(&options);
    let is_any = options.revision.is_none_or(|revision| revision == 0);
    let (beginning, from) = match options.initial_events {
        Some(true) => {
            read::refuse_future(api, options.revision)?;
            begin(api, asked, &options).await?
        }
        None if is_any => begin(api, asked, &options).await?,
        Some(false) if is_any => (Beginning::default(), api.store.revision()),
        _ => {
            let from = Revision(options.revision.unwrap_or_default());
            (Beginning::default(), from)
        }
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let filter: Filter = Arc::new(read::keep(&options));
    let watcher = api
        .store
        .watch(asked.scope(), from, filter, hint(asked, &options));
    match watcher {
        Err(too_old) => {
            let message = format!("too old resource version: {from} ({})", too_old.oldest);
            let error = ApiError::expired(message);
            // There is room for it in a channel that nobody wrote to.
            let _ = sender.try_send(error_line(&error));
        }
        Ok(watcher) => {
            let stream = Stream {
                api: Arc::clone(api),
                presenter: asked.presenter.clone(),
                watcher,
                keep,
                sender,
                bookmarks: options.bookmarks,
                deadline: Instant::now() + lifetime(&options, asked.now, expires),
                is_first: true,
                _counted: counted,
            };
            tokio::spawn(stream.run(beginning, from));
        }
    }
    Ok(answer::of(
        StatusCode::OK,
        answer::JSON,
        Body::stream(receiver),
    ))
}

/// What there is, and of which revision.
async fn begin(
    api: &Api,
    asked: &Asked,
    options: &ListOptions,
) -> Result<(Beginning, Revision), ApiError> {
    let limit = api.limits.large_list;
    let mut page = read::current(api, asked, options, limit)?;
    let mut _permit = None;
    if page.next.is_some() {
        drop(page);
        _permit = Some(api.gates.large_list().await?);
        page = read::current(api, asked, options, 0)?;
    }
    let beginning = Beginning {
        items: page.items,
        is_marked: options.bookmarks,
    };
    Ok((beginning, page.revision))
}

/// A field's value that the selector demands, by which the store finds who is concerned.
fn hint(asked: &Asked, options: &ListOptions) -> Option<(String, String)> {
    const NAME: &str = "metadata.name";
    let name = options.fields.exact(NAME).map(|name| (NAME, name));
    let (field, value) = name.or_else(|| read::hint(asked, options))?;
    Some((field.to_owned(), value.to_owned()))
}

/// How long a watch lasts: as long as was asked, but not longer than the certificate.
fn lifetime(options: &ListOptions, now: jiff::Timestamp, expires: i64) -> Duration {
    let asked = options
        .timeout
        .unwrap_or_else(|| Duration::from_secs(SHORTEST + fastrand::u64(..SHORTEST)));
    let left = u64::try_from(expires.saturating_sub(now.as_second())).unwrap_or_default();
    asked.min(Duration::from_secs(left))
}

fn error_line(error: &ApiError) -> Bytes {
    line("ERROR", error.to_status().to_string().as_bytes())
}

impl<K: Fn(&Indexed) -> bool + Send + Sync> Stream<K> {
    async fn run(mut self, beginning: Beginning, from: Revision) {
        // However it ends, the sender is dropped with it, and that ends the answer.
        let _: Result<(), Ended> = self.tell(beginning, from).await;
    }

    async fn tell(&mut self, beginning: Beginning, from: Revision) -> Result<(), Ended> {
        for item in beginning.items {
            self.send("ADDED", &item).await?;
        }
        if beginning.is_marked {
            self.bookmark(from, true).await?;
        }
        let mut stopping = self.api.stopping.clone();
        let every = self.api.limits.bookmark;
        let mut bookmarks = interval_at(Instant::now() + every, every);
        loop {
            tokio::select! {
                biased;
                () = self.sender.closed() => return Err(Ended),
                () = stopped(&mut stopping) => return self.last().await,
                () = sleep_until(self.deadline) => return self.last().await,
                _ = bookmarks.tick(), if self.bookmarks => {
                    if let Ok(position) = self.watcher.position() {
                        self.bookmark(position, false).await?;
                    }
                }
                event = self.watcher.next() => match event {
                    Ok(event) => {
                        if let Some(told) = watch::told(event, &self.keep) {
                            self.send(told.kind, &told.object).await?;
                        }
                    }
                    Err(WatchEnd::Closed) => return Err(Ended),
                    Err(WatchEnd::Lagged) => {
                        let error = ApiError::expired("too old resource version: the watch was too slow");
                        return self.put(error_line(&error)).await;
                    }
                },
            }
        }
    }

    /// Says how far the watch came, so that the next one begins there.
    async fn last(&mut self) -> Result<(), Ended> {
        if self.bookmarks
            && let Ok(position) = self.watcher.position()
        {
            self.bookmark(position, false).await?;
        }
        Ok(())
    }

    async fn send(&mut self, kind: &str, object: &Stored) -> Result<(), Ended> {
        let line = self.presenter.event(kind, object, self.is_first);
        self.put(line).await
    }

    async fn bookmark(&mut self, revision: Revision, is_end: bool) -> Result<(), Ended> {
        let line = self.presenter.bookmark(revision.0, is_end, self.is_first);
        self.put(line).await
    }

    async fn put(&mut self, line: Bytes) -> Result<(), Ended> {
        self.is_first = false;
        self.sender.send(line).await.map_err(|_| Ended)
    }
}
