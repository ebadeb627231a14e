//! A watch that was recorded, and the same watch here.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long what was recorded may take to come.
const PATIENCE: Duration = Duration::from_secs(3);

/// The watch.
pub(crate) struct Watching {
    name: String,
    recorded: Vec<Value>,
    ours: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Watching {
    /// Reads on in the background.
    pub(crate) fn begin(name: String, recorded: Vec<Value>, mut body: Body) -> Self {
        let ours = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&ours);
        let reader = tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                if let Some(data) = frame.data_ref() {
                    into.lock().unwrap().extend_from_slice(data);
                }
            }
        });
        Self {
            name,
            recorded: recorded.into_iter().filter(counts).map(plain).collect(),
            ours,
            reader,
        }
    }

    /// Waits for as much as was recorded, or for the end: its name, what was recorded, what came.
    pub(crate) async fn end(self) -> (String, Vec<Value>, Vec<Value>) {
        let begun = Instant::now();
        let ours = || {
            let bytes = self.ours.lock().unwrap().clone();
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let events = lines.filter_map(|line| serde_json::from_slice(line).ok());
            events.filter(counts).map(plain).collect::<Vec<_>>()
        };
        while ours().len() < self.recorded.len()
            && begun.elapsed() < PATIENCE
            && !self.reader.is_finished()
        {
            sleep(Duration::from_millis(20)).await;
        }
        // Nothing more may come.
        sleep(Duration::from_millis(50)).await;
        self.reader.abort();
        (self.name.clone(), self.recorded.clone(), ours())
    }
}

/// Bookmarks come when the server likes; only the one that ends a streamed list is owed.
fn counts(event: &Value) -> bool {
    event["type"] != "BOOKMARK" || event.to_string().contains("initial-events-end")
}

/// A bookmark's version is the list's, which is none of an object's.
fn plain(mut event: Value) -> Value {
    if event["type"] == "BOOKMARK" {
        event["object"]["metadata"]["resourceVersion"] = "…".into();
    }
    event
}
