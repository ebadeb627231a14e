//! The summary on one screen, whatever the size of the cluster.

use std::fmt::Write;

use weir_api::condition::Truth;
use weir_api::pool::ThinUsage;
use weir_api::units::Bytes;

use super::summary::{Summary, Volumes};
use crate::concern::{Concerns, Weight};
use crate::lease::Hearing;
use crate::pool_state::PoolState;
use crate::table::table;

/// How many pools are shown: those that are not Ready first.
const MOST_POOLS: usize = 15;
/// How many kinds of trouble are shown.
const MOST_WRONG: usize = 10;
/// How many objects are named of those with the same trouble.
const MOST_NAMES: usize = 3;

/// The screen.
pub(super) fn screen(summary: &Summary) -> String {
    let mut text = String::new();
    for (name, said) in [
        ("controller", summary.controller.words()),
        ("agents", agents(summary)),
        ("pools", pools(summary)),
        ("capacity", capacity(summary)),
        ("volumes", volumes(&summary.volumes)),
        ("others", others(summary)),
    ] {
        if !said.is_empty() {
            let _ = writeln!(text, "{name:<12}{said}");
        }
    }
    if !summary.pools.is_empty() {
        text.push('\n');
        text.push_str(&pool_table(&summary.pools));
    }
    text.push('\n');
    text.push_str(&wrong(&summary.wrong));
    text
}

fn agents(summary: &Summary) -> String {
    let count = |hearing| {
        let agents = summary.agents.iter();
        agents.filter(|agent| agent.hearing == hearing).count()
    };
    let counts = [
        (count(Hearing::Heard), "heard"),
        (count(Hearing::Silent), "silent"),
        (count(Hearing::Never), "never heard"),
    ];
    list(counts).unwrap_or_else(|| "none".to_owned())
}

fn pools(summary: &Summary) -> String {
    let count =
        |is_so: fn(&PoolState) -> bool| summary.pools.iter().filter(|pool| is_so(pool)).count();
    let counts = [
        (count(PoolState::is_ready), "Ready"),
        (count(|pool| !pool.is_ready()), "not Ready"),
        (
            count(|pool| pool.is_cordoned || pool.is_node_cordoned),
            "cordoned",
        ),
        (count(|pool| pool.is_being_deleted), "being deleted"),
    ];
    match list(counts) {
        Some(counts) => format!("{}: {counts}", summary.pools.len()),
        None => "none: apply a StoragePool (deploy/samples/pool.yaml is one)".to_owned(),
    }
}

fn capacity(summary: &Summary) -> String {
    let all = summary.capacity;
    if all.total_bytes == Bytes(0) {
        return String::new();
    }
    format!(
        "{}: {} used, {} free, of which new volumes can have {}",
        all.total_bytes, all.used_bytes, all.free_bytes, all.usable_bytes
    )
}

fn volumes(volumes: &Volumes) -> String {
    let phases = volumes
        .by_phase
        .iter()
        .map(|(phase, count)| format!("{count} {phase}"));
    let mut said: Vec<String> = phases.collect();
    for (count, what) in [
        (volumes.unplaced, "in no pool"),
        (volumes.being_deleted, "being deleted"),
    ] {
        if count > 0 {
            said.push(format!("{count} {what}"));
        }
    }
    match said.is_empty() {
        true => "none".to_owned(),
        false => format!("{}: {}", volumes.total, said.join(", ")),
    }
}

fn others(summary: &Summary) -> String {
    let others = summary
        .others
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"));
    others.collect::<Vec<_>>().join(", ")
}

fn list<const N: usize>(counts: [(usize, &str); N]) -> Option<String> {
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn pool_table(pools: &[PoolState]) -> String {
    let mut shown: Vec<&PoolState> = pools.iter().collect();
    shown.sort_by_key(|pool| (pool.is_ready(), pool.name.as_str()));
    let hidden = shown.len().saturating_sub(MOST_POOLS);
    shown.truncate(MOST_POOLS);
    let rows: Vec<_> = shown.into_iter().map(pool_row).collect();
    let head = [
        "POOL",
        "NODE",
        "READY",
        "SIZE",
        "USED",
        "FREE",
        "THIN",
        "VOLUMES",
        "NEW VOLUMES",
    ];
    let mut text = table(head, &rows);
    if hidden > 0 {
        let _ = writeln!(text, "and {hidden} more: kubectl get wpool");
    }
    text
}

fn pool_row(pool: &PoolState) -> [String; 9] {
    let ready = match pool.ready {
        Truth::True => "yes".to_owned(),
        Truth::False => format!("no: {}", pool.reason),
        Truth::Unknown => format!("unknown: {}", pool.reason),
    };
    let new = if pool.is_being_deleted {
        "no: being deleted"
    } else if pool.is_cordoned {
        "no: cordoned"
    } else if pool.is_node_cordoned {
        "no: its node is cordoned"
    } else if pool.is_ready() {
        "yes"
    } else {
        "no"
    };
    [
        pool.name.clone(),
        pool.node_name.clone(),
        ready,
        pool.capacity_bytes.to_string(),
        pool.used_bytes.to_string(),
        pool.free_bytes.to_string(),
        pool.thin.map_or("-".to_owned(), thin),
        pool.volumes.to_string(),
        new.to_owned(),
    ]
}

/// How full a thin pool is. Its metadata is hardly ever what fills up first, and is shown when it is.
fn thin(usage: ThinUsage) -> String {
    let data = format!("{} %", usage.data_percent);
    if usage.is_metadata_over() {
        return format!("{data}, metadata {} %", usage.metadata_percent);
    }
    data
}

fn wrong(wrong: &[Concerns]) -> String {
    if wrong.is_empty() {
        return "nothing is wrong\n".to_owned();
    }
    let mut text = "what is wrong, and what to do next:\n".to_owned();
    for one in wrong.iter().take(MOST_WRONG) {
        let weight = match one.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        let _ = writeln!(
            text,
            "  {weight:<9}{} {}: {}",
            one.kind,
            names(&one.names),
            one.reason
        );
        let _ = writeln!(text, "           {}", one.message);
        let _ = writeln!(text, "           next: {}", one.next);
    }
    let hidden = wrong.len().saturating_sub(MOST_WRONG);
    if hidden > 0 {
        let _ = writeln!(
            text,
            "  and {hidden} more kinds: weir status -o json | jq .wrong"
        );
    }
    text
}

fn names(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).map(String::as_str);
    let shown: Vec<&str> = shown.collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{agent, condition, controller, pool};
    use serde_json::json;

    fn summary(pools: usize, wrong: usize) -> Summary {
        let status = json!({"capacityBytes": 1 << 30, "conditions": [condition("Ready", "True", "AsAsked", "")]});
        let one = |index: usize| {
            let pool = pool(&format!("p{index:04}"), "n", json!({}), status.clone());
            PoolState::of(&pool, agent("n", Hearing::Heard), false)
        };
        let concern = |index: usize| Concerns {
            weight: Weight::Error,
            kind: "Volume",
            reason: format!("Why{index}"),
            names: (0..1000).map(|name| format!("v{name}")).collect(),
            message: "it waits".to_owned(),
            next: "see".to_owned(),
        };
        Summary {
            controller: controller(true),
            agents: vec![agent("n", Hearing::Heard)],
            capacity: super::super::summary::Capacity::default(),
            pools: (0..pools).map(one).collect(),
            volumes: Volumes::default(),
            others: [("Snapshot".to_owned(), 2)].into(),
            wrong: (0..wrong).map(concern).collect(),
        }
    }

    /// Seen red with: `MOST_POOLS` = 10,000.
    #[test]
    fn it_is_one_screen_whatever_there_is() {
        let text = screen(&summary(10_000, 100));
        assert!(text.lines().count() < 60, "{text}");
        assert!(text.contains("and 9985 more: kubectl get wpool"), "{text}");
        assert!(text.contains("v0, v1, v2 and 997 more: Why0"), "{text}");
        assert!(text.contains("and 90 more kinds"), "{text}");
    }

    /// Seen red with: `thin: None` in `PoolState::of`.
    #[test]
    fn how_full_thin_pools_are_is_on_the_screen() {
        let mut all = summary(0, 0);
        let ready = condition("Ready", "True", "AsAsked", "");
        for (name, status) in [
            ("bare", json!({"conditions": [ready]})),
            (
                "calm",
                json!({"conditions": [ready], "thin": {"dataPercent": 7, "metadataPercent": 12}}),
            ),
            (
                "meta",
                json!({"conditions": [ready], "thin": {"dataPercent": 7, "metadataPercent": 81}}),
            ),
        ] {
            let pool = pool(name, "n", json!({}), status);
            all.pools
                .push(PoolState::of(&pool, agent("n", Hearing::Heard), false));
        }
        let text = screen(&all);
        let lines: Vec<&str> = text.lines().collect();
        let column = lines.iter().find_map(|line| line.find("THIN")).unwrap();
        let shown = ["bare", "calm", "meta"].map(|name| {
            let row = lines.iter().find(|line| line.starts_with(name)).unwrap();
            row[column..].split("  ").next().unwrap()
        });
        assert_eq!(shown, ["-", "7 %", "7 %, metadata 81 %"]);
    }

    #[test]
    fn nothing_is_said_of_what_is_not_there() {
        let text = screen(&summary(0, 0));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "controller  ctl-1 leads, heard 2 s ago",
                "agents      1 heard",
                "pools       none: apply a StoragePool (deploy/samples/pool.yaml is one)",
                "volumes     none",
                "others      2 Snapshot",
                "",
                "nothing is wrong",
            ]
        );
    }
}
