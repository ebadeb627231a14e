//! A storage node: a VM with disks and an agent.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::exposition::Exposition;
use crate::vm::disk::Disk;
use crate::vm::guest::Guest;
use crate::vm::machine::Spec;

/// The name of the storage node.
pub(crate) const NODE: &str = "storage";

/// The pool that most tests use.
pub(crate) const POOL: &str = "fast";

/// Where the agent of a storage node keeps what.
const REQUESTS: &str = "/run/weir/requests";
pub(crate) const RECORD: &str = "/var/lib/weir/record";
const STATUS: &str = "/run/weir/status";
const LOG: &str = "/run/weir/agent.log";
const LISTEN: &str = "127.0.0.1:9808";

/// How long a wish may take to come true in an emulated guest on a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The storage node, with these disks from vda on.
pub(crate) fn spec<'a>(disks: &'a [&'a Disk]) -> Spec<'a> {
    Spec {
        name: NODE,
        address: 1,
        memory_mib: 1024,
        disks,
    }
}

/// A pool of a storage node's first disk, as a person applies it.
pub(crate) fn pool_object(name: &str, node: &str, address: &str) -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "engine": {"kernel": {"volumeGroup": format!("weir-{name}"), "devices": ["/dev/vda"]}},
            "portals": [{"address": address}],
            "acceptVolatileWriteCache": true,
        },
    })
}

/// The agent of a storage node, as a person at its shell would handle it.
pub(crate) struct Agent<'a> {
    guest: &'a Guest,
    node: &'static str,
    /// Set before the agent's command line: an environment, a wrapper.
    prefix: &'static str,
    /// How often it attaches programs that see I/Os end.
    copies: &'static str,
    /// The API that it follows, instead of request files.
    kubeconfig: Option<&'static str>,
}

/// A volume to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: &'a str,
    /// The pool that is to hold it.
    pub(crate) pool: &'a str,
    pub(crate) mib: u64,
    pub(crate) thin: bool,
    /// The node it is attached to, and the grant's generation.
    pub(crate) attached: Option<(&'a str, u64)>,
    /// Whether its deletion is ordered.
    pub(crate) deleted: bool,
}

impl<'a> Wish<'a> {
    /// A linear volume of 64 MiB in [`POOL`], which is not attached.
    pub(crate) const fn linear(name: &'a str, id: &'a str) -> Self {
        Wish {
            name,
            id,
            pool: POOL,
            mib: 64,
            thin: false,
            attached: None,
            deleted: false,
        }
    }
}

impl<'a> Agent<'a> {
    /// One that counts exactly from the first I/O on.
    pub(crate) fn new(guest: &'a Guest) -> Self {
        Agent {
            guest,
            node: NODE,
            prefix: "",
            copies: "all",
            kubeconfig: None,
        }
    }

    /// The same on another node.
    pub(crate) fn of(self, node: &'static str) -> Self {
        Agent { node, ..self }
    }

    /// One that follows the API of a kubeconfig.
    pub(crate) fn joined(guest: &'a Guest, kubeconfig: &'static str) -> Self {
        Agent {
            kubeconfig: Some(kubeconfig),
            ..Agent::new(guest)
        }
    }

    /// One that attaches programs again where the kernel skips them, as agents do unless they are told otherwise.
    pub(crate) fn on_demand(guest: &'a Guest) -> Self {
        Agent {
            copies: "on-demand",
            ..Agent::new(guest)
        }
    }

    /// The same, attaching programs as agents do unless they are told otherwise.
    pub(crate) fn by_default(self) -> Self {
        Agent {
            copies: "on-demand",
            ..self
        }
    }

    /// An agent whose fsync does nothing: libeatmydata, from outside, so that the product under
    /// test is the product.
    pub(crate) fn without_fsync(guest: &'a Guest) -> Self {
        Agent {
            guest,
            prefix: "env LD_PRELOAD=libeatmydata.so ",
            ..Agent::new(guest)
        }
    }

    /// An agent that may not use `bpf(2)`.
    pub(crate) fn without_bpf(guest: &'a Guest) -> Self {
        Agent {
            guest,
            prefix: "guest-io without bpf ",
            ..Agent::new(guest)
        }
    }

    /// An agent that is no administrator.
    pub(crate) fn without_admin(guest: &'a Guest) -> Self {
        Agent {
            guest,
            prefix: "guest-io without admin ",
            ..Agent::new(guest)
        }
    }

    /// Starts it and waits until it has looked at its node.
    pub(crate) fn start(&self) -> Result<()> {
        self.begin()?;
        // It answers at once, and knows whose the counters are once it has looked at its node.
        let looked = format!(
            "({}) | grep -q '^weir_agent_rounds_total [1-9]'",
            get("/metrics")
        );
        let answers = self.guest.wait_for(&looked, PATIENCE);
        answers.map(drop).with_context(|| self.log())
    }

    /// Starts it and waits until it answers.
    pub(crate) fn begin(&self) -> Result<()> {
        self.guest
            .sh(&format!("mkdir -p {REQUESTS} {RECORD} {STATUS}"))?;
        let source = match self.kubeconfig {
            Some(file) => format!("--kubeconfig {file}"),
            None => format!("--requests {REQUESTS}"),
        };
        let command = format!(
            "{}weir-agent run --node {} {source} --record {RECORD} \
             --status {STATUS} --listen {LISTEN} --resync 5 --max-volumes 64 --probe-copies {}",
            self.prefix, self.node, self.copies
        );
        self.guest.spawn(&command, LOG)?;
        let answers = self.guest.wait_for(&get("/metrics"), PATIENCE);
        answers.map(drop).with_context(|| self.log())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&self) -> Result<()> {
        self.guest.sh("pid=$(pidof weir-agent) && kill -9 $pid && while kill -0 $pid 2>/dev/null; do sleep 0.02; done").map(drop)
    }

    /// Ends all measuring; no agent may be running.
    pub(crate) fn remove_probes(&self) -> Result<()> {
        let command = format!("weir-agent remove-probes --record {RECORD}");
        self.guest.sh(&command).map(drop)
    }

    /// Asks for the pool that most tests use: with a thin pool, over these devices, reachable at
    /// this address.
    pub(crate) fn ask_pool(&self, devices: &[&str], address: &str, thin_mib: u64) -> Result<()> {
        self.ask_pool_as(devices, &[address], thin_mib, true)
    }

    /// The same, reachable at several addresses; a power cut on its disks, whose write caches are volatile, is accepted or not.
    pub(crate) fn ask_pool_as(
        &self,
        devices: &[&str],
        addresses: &[&str],
        thin_mib: u64,
        accept: bool,
    ) -> Result<()> {
        let kernel = format!(
            "{{volumeGroup: weir-{POOL}, devices: [{}], thinPool: {{capacityBytes: {}}}}}",
            devices.join(", "),
            thin_mib << 20
        );
        let portals = addresses
            .iter()
            .map(|address| format!("{{address: {address}}}"));
        let portals = portals.collect::<Vec<_>>().join(", ");
        let portals = format!("[{portals}]\n  acceptVolatileWriteCache: {accept}");
        self.write_pool(POOL, &kernel, &portals)
    }

    /// Asks for a pool for volumes that are used on the node alone.
    pub(crate) fn ask_local_pool(
        &self,
        name: &str,
        group: &str,
        devices: &[&str],
        overwrite: bool,
    ) -> Result<()> {
        let devices = devices.join(", ");
        let kernel = format!(
            "{{volumeGroup: {group}, devices: [{devices}], overwriteSignatures: {overwrite}}}"
        );
        self.write_pool(name, &kernel, "[]")
    }

    fn write_pool(&self, name: &str, kernel: &str, portals: &str) -> Result<()> {
        let pool = format!(
            "apiVersion: weir.dev/v1alpha1\nkind: StoragePool\nmetadata: {{name: {name}}}\n\
             spec:\n  nodeName: {NODE}\n  engine: {{kernel: {kernel}}}\n  portals: {portals}\n"
        );
        self.guest
            .write(&format!("{REQUESTS}/pool-{name}.yaml"), &pool)
    }

    /// Asks for a volume, or for another state of it.
    pub(crate) fn ask(&self, wish: &Wish<'_>) -> Result<()> {
        self.guest
            .write(&format!("{REQUESTS}/{}.yaml", wish.name), &wish.yaml())
    }

    /// Orders a volume's deletion and waits until it is gone.
    pub(crate) fn delete(&self, wish: &Wish<'_>) -> Result<()> {
        self.ask(&Wish {
            deleted: true,
            attached: None,
            ..wish.clone()
        })?;
        self.wait_phase(wish.name, "Deleted").map(drop)
    }

    /// Asks for a volume that several nodes may use at once, granted to these with these generations.
    pub(crate) fn ask_shared(
        &self,
        name: &str,
        id: &str,
        mib: u64,
        grants: &[(&str, u64)],
    ) -> Result<()> {
        let grants = grants
            .iter()
            .map(|(node, generation)| format!("{{nodeName: {node}, generation: {generation}}}"));
        let grants = grants.collect::<Vec<_>>().join(", ");
        self.write_shared(name, id, mib, &grants, "")
    }

    /// Orders the deletion of such a volume.
    pub(crate) fn delete_shared(&self, name: &str, id: &str, mib: u64) -> Result<()> {
        let deleted = ", deletionTimestamp: \"2026-11-22T00:00:00Z\"";
        self.write_shared(name, id, mib, "", deleted)
    }

    fn write_shared(
        &self,
        name: &str,
        id: &str,
        mib: u64,
        grants: &str,
        metadata: &str,
    ) -> Result<()> {
        let volume = format!(
            "apiVersion: weir.dev/v1alpha1\nkind: Volume\nmetadata: {{name: {name}{metadata}}}\n\
             spec:\n  id: {id}\n  capacityBytes: {}\n  poolName: {POOL}\n  access: MultiHost\n  \
             attachments: [{grants}]\n",
            mib << 20,
        );
        self.guest
            .write(&format!("{REQUESTS}/{name}.yaml"), &volume)
    }

    /// Waits until a status no longer tells this host how to connect.
    pub(crate) fn wait_revoked(&self, volume: &str, node: &str, generation: u64) -> Result<()> {
        let script =
            format!("! grep -q ':host:{node}:{generation}\"' {STATUS}/volume-{volume}.json");
        let revoked = self.guest.wait_for(&script, PATIENCE);
        revoked.map(drop).with_context(|| self.log())
    }

    /// Waits until a volume's status tells this host how to connect; the target.
    pub(crate) fn wait_granted(&self, volume: &str, node: &str, generation: u64) -> Result<Value> {
        let host = format!(":host:{node}:{generation}\"");
        let status = self.wait_status(&format!("volume-{volume}"), &host)?;
        let attachments = status["attachments"].as_array();
        let mut attachments = attachments.context("a status without attachments")?.iter();
        let of_node = attachments.find(|attachment| attachment["nodeName"] == node);
        let target = of_node.map(|attachment| attachment["target"].clone());
        target.with_context(|| format!("{status}: nothing about {node}"))
    }

    /// Waits until a volume is in this phase; its status.
    pub(crate) fn wait_phase(&self, volume: &str, phase: &str) -> Result<Value> {
        self.wait_status(
            &format!("volume-{volume}"),
            &format!("\"phase\": *\"{phase}\""),
        )
    }

    /// Waits until the status file of an object matches a regular expression; its status.
    pub(crate) fn wait_status(&self, object: &str, pattern: &str) -> Result<Value> {
        let file = format!("{STATUS}/{object}.json");
        // The status file is replaced whole: what is read is one state.
        let script = format!("grep -q '{pattern}' {file} && cat {file}");
        let text = self.guest.wait_for(&script, PATIENCE).map_err(|error| {
            let seen = self.guest.run(&format!("cat {STATUS}/*.json"));
            let seen = seen.map(|output| output.stdout).unwrap_or_default();
            error.context(format!(
                "{object} never said {pattern}: {seen}\n{}",
                self.log()
            ))
        })?;
        let object: Value = serde_json::from_str(&text).context("reading a status file")?;
        Ok(object["status"].clone())
    }

    /// Waits until a volume is ready for the attachment that `wish` asks for; its status.
    pub(crate) fn wait_ready(&self, wish: &Wish<'_>) -> Result<Value> {
        let status = self.wait_phase(wish.name, "Ready")?;
        match wish.attached {
            Some((node, generation)) if node != NODE => self.wait_status(
                &format!("volume-{}", wish.name),
                &format!(":host:{node}:{generation}\""),
            ),
            _ => Ok(status),
        }
    }

    /// Scrapes every stage in full resolution.
    pub(crate) fn scrape(&self) -> Result<Exposition> {
        scrape_of(self.guest, LISTEN, "/metrics?full=1")
    }

    /// Waits until it measures a volume that its node uses over NVMe.
    pub(crate) fn wait_imported(&self, id: &str) -> Result<()> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.scrape()?.sum("weir_import_info", &[("id", id)]) < 1.0 {
            if std::time::Instant::now() > deadline {
                bail!(
                    "the agent does not see volume {id} over NVMe; {}",
                    self.log()
                );
            }
        }
        Ok(())
    }

    /// Waits until it has looked at its node twice from now on, whether or not anything changed.
    pub(crate) fn wait_resync(&self) -> Result<()> {
        let rounds = |scrape: &Exposition| scrape.sum("weir_agent_rounds_total", &[]);
        let begun = rounds(&self.scrape()?);
        let deadline = std::time::Instant::now() + PATIENCE;
        while rounds(&self.scrape()?) < begun + 2.0 {
            if std::time::Instant::now() > deadline {
                bail!("the agent looks at its node no more; {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        let log = self.guest.run(&format!("tail -n 40 {LOG}"));
        format!(
            "the agent's log ends with:\n{}",
            log.map(|output| output.stdout).unwrap_or_default()
        )
    }

    /// Removes the request in the file of this name.
    pub(crate) fn vanish(&self, name: &str) -> Result<()> {
        self.guest
            .sh(&format!("rm {REQUESTS}/{name}.yaml"))
            .map(drop)
    }

    /// Removes the record of one volume, as a damaged file system would.
    pub(crate) fn forget(&self, id: &str) -> Result<()> {
        self.guest
            .sh(&format!("rm {RECORD}/volume-{id}.json"))
            .map(drop)
    }

    /// The command that makes record and requests again.
    pub(crate) fn recovery(&self) -> String {
        format!("weir-agent recover --node {NODE} --requests {REQUESTS} --record {RECORD}")
    }

    /// Removes every request, as an unmounted or emptied directory would look.
    pub(crate) fn empty_requests(&self) -> Result<()> {
        self.guest.sh(&format!("rm -f {REQUESTS}/*")).map(drop)
    }

    /// Removes the whole record.
    pub(crate) fn empty_record(&self) -> Result<()> {
        self.guest.sh(&format!("rm -rf {RECORD}/*")).map(drop)
    }
}

impl Wish<'_> {
    fn yaml(&self) -> String {
        let deletion = if self.deleted {
            ", deletionTimestamp: \"2026-11-22T00:00:00Z\""
        } else {
            ""
        };
        let attachment = match self.attached {
            Some((node, generation)) => format!("{{nodeName: {node}, generation: {generation}}}"),
            None => String::new(),
        };
        format!(
            "apiVersion: weir.dev/v1alpha1\nkind: Volume\nmetadata: {{name: {}{deletion}}}\nspec:\n  \
             id: {}\n  capacityBytes: {}\n  poolName: {}\n  provisioning: {}\n  \
             attachments: [{attachment}]\n",
            self.name,
            self.id,
            self.mib << 20,
            self.pool,
            if self.thin { "thin" } else { "thick" },
        )
    }
}

/// A shell script that prints the agent's answer to a GET, headers included; it fails unless the
/// answer is 200. The guest has no HTTP client, but its shell opens sockets.
fn get(path: &str) -> String {
    get_of(LISTEN, path)
}

/// The metrics of whoever listens at an address.
pub(crate) fn scrape_of(guest: &Guest, address: &str, path: &str) -> Result<Exposition> {
    let answer = guest.sh(&get_of(address, path))?;
    let Some((_, body)) = answer.split_once("\r\n\r\n") else {
        bail!("no HTTP answer: {answer}")
    };
    Exposition::parse(body)
}

/// The same as [`get`] of whoever listens at an address.
pub(crate) fn get_of(address: &str, path: &str) -> String {
    let (host, port) = address.split_once(':').unwrap_or((address, "80"));
    format!(
        "exec 3<>/dev/tcp/{host}/{port} && printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3 && \
         answer=$(cat <&3) && case \"$answer\" in 'HTTP/1.'?' 200'*) printf '%s\\n' \"$answer\" ;; \
         *) exit 1 ;; esac"
    )
}
