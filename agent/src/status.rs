//! `weir-agent status`: what the agent published, as a table or as JSON.

use std::fmt::Write;
use std::io;
use std::path::Path;

use serde_json::Value;
use weir_api::condition::{self, Condition, Truth};
use weir_api::parse::{Request, parse};
use weir_api::pool::StoragePool;
use weir_api::volume::Volume;

use crate::durable::{Fs, HostFs};
use crate::table::table;

/// What was published.
#[derive(Debug, Default)]
pub struct Published {
    pools: Vec<StoragePool>,
    volumes: Vec<Volume>,
    invalid: Vec<Value>,
    items: Vec<Value>,
}

impl Published {
    /// Reads the status directory. Files that are replaced meanwhile are read old or new.
    ///
    /// # Errors
    /// It can't be read, or holds a file that is not the agent's.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let mut published = Published::default();
        for name in HostFs
            .list(dir)?
            .iter()
            .filter(|name| name.ends_with(".json"))
        {
            let bytes = match HostFs.read(&dir.join(name)) {
                Ok(bytes) => bytes,
                // Gone since the directory was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let text = String::from_utf8(bytes).map_err(io::Error::other)?;
            let value = serde_json::from_str(&text)?;
            if name.starts_with("invalid-") {
                published.invalid.push(value);
                continue;
            }
            match parse(&text).map_err(io::Error::other)? {
                Request::Pool(pool) => published.pools.push(pool),
                Request::Volume(volume) => published.volumes.push(volume),
            }
            published.items.push(value);
        }
        Ok(published)
    }

    /// `{"items": [...], "invalid": [...]}`
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::json!({"items": self.items, "invalid": self.invalid})
    }

    /// Tables for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let pools: Vec<_> = self.pools.iter().map(pool_row).collect();
        let head = ["POOL", "VOLUME GROUP", "SIZE", "FREE", "READY", "MESSAGE"];
        table(&mut text, head, &pools);
        let volumes: Vec<_> = self.volumes.iter().map(volume_row).collect();
        let head = ["VOLUME", "POOL", "SIZE", "PHASE", "ATTACHED", "MESSAGE"];
        table(&mut text, head, &volumes);
        for invalid in &self.invalid {
            let field = |name: &str| invalid[name].as_str().unwrap_or_default().to_owned();
            let _ = writeln!(
                text,
                "invalid request {}: {}",
                field("file"),
                field("error")
            );
        }
        if text.is_empty() {
            text.push_str("no pools and no volumes\n");
        }
        text
    }
}

fn pool_row(pool: &StoragePool) -> [String; 6] {
    let status = pool.status.clone().unwrap_or_default();
    let is_ready = |c: &&Condition| c.kind == condition::READY;
    let ready = status.conditions.iter().find(is_ready);
    [
        pool.metadata.name.to_string(),
        pool.spec.engine.kernel.volume_group.to_string(),
        status.capacity_bytes.to_string(),
        status.free_bytes.to_string(),
        ready.map_or("Unknown".to_owned(), |ready| format!("{:?}", ready.status)),
        message(&status.conditions),
    ]
}

fn volume_row(volume: &Volume) -> [String; 6] {
    let attached = volume.spec.attachments.first();
    let attached = attached.map_or("-".to_owned(), |grant| grant.node_name.to_string());
    let Some(status) = &volume.status else {
        let name = volume.metadata.name.to_string();
        return [
            name,
            String::new(),
            String::new(),
            String::new(),
            attached,
            String::new(),
        ];
    };
    let way = match (&status.device_path, &status.target) {
        (Some(path), _) => path.clone(),
        (None, Some(target)) => {
            let portals: Vec<String> = target.portals.iter().map(ToString::to_string).collect();
            portals.join(" ")
        }
        (None, None) => String::new(),
    };
    let said = message(&status.conditions);
    [
        volume.metadata.name.to_string(),
        volume.spec.pool_name.to_string(),
        status.capacity_bytes.to_string(),
        status.phase.to_string(),
        attached,
        if said.is_empty() { way } else { said },
    ]
}

/// What is not as it should be.
fn message(conditions: &[Condition]) -> String {
    let bad_if_true = [
        condition::REFUSED,
        condition::ORPHANED,
        condition::ORPHANS,
        condition::THIN_POOL_FULL,
    ];
    let is_bad = |c: &&Condition| match c.status {
        Truth::True => bad_if_true.contains(&c.kind.as_str()),
        Truth::False => true,
        Truth::Unknown => false,
    };
    let mut said: Vec<String> = conditions
        .iter()
        .filter(is_bad)
        .map(|c| format!("{}: {}", c.reason, c.message))
        .collect();
    said.dedup();
    said.join("; ")
}
