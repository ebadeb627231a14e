//! Operating a node: what it lacks, what nobody asks for, and what can be made again from tags.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::expect;
use super::pair::Pair;
use super::report::Report;
use crate::scene::consumer;
use crate::scene::storage::{self, Agent, Wish};

const KEPT: Wish<'_> = Wish {
    mib: 32,
    attached: Some((storage::NODE, 1)),
    ..Wish::linear("kept", "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0061")
};
const EXPORTED: Wish<'_> = Wish {
    name: "exported",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0062",
    attached: Some((consumer::NODE, 3)),
    ..KEPT
};
const THIN: Wish<'_> = Wish {
    name: "thin",
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0063",
    thin: true,
    attached: None,
    ..KEPT
};
const ADOPTED: &str = "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0064";

/// What a tenant wrote.
const DATA: &str = "data that nobody may lose";

/// Runs the cases on a pair with an agent and a pool, or brings both.
pub(crate) fn run(pair: &Pair, report: &mut Report) {
    let agent = pair.agent();
    let kernel = pair.kernel;
    let mut case = |name: &str, run: fn(&Pair, &Agent<'_>) -> Result<()>| {
        report.case(&format!("{kernel} ops: {name}"), || {
            pair.ensure_pool(&agent)?;
            run(pair, &agent)
        });
    };
    case("check finds what is there and what is not", check);
    case("an orphan is kept, adopted, and destroyed by name", orphan);
    case("a foreign LV becomes a volume with its data", foreign);
    case("record and requests come back from tags alone", recover);
}

fn check(pair: &Pair, agent: &Agent<'_>) -> Result<()> {
    let guest = &pair.storage.guest;
    let portal = pair.portal();
    let command = format!("weir-agent check -o json --portal {portal}:4421");
    let seen = guest.run(&command)?;
    ensure!(seen.code == 0, "the node is not fit: {}", seen.stdout);
    let state = |text: &str, name: &str| -> Result<String> {
        let seen: Value = serde_json::from_str(text).with_context(|| text.to_owned())?;
        let items = seen["items"].as_array().context("no items")?;
        let item = items.iter().find(|item| item["name"] == name);
        let item = item.with_context(|| format!("nothing on {name}: {text}"))?;
        Ok(item["state"].as_str().unwrap_or_default().to_owned())
    };
    for name in [
        "module nvmet-tcp",
        "module nvme-tcp",
        "kernel BTF",
        "LVM version",
        "LVM filter",
    ] {
        expect(name, &state(&seen.stdout, name)?, &"found".to_owned())?;
    }
    eprint!(
        "{}",
        guest
            .run(&format!("weir-agent check --portal {portal}:4421"))?
            .stdout
    );

    let conf = "/etc/lvm/lvm.conf";
    guest.sh(&format!(
        "cp {conf} /tmp/lvm.conf && echo 'devices/scan_lvs=1' >> {conf}"
    ))?;
    let seen = guest.run(&command)?;
    guest.sh(&format!("cp /tmp/lvm.conf {conf}"))?;
    expect("the exit code with scan_lvs=1", &seen.code, &1)?;
    expect(
        "the LVM filter",
        &state(&seen.stdout, "LVM filter")?,
        &"missing".to_owned(),
    )?;

    // The agent's own listener is another program's as far as a portal is concerned.
    let taken = guest.run("weir-agent check -o json --portal 127.0.0.1:9808")?;
    expect("the exit code with a portal that is taken", &taken.code, &1)?;
    let name = "portal 127.0.0.1:9808";
    expect(
        "the portal",
        &state(&taken.stdout, name)?,
        &"missing".to_owned(),
    )?;
    agent.wait_resync()
}

fn orphan(pair: &Pair, agent: &Agent<'_>) -> Result<()> {
    let guest = &pair.storage.guest;
    agent.ask(&KEPT)?;
    let status = agent.wait_ready(&KEPT)?;
    let device = status["devicePath"].as_str().unwrap_or_default().to_owned();
    guest.sh(&format!("guest-io fill {device} \"{DATA}\""))?;
    let sum = format!("dd if={device} bs=1M iflag=direct status=none | md5sum");
    let before = guest.sh(&sum)?;
    agent.vanish(KEPT.name)?;
    agent.forget(KEPT.id)?;
    agent.wait_resync()?;
    let listed: Value = serde_json::from_str(&guest.sh("weir orphans ls -o json")?)?;
    let mine = |orphan: &&Value| orphan["id"] == KEPT.id;
    let found = listed["items"]
        .as_array()
        .and_then(|items| items.iter().find(mine));
    let found = found.with_context(|| format!("it is not listed: {listed}"))?;
    expect("its kind", &found["kind"], &Value::from("LogicalVolume"))?;
    eprint!("{}", guest.sh("weir orphans ls")?);

    let id = KEPT.id;
    let refused = |command: &str, why: &str| -> Result<()> {
        let output = guest.run(command)?;
        ensure!(
            output.code != 0 && output.stderr.contains(why),
            "`{command}`: {} instead of `{why}`",
            output.stderr
        );
        expect("its data", &guest.sh(&sum)?, &before)
    };
    refused(&format!("weir orphans rm {id} </dev/null"), "--yes")?;
    refused(
        &format!("exec 3<{device}; weir orphans rm --yes {id}"),
        "open",
    )?;
    let somebody = "setpriv --reuid 65534 --clear-groups weir orphans ls";
    refused(somebody, "denied")?;
    guest.sh("chmod 666 /run/weir/agent.sock && chmod 711 /run/weir")?;
    refused(somebody, "only root")?;
    guest.sh("chmod 600 /run/weir/agent.sock")?;

    guest.sh(&format!("weir orphans adopt {id}"))?;
    agent.wait_phase(KEPT.name, "Ready")?;
    expect("its data", &guest.sh(&sum)?, &before)?;
    refused(&format!("weir orphans rm --yes {id}"), "asked for")?;
    agent.vanish(&format!("volume-{}", KEPT.name))?;
    agent.wait_resync()?;
    // The order outlives the agent that took it.
    guest.sh(&format!("weir orphans rm --yes {id}"))?;
    agent.kill()?;
    agent.start()?;
    let gone = format!(
        "! lvs weir-{}/w_{} 2>/dev/null && ! ls {}/volume-{id}.json 2>/dev/null",
        storage::POOL,
        id.replace('-', ""),
        storage::RECORD,
    );
    guest.wait_for(&gone, storage::PATIENCE).map(drop)
}

fn foreign(pair: &Pair, agent: &Agent<'_>) -> Result<()> {
    let guest = &pair.storage.guest;
    let group = format!("weir-{}", storage::POOL);
    let theirs = "/dev/mapper/weir--fast-theirs";
    guest.sh(&format!(
        "lvcreate --devices /dev/mapper/slow -q -y -Wn -n theirs -L 32M {group} && guest-io fill {theirs} \"{DATA}\""
    ))?;
    let uuid = |lv: &str| guest.sh(&format!("lvs --noheadings -o lv_uuid {group}/{lv}"));
    let before = uuid("theirs")?;
    let sum = |device: &str| {
        guest.sh(&format!(
            "dd if={device} bs=1M iflag=direct status=none | md5sum"
        ))
    };
    let data = sum(theirs)?;
    let adopt = format!("weir orphans adopt --lv {group}/theirs --name theirs --id {ADOPTED}");
    let user = guest.spawn(&format!("sleep 1000 3<{theirs}"), "/dev/null")?;
    guest.sh(&adopt)?;
    agent.wait_status("volume-theirs", "InUse")?;
    expect("the open LV's UUID", &uuid("theirs")?, &before)?;
    guest.sh(&format!("kill {user}"))?;
    let status = agent.wait_phase("theirs", "Ready")?;
    let lv = format!("w_{}", ADOPTED.replace('-', ""));
    expect("the LV's UUID", &uuid(&lv)?, &before)?;
    expect(
        "its data",
        &sum(&format!("/dev/mapper/weir--fast-{lv}"))?,
        &data,
    )?;
    let bytes = status["capacityBytes"].as_u64().unwrap_or_default();
    expect("its size", &bytes, &(32 << 20))?;
    agent.vanish("volume-theirs")?;
    agent.delete(&Wish {
        name: "theirs",
        id: ADOPTED,
        ..KEPT
    })
}

fn recover(pair: &Pair, agent: &Agent<'_>) -> Result<()> {
    let guest = &pair.storage.guest;
    for wish in [&EXPORTED, &THIN] {
        agent.ask(wish)?;
    }
    agent.wait_ready(&THIN)?;
    let status = agent.wait_ready(&EXPORTED)?;
    let device = consumer::connect(&pair.consumer.guest, &status)?;
    pair.consumer
        .guest
        .sh(&format!("guest-io fill {device} \"{DATA}\""))?;
    let sum = format!("dd if={device} bs=1M iflag=direct status=none | md5sum");
    let data = pair.consumer.guest.sh(&sum)?;
    let running = guest.run(&agent.recovery())?;
    ensure!(
        running.code != 0 && running.stderr.contains("another agent"),
        "it worked beside a running agent: {}{}",
        running.stdout,
        running.stderr
    );
    agent.kill()?;
    agent.empty_requests()?;
    agent.empty_record()?;
    eprint!("{}", guest.sh(&agent.recovery())?);
    agent.start()?;
    for name in [EXPORTED.name, THIN.name] {
        agent.wait_phase(name, "Ready")?;
    }
    agent.wait_resync()?;
    expect("the consumer's data", &pair.consumer.guest.sh(&sum)?, &data)?;
    expect(
        "what is still to be recovered",
        &guest.sh("weir orphans ls")?,
        &"no orphans\n".to_owned(),
    )?;
    consumer::disconnect(&pair.consumer.guest, &status)?;

    // Nothing but the tags says now which generations were granted.
    for name in [EXPORTED.name, THIN.name] {
        agent.vanish(&format!("volume-{name}"))?;
    }
    agent.ask(&Wish {
        attached: None,
        ..EXPORTED
    })?;
    agent.wait_phase(EXPORTED.name, "Ready")?;
    agent.wait_resync()?;
    agent.kill()?;
    agent.empty_requests()?;
    agent.empty_record()?;
    guest.sh(&agent.recovery())?;
    agent.start()?;
    agent.vanish(&format!("volume-{}", EXPORTED.name))?;
    agent.ask(&EXPORTED)?;
    agent.wait_status("volume-exported", "StaleGeneration")?;
    let next = Wish {
        attached: Some((consumer::NODE, 4)),
        ..EXPORTED
    };
    agent.ask(&next)?;
    agent.wait_ready(&next)?;
    agent.vanish(&format!("volume-{}", THIN.name))?;
    for wish in [&EXPORTED, &THIN] {
        agent.delete(wish)?;
    }
    // The pool's request comes back under its usual name.
    agent.vanish(&format!("storagepool-{}", storage::POOL))?;
    pair.ensure_pool(agent)
}
