//! The envelope of a record file: which format it is in, and who may read it.
//!
//! `version` says in which format a file is. `minReader` says which agents may serve and rewrite it,
//! by the version that they write themselves; left out, it is the version. So a format that only
//! adds fields at the top, which an older agent may keep without knowing them, leaves `minReader`
//! where it was; one that changes a meaning raises it.
//!
//! - *Upgrade*: a file of an older version is brought up to date in memory, version by version; the
//!   next write of it is in the new format.
//! - *Downgrade*: an agent that meets a newer version which it may read keeps the fields that it
//!   does not know, the version and `minReader` when it rewrites the file. One that may not read it
//!   names the file, leaves it alone and does nothing about what it records.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The format that this agent writes.
pub const VERSION: u32 = 3;

/// What a file records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A pool.
    Pool,
    /// A volume.
    Volume,
}

/// Brings the fields of a file from one version to the next.
pub(super) type Upgrade = fn(Kind, &mut Map<String, Value>) -> Result<(), String>;

/// A format, as an agent that writes it knows it.
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// Its number, from 1 on.
    pub(super) version: u32,
    /// The oldest agent that may serve and rewrite it.
    pub(super) min_reader: u32,
    /// One for each earlier version: the first brings version 1 to 2.
    pub(super) upgrades: &'static [Upgrade],
}

/// The format that this agent writes.
pub(super) const CURRENT: Format = Format {
    version: VERSION,
    // An agent of version 1 would take a volume of version 2 for one that nobody is attached to.
    min_reader: 2,
    upgrades: &[several_attachments, joined],
};

/// Version 2: a volume may be attached to several nodes.
fn several_attachments(kind: Kind, fields: &mut Map<String, Value>) -> Result<(), String> {
    if kind == Kind::Volume {
        let attachment = fields.remove("attachment").unwrap_or_default();
        let attachments = match attachment {
            Value::Null => Vec::new(),
            attachment => vec![attachment],
        };
        fields.insert("attachments".to_owned(), attachments.into());
    }
    Ok(())
}

/// Version 3: a pool has the cluster that owns it, and a volume may have been rejected. An agent of version 2
/// keeps what it does not know of a pool, and leaves alone a volume whose state it does not know: so it may
/// read both.
#[expect(clippy::unnecessary_wraps, reason = "an upgrade's type")]
fn joined(_: Kind, _: &mut Map<String, Value>) -> Result<(), String> {
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    version: u32,
    min_reader: Option<u32>,
}

impl Envelope {
    fn min_reader(&self) -> u32 {
        self.min_reader.unwrap_or(self.version)
    }
}

impl Format {
    /// Reads a file of this version, an older one, or a newer one that says it may be read.
    ///
    /// # Errors
    /// Says what is wrong with it; what it records is unknown then.
    pub(super) fn read<T: DeserializeOwned>(&self, kind: Kind, bytes: &[u8]) -> Result<T, String> {
        self.parse(kind, bytes).map(|(record, _)| record)
    }

    /// The bytes of a file that is to replace `old`.
    ///
    /// # Errors
    /// `old` is of a newer version that this agent may not read: it must not be replaced.
    pub(super) fn write<T: Serialize + DeserializeOwned>(
        &self,
        kind: Kind,
        record: &T,
        old: Option<&[u8]>,
    ) -> Result<Vec<u8>, String> {
        let text = |error: serde_json::Error| error.to_string();
        let mut added = Map::new();
        if self.min_reader != self.version {
            added.insert("minReader".to_owned(), self.min_reader.into());
        }
        if let Some(old) = old
            && let Some(envelope) = self.newer(old)?
        {
            let (_, unknown) = self.parse::<T>(kind, old)?;
            added.extend(unknown);
            added.insert("version".to_owned(), envelope.version.into());
            added.insert("minReader".to_owned(), envelope.min_reader().into());
        }
        if added.is_empty() {
            return serde_json::to_vec_pretty(record).map_err(text);
        }
        let mut fields = serde_json::to_value(record).map_err(text)?;
        if let Some(fields) = fields.as_object_mut() {
            fields.extend(added);
        }
        serde_json::to_vec_pretty(&fields).map_err(text)
    }

    /// Checks that a file may be removed or replaced: a damaged one may, one that only a newer
    /// agent understands may not.
    ///
    /// # Errors
    /// Says which agents may read it.
    pub(super) fn check_replaceable(&self, bytes: &[u8]) -> Result<(), String> {
        self.newer(bytes).map(drop)
    }

    /// The envelope of a file of a newer version that this agent may read.
    fn newer(&self, bytes: &[u8]) -> Result<Option<Envelope>, String> {
        let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) else {
            return Ok(None);
        };
        if envelope.min_reader() > self.version {
            return Err(format!(
                "has version {}, for agents that know version {} or later; this one knows {}",
                envelope.version,
                envelope.min_reader(),
                self.version
            ));
        }
        Ok((envelope.version > self.version).then_some(envelope))
    }

    /// What is recorded, and the fields that only a newer agent knows.
    fn parse<T: DeserializeOwned>(
        &self,
        kind: Kind,
        bytes: &[u8],
    ) -> Result<(T, Map<String, Value>), String> {
        let text = |error: serde_json::Error| error.to_string();
        // The version comes first: a newer format would fail with an error about some field.
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(text)?;
        if envelope.version == 0 {
            return Err("has version 0, which there never was".to_owned());
        }
        let is_newer = self.newer(bytes)?.is_some();
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(text)?;
        let done = self.upgrades.len().min(envelope.version as usize - 1);
        for upgrade in &self.upgrades[done..] {
            upgrade(kind, &mut fields)?;
        }
        fields.remove("minReader");
        fields.insert("version".to_owned(), self.version.into());
        let mut unknown = Vec::new();
        let record = serde_ignored::deserialize(
            Value::Object(fields.clone()),
            |path: serde_ignored::Path| {
                unknown.push(path.to_string());
            },
        );
        let record = record.map_err(text)?;
        // A field inside another one would be lost when that one is written again.
        match unknown
            .iter()
            .find(|field| !is_newer || field.contains('.'))
        {
            Some(field) => Err(format!("unknown field `{field}`")),
            None => {
                fields.retain(|field, _| unknown.contains(field));
                Ok((record, fields))
            }
        }
    }
}

#[cfg(test)]
mod tests;
