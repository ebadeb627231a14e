//! The explanation as a page: the answer first, then what it rests on.

use std::fmt::Write;
use std::time::Duration;

use weir_api::condition::Truth;
use weir_api::names::ObjectName;

use super::explanation::Explanation;
use super::told::{ConditionTold, EventTold, PlacementTold};
use crate::attachment_state::AttachmentState;
use crate::elapsed;
use crate::pool_state::PoolState;

/// How many events are shown.
const MOST_EVENTS: usize = 12;

/// The page.
pub(super) fn page(all: &Explanation) -> String {
    let mut text = String::new();
    let ago = all
        .created_seconds_ago
        .map(words)
        .unwrap_or_else(|| "?".to_owned());
    let _ = writeln!(
        text,
        "volume {}: {}, {}, created {ago} ago, id {}",
        all.name, all.phase, all.capacity_bytes, all.id
    );
    if let Some(ordered) = all.deletion_ordered_seconds_ago {
        let _ = writeln!(text, "its deletion was ordered {} ago", words(ordered));
    }
    let _ = writeln!(text, "\nwaits for   {}", all.waits_for.message);
    for (index, next) in all.waits_for.next.iter().enumerate() {
        let _ = writeln!(text, "{:<12}{next}", if index == 0 { "next" } else { "" });
    }
    section(&mut text, "controller", [all.controller.words()]);
    section(&mut text, "pool", pool(all));
    section(
        &mut text,
        "placement",
        all.placement.iter().flat_map(placement),
    );
    section(
        &mut text,
        "conditions",
        all.conditions.iter().map(condition),
    );
    section(
        &mut text,
        "attachments",
        all.attachments.iter().map(attachment),
    );
    let hidden = all.events.len().saturating_sub(MOST_EVENTS);
    let events = all.events.iter().take(MOST_EVENTS).map(event);
    let more = (hidden > 0).then(|| {
        format!(
            "and {hidden} older ones: kubectl describe wvol {}",
            all.name
        )
    });
    section(&mut text, "events", events.chain(more));
    text
}

fn section(text: &mut String, head: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "\n{head}");
    }
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn words(seconds: u64) -> String {
    elapsed::words(Duration::from_secs(seconds))
}

fn pool(all: &Explanation) -> Vec<String> {
    match (&all.pool_name, &all.pool) {
        (None, _) => vec!["none was chosen".to_owned()],
        (Some(name), None) => vec![format!("{name}: there is no StoragePool of that name")],
        (Some(_), Some(pool)) => pool_lines(pool),
    }
}

fn pool_lines(pool: &PoolState) -> Vec<String> {
    let ready = match pool.ready {
        Truth::True => "Ready".to_owned(),
        Truth::False => format!("not Ready ({}): {}", pool.reason, pool.message),
        Truth::Unknown => format!("not known to be Ready ({}): {}", pool.reason, pool.message),
    };
    let mut lines = vec![
        format!("{} on node {}: {ready}", pool.name, pool.node_name),
        format!("{} of {} free", pool.free_bytes, pool.capacity_bytes),
        format!(
            "the agent on node {} {}",
            pool.node_name,
            pool.agent.words()
        ),
    ];
    if pool.is_cordoned || pool.is_node_cordoned {
        lines.push("cordoned: it takes no new volumes, and keeps those it has".to_owned());
    }
    lines
}

fn placement(placement: &PlacementTold) -> Vec<String> {
    let names = |names: &[ObjectName]| {
        let names: Vec<&str> = names.iter().map(ObjectName::as_str).collect();
        names.join(", ")
    };
    let ago = placement
        .seconds_ago
        .map(words)
        .unwrap_or_else(|| "?".to_owned());
    let mut lines = vec![match &placement.pool_name {
        Some(pool) => format!(
            "{pool} was chosen {ago} ago, of {}",
            names(&placement.compared)
        ),
        None => format!("no pool passed every filter, {ago} ago"),
    }];
    let filtered = placement.filtered.iter();
    lines.extend(filtered.map(|one| {
        format!(
            "left out by {}: {} ({})",
            one.filter,
            one.count,
            names(&one.examples)
        )
    }));
    lines
}

fn condition(one: &ConditionTold) -> String {
    let mark = if one.is_bad { "!" } else { " " };
    let says = one.words.map_or_else(
        || format!("{} is {:?}", one.kind, one.status),
        |words| format!("{}: {words}", one.kind),
    );
    let since = one.seconds_ago.map(|ago| format!(", for {}", words(ago)));
    let message = match one.message.is_empty() {
        true => String::new(),
        false => format!(": {}", one.message),
    };
    format!(
        "{mark} {says} ({}{}){message}",
        one.reason,
        since.unwrap_or_default()
    )
}

fn attachment(one: &AttachmentState) -> String {
    let mode = if one.is_read_only { ", read only" } else { "" };
    let state = match (&one.way, one.is_asked_for) {
        (Some(way), _) => format!("can use it: {way}"),
        (None, true) => format!(
            "can't use it yet: {}",
            one.message.as_deref().unwrap_or_default()
        ),
        (None, false) => format!(
            "is being cut off: {}",
            one.message.as_deref().unwrap_or_default()
        ),
    };
    format!(
        "node {} (generation {}{mode}) {state}",
        one.node_name, one.generation
    )
}

fn event(one: &EventTold) -> String {
    let ago = one.seconds_ago.map(words).unwrap_or_else(|| "?".to_owned());
    let mark = if one.kind == "Warning" { "!" } else { " " };
    format!(
        "{mark} {ago} ago  {} (from {}): {}",
        one.reason, one.from, one.message
    )
}

#[cfg(test)]
mod tests {
    use super::super::explanation::Known;
    use super::*;
    use crate::samples::{condition, controller, volume};
    use serde_json::json;

    #[test]
    fn the_page_begins_with_the_answer() {
        let status = json!({
            "conditions": [
                condition("Scheduled", "False", "NoPoolFits", "none of 2 pools fits: 2 cordoned (schedulable: a, b)"),
                condition("OfALaterVersion", "True", "Why", ""),
            ],
            "placement": {"filtered": [{"filter": "schedulable", "count": 2, "examples": ["a", "b"]}]},
        });
        let volume = volume(
            "pg",
            json!({"attachments": [{"nodeName": "app", "generation": 1}]}),
            status,
        );
        let explanation = Explanation::of(&Known {
            volume: &volume,
            pool: None,
            controller: controller(true),
            events: &[],
            now: "2026-11-27T12:00:00Z".parse().unwrap(),
        });
        let page = page(&explanation);
        let lines = [
            "volume pg: Pending, 1 GiB, created 1 h ago, id 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
            "",
            "waits for   none of 2 pools fits: 2 cordoned (schedulable: a, b)",
            "next        schedulable (2): weir uncordon pool a, or add a pool",
            "",
            "controller",
            "  ctl-1 leads, heard 2 s ago",
            "",
            "pool",
            "  none was chosen",
            "",
            "placement",
            "  no pool passed every filter, ? ago",
            "  left out by schedulable: 2 (a, b)",
            "",
            "conditions",
            "  ! Scheduled: no pool was chosen (NoPoolFits): none of 2 pools fits: 2 cordoned (schedulable: a, b)",
            "    OfALaterVersion is True (Why)",
            "",
            "attachments",
            "  node app (generation 1) can't use it yet: the agent has not granted it yet",
        ];
        assert_eq!(page.lines().collect::<Vec<_>>(), lines, "{page}");
    }
}
