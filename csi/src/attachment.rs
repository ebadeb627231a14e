//! Granting a volume to a node, and ending that: what has to be written, and when it has come true.
//!
//! Who decides is the agent of the volume's pool: it grants nothing before what was granted before has ended. Here nothing is even
//! asked for that would be two users of a volume with one, and nothing is called done that the agent has not said.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_api::condition::{self, Condition, EXPORTED, ORPHANED, READY, REFUSED, Truth, reason};
use weir_api::crd::Volume;
use weir_api::names::{Generation, NodeName};
use weir_api::volume::{Access, Attachment, AttachmentStatus, Phase, VolumeStatus};

use crate::capability::{Form, Sharing, Use};
use crate::failure::Failure;
use crate::progress::is_nowhere;
use crate::wanted::{FORM, served_by_agents};

/// The annotation that has the highest generation that was ever asked for: it stays when the attachment goes.
pub const GENERATION: &str = "csi.weir.dev/generation";
/// As many nodes may use a volume at once.
const MOST: usize = 16;
/// Why an agent does not export what is asked for, where that says nothing about what is not asked for any more: by then it has
/// ended all of that.
const ABOUT_OTHERS: [&str; 4] = [
    reason::IN_USE,
    reason::FOREIGN,
    reason::NO_PORTAL,
    reason::PORTAL_UNAVAILABLE,
];

/// A node that is to be granted a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which node.
    pub node: NodeName,
    /// For what.
    pub usage: Use,
    /// Whether it only reads.
    pub is_read_only: bool,
}

/// What is to be done for a grant.
#[derive(Clone, Debug, PartialEq)]
pub enum Grant {
    /// Nothing: it was asked for before.
    Asked(Generation),
    /// It is to be asked for.
    New(Generation, Value),
}

/// What is to be done for a grant. `now`, seconds since 1970, is the least generation: an object that was restored from an old copy
/// has forgotten some.
///
/// # Errors
/// Somebody else has the volume, or it can't be used so.
pub fn grant(volume: &Volume, ask: &Ask, now: u64) -> Result<Grant, Failure> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    if volume.metadata.deletion_timestamp.is_some() {
        return Err(Failure::Precondition(format!(
            "volume `{name}` is being deleted"
        )));
    }
    fits(volume, name, &ask.usage)?;
    let node = &ask.node;
    let asked = &volume.spec.attachments;
    if let Some(own) = asked.iter().find(|one| one.node_name == *node) {
        if own.read_only == ask.is_read_only {
            return Ok(Grant::Asked(own.generation));
        }
        let how = |is_read_only| if is_read_only { "to read" } else { "to write" };
        return Err(Failure::AlreadyExists(format!(
            "volume `{name}` is granted to node `{node}` {}, not {}",
            how(own.read_only),
            how(ask.is_read_only)
        )));
    }
    let status = volume.status.as_ref();
    let shown = status.map_or(&[][..], |status| &status.attachments[..]);
    let ending = shown.iter().map(|one| &one.node_name);
    let is_asked = |other: &NodeName| asked.iter().any(|one| one.node_name == *other);
    let mut ending = ending.filter(|other| *other != node && !is_asked(other));
    if let Some(other) = ending.next() {
        // For a volume with several users it would do no harm, but who is gone is only known when it is.
        let message = format!(
            "volume `{name}` is being taken back from node `{other}`, which is not done yet"
        );
        return Err(Failure::Precondition(message));
    }
    if let Some(other) = asked.iter().find(|other| excludes(volume, other, ask)) {
        return Err(Failure::Precondition(format!(
            "volume `{name}` is granted to node `{}`",
            other.node_name
        )));
    }
    if asked.len() >= MOST {
        return Err(Failure::Precondition(format!(
            "volume `{name}` is granted to {MOST} nodes, which are the most"
        )));
    }
    let known = asked.iter().map(|one| one.generation.0);
    let known = known
        .chain(shown.iter().map(|one| one.generation.0))
        .chain([highest(volume)?]);
    let next = known.max().unwrap_or(0).checked_add(1);
    let next =
        next.ok_or_else(|| Failure::Internal(format!("volume `{name}` has no generations left")))?;
    let generation = Generation(next.max(now));
    let mut all = asked.clone();
    all.push(Attachment {
        node_name: node.clone(),
        generation,
        read_only: ask.is_read_only,
    });
    let mut granted = volume.spec.clone();
    granted.attachments.clone_from(&all);
    if granted.pool_name.is_some() {
        served_by_agents(granted)?;
    }
    let patch = json!({
        "metadata": {"annotations": {GENERATION: generation.to_string()}},
        "spec": {"attachments": all},
    });
    Ok(Grant::New(generation, patch))
}

/// Whether a volume was made for such a use.
///
/// # Errors
/// It was not.
pub fn fits(volume: &Volume, name: &str, usage: &Use) -> Result<(), Failure> {
    let noted = volume
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(FORM));
    // A volume that a person made says nothing of it.
    let is_other = noted.is_some_and(|form| form != usage.form.name());
    if is_other {
        return Err(Failure::Invalid(format!(
            "volume `{name}` was not made for {} use",
            usage.form.name()
        )));
    }
    if usage.sharing != Sharing::Alone && volume.spec.access == Access::SingleHost {
        return Err(Failure::Invalid(format!(
            "volume `{name}` was made for one node at a time"
        )));
    }
    Ok(())
}

/// Whether who has a volume keeps another from it.
fn excludes(volume: &Volume, holder: &Attachment, ask: &Ask) -> bool {
    if volume.spec.access == Access::SingleHost {
        return true;
    }
    match (ask.usage.sharing, ask.usage.form) {
        (Sharing::Alone, _) => true,
        // A file system that is read must not change under its reader, nor one that is written be read elsewhere.
        (_, Form::Mount) => !holder.read_only || !ask.is_read_only,
        (Sharing::Readers, Form::Block) => !holder.read_only,
        (Sharing::OneWriter, Form::Block) => !holder.read_only && !ask.is_read_only,
        (Sharing::Writers, Form::Block) => false,
    }
}

fn highest(volume: &Volume) -> Result<u64, Failure> {
    let noted = volume
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(GENERATION));
    let Some(text) = noted else { return Ok(0) };
    text.parse().map_err(|_| {
        // One that was granted before must never be granted again.
        Failure::Internal(format!("the annotation {GENERATION} is `{text}`, which is no number: set it to the highest generation that was granted"))
    })
}

/// How far a grant is: what the node has to know, or what is waited for.
///
/// # Errors
/// Somebody ended it.
pub fn granted(
    volume: &Volume,
    node: &NodeName,
    generation: Generation,
) -> Result<Result<BTreeMap<String, String>, String>, Failure> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let is_this = |of: &NodeName, one: Generation| of == node && one == generation;
    let asked = volume
        .spec
        .attachments
        .iter()
        .any(|one| is_this(&one.node_name, one.generation));
    if !asked || volume.metadata.deletion_timestamp.is_some() {
        return Err(Failure::Busy(format!(
            "somebody ended the grant of volume `{name}` to node `{node}`: try again"
        )));
    }
    let status = volume.status.clone().unwrap_or_default();
    let shown = status
        .attachments
        .iter()
        .find(|one| is_this(&one.node_name, one.generation));
    if let Some(context) = shown.and_then(context) {
        return Ok(Ok(context));
    }
    let told = shown.and_then(|one| one.message.clone());
    let told = told.or_else(|| {
        let wrong = [
            (REFUSED, Truth::True),
            (EXPORTED, Truth::False),
            (READY, Truth::False),
        ];
        let said = |(kind, truth): (&str, Truth)| {
            condition::get(&status.conditions, kind).filter(|one| one.status == truth)
        };
        wrong
            .into_iter()
            .find_map(said)
            .map(|one| one.message.clone())
    });
    Ok(Err(told.unwrap_or_else(|| {
        "its pool's agent has not granted it yet".to_owned()
    })))
}

/// What a node has to know, once it can use the volume.
fn context(shown: &AttachmentStatus) -> Option<BTreeMap<String, String>> {
    let mut context = BTreeMap::from([("generation".to_owned(), shown.generation.to_string())]);
    if let Some(path) = &shown.device_path {
        context.insert("devicePath".to_owned(), path.clone());
        return Some(context);
    }
    let target = shown
        .target
        .as_ref()
        .filter(|target| !target.portals.is_empty())?;
    let portals: Vec<String> = target.portals.iter().map(ToString::to_string).collect();
    context.extend([
        ("nqn".to_owned(), target.nqn.clone()),
        ("hostNqn".to_owned(), target.host_nqn.clone()),
        ("nsid".to_owned(), target.nsid.to_string()),
        ("uuid".to_owned(), target.uuid.to_string()),
        ("portals".to_owned(), portals.join(",")),
    ]);
    Some(context)
}

/// What is to be written to end the grants of a node, or (none) of all; nothing where there are none.
#[must_use]
pub fn revoke(volume: &Volume, node: Option<&NodeName>) -> Option<Value> {
    let asked = &volume.spec.attachments;
    let stays = |one: &&Attachment| node.is_some_and(|node| one.node_name != *node);
    let left: Vec<&Attachment> = asked.iter().filter(stays).collect();
    if left.len() == asked.len() {
        return None;
    }
    // Whatever was granted, by whoever, must not be granted again.
    let highest = asked.iter().map(|one| one.generation.0).max().unwrap_or(0);
    let highest = self::highest(volume).map_or(highest, |noted| noted.max(highest));
    Some(json!({
        "metadata": {"annotations": {GENERATION: highest.to_string()}},
        "spec": {"attachments": left},
    }))
}

/// Whether the grants of a node, or of all, have ended; otherwise, what is waited for.
///
/// `written` is the object's `metadata.generation` once nobody asked for them any more: what an agent says of an older state may be
/// said by one that is about to grant.
///
/// # Errors
/// What is waited for.
pub fn revoked(
    volume: &Volume,
    node: Option<&NodeName>,
    written: Option<i64>,
) -> Result<(), String> {
    let is_meant = |other: &NodeName| node.is_none_or(|node| node == other);
    if volume
        .spec
        .attachments
        .iter()
        .any(|one| is_meant(&one.node_name))
    {
        return Err("it was granted anew meanwhile".to_owned());
    }
    let status = volume.status.clone().unwrap_or_default();
    if let Some(shown) = status
        .attachments
        .iter()
        .find(|one| is_meant(&one.node_name))
    {
        let default = || {
            format!(
                "its pool's agent has not taken it back from node `{}` yet",
                shown.node_name
            )
        };
        return Err(shown.message.clone().unwrap_or_else(default));
    }
    if volume.spec.pool_name.is_none() {
        // Somebody may have cleared the pool's name of a volume that is there, and its agent goes on serving it.
        return match is_nowhere(volume) {
            true => Ok(()),
            false => Err("it is in no pool any more: whether its old pool's agent still serves it is not told".to_owned()),
        };
    }
    let is_of_this_state = match (status.observed_generation, written) {
        (Some(seen), Some(written)) => seen >= written,
        (seen, None) => seen.is_some(),
        (None, Some(_)) => false,
    };
    match is_of_this_state {
        true => nothing_left(&status),
        false => {
            Err("its pool's agent has not seen yet that nobody asks for it any more".to_owned())
        }
    }
}

/// Whether an agent that shows no grant says that there is none. It does not while it can't tell, while it serves as recorded
/// what it refuses to change, and while it is cutting somebody off, or failed to: that the list is empty is not enough.
fn nothing_left(status: &VolumeStatus) -> Result<(), String> {
    let said = |kind: &str, truth: Truth| {
        condition::get(&status.conditions, kind).filter(|one| one.status == truth)
    };
    if status.phase == Phase::Deleted {
        return Ok(());
    }
    if status.phase != Phase::Ready {
        let why = said(READY, Truth::False).map(|one| one.message.clone());
        return Err(why.unwrap_or_else(|| {
            format!(
                "it is {}: whether somebody still can use it is not told",
                status.phase
            )
        }));
    }
    let is_held = |one: &&Condition| one.reason != reason::RESIZE_NOT_SUPPORTED;
    let refused = said(REFUSED, Truth::True).filter(is_held);
    let is_unfinished = |one: &&Condition| !ABOUT_OTHERS.contains(&one.reason.as_str());
    let unfinished = said(EXPORTED, Truth::False).filter(is_unfinished);
    match refused.or(said(ORPHANED, Truth::True)).or(unfinished) {
        Some(one) => Err(one.message.clone()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
