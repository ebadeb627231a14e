//! `weir orphans`: of the agent on this node, or of all pools, over the API ([`over_api`]).

mod over_api;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use uuid::Uuid;
use weir_api::names::{ObjectName, VgName, VolumeId};
use weir_api::orphan::{ADOPT, Adopt, Done, LIST, Orphan, Orphans, REMOVE, Remove, SOCKET};

use crate::connect::ApiArguments;
use crate::output::{Output, print};
use crate::socket;
use crate::table::table;

/// `weir orphans`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The agent's socket
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// Ask the API about all pools, also where an agent listens on the socket
    #[arg(long, global = true, conflicts_with = "socket")]
    api: bool,
    /// The API's kubeconfig; given, the API is asked [default: as `weir status` finds one]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "socket")]
    kubeconfig: Option<PathBuf>,
    /// Which of the kubeconfig's contexts; given, the API is asked
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "socket")]
    context: Option<String>,
    /// What goes to standard output
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what nobody asks for
    #[command(
        after_help = "Examples:\n  weir orphans ls\n  weir orphans ls --api\n  weir orphans ls -o json | jq '.items[].id'"
    )]
    Ls,
    /// Bring something under management: an object, or on a node without an API a request, is made for it
    #[command(after_help = "\
Examples:
  weir orphans adopt 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  weir orphans adopt --all --api           # every orphan volume of every pool, after the API lost its objects
  weir orphans adopt --all --api --pool fast
  weir orphans adopt --pool fast           # on the node: the pool itself
  weir orphans adopt --lv vg0/old-data --name pg-data    # an LV that Weir did not make, data as it is")]
    Adopt(AdoptArguments),
    /// Destroy an orphan volume and its data; asks first
    #[command(after_help = "\
Examples:
  weir orphans rm 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
  weir orphans rm --yes 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90")]
    Rm {
        /// The volume's id
        id: Uuid,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArguments {
    /// The id of an orphan volume
    #[arg(
        value_name = "ID",
        required_unless_present_any = ["lv", "pool", "all"],
        conflicts_with_all = ["lv", "all"]
    )]
    volume: Option<Uuid>,
    /// A logical volume that Weir did not make, in a pool's volume group
    #[arg(long, value_name = "VG/LV", requires = "name", conflicts_with = "pool")]
    lv: Option<String>,
    /// Every orphan volume; of one pool with --pool
    #[arg(long, conflicts_with = "lv")]
    all: bool,
    /// An orphan pool; with ID or --all, the pool of the volumes
    #[arg(long, value_name = "NAME")]
    pool: Option<ObjectName>,
    /// What to call the volume
    #[arg(long, conflicts_with = "all")]
    name: Option<ObjectName>,
    /// With --lv: the id that the volume is to have [default: a new one]
    #[arg(long, requires = "lv", conflicts_with = "pool")]
    id: Option<Uuid>,
}

impl AdoptArguments {
    fn order(&self) -> Result<Adopt> {
        ensure!(!self.all, "--all is for the API: give --api too");
        ensure!(
            self.pool.is_none() || self.volume.is_none() && self.name.is_none(),
            "an agent adopts a pool or a volume: ID and --name don't go with --pool"
        );
        if let Some(pool) = &self.pool {
            return Ok(Adopt::Pool { name: pool.clone() });
        }
        if let Some(id) = self.volume {
            return Ok(Adopt::Volume {
                id: VolumeId(id),
                name: self.name.clone(),
            });
        }
        let lv = self.lv.as_deref().context("nothing to adopt is named")?;
        let (volume_group, logical_volume) = lv
            .split_once('/')
            .with_context(|| format!("--lv {lv}: not a volume group and an LV, as in vg0/data"))?;
        Ok(Adopt::Foreign {
            volume_group: volume_group.parse::<VgName>()?,
            logical_volume: logical_volume.to_owned(),
            name: self.name.clone().context("--name is missing")?,
            id: self.id.map(VolumeId),
        })
    }
}

impl Arguments {
    /// Whether the API is asked, and not an agent: by order, or since none listens here.
    pub(crate) fn is_over_api(&self) -> bool {
        let is_named = self.api || self.kubeconfig.is_some() || self.context.is_some();
        is_named || self.socket.as_os_str() == SOCKET && !self.socket.exists()
    }
}

/// Does over the API what was asked for.
pub(crate) async fn run_over_api(arguments: &Arguments) -> Result<()> {
    let api = ApiArguments {
        kubeconfig: arguments.kubeconfig.clone(),
        context: arguments.context.clone(),
    };
    let connection = api.connect().await?;
    match &arguments.command {
        Command::Ls => {
            let listed = over_api::list(&connection).await?;
            arguments.output.show(&listed, over_api::Listed::text)
        }
        Command::Adopt(wanted) => {
            let adopted = over_api::adopt(&connection, wanted).await?;
            arguments.output.show(&adopted, over_api::Adopted::text)?;
            let failed = adopted.failed.len();
            ensure!(failed == 0, "{failed} volumes are not adopted");
            Ok(())
        }
        Command::Rm { id, .. } => {
            let listed = over_api::list(&connection).await?;
            let mut items = listed.items.iter().filter(|found| found.volume.id.0 == *id);
            let place = match items.next() {
                Some(found) => format!("node {} (pool {})", found.node_name, found.pool_name),
                None => "its node".to_owned(),
            };
            bail!(
                "data is destroyed by its node's agent alone: on {place}, weir orphans rm {id}. Nothing was changed"
            )
        }
    }
}

/// Does what was asked for, by the agent on this node.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (path, output) = (&arguments.socket, arguments.output);
    match &arguments.command {
        Command::Ls => {
            let orphans: Orphans = socket::get(path, LIST)?;
            let text = match output {
                Output::Text => listed(&orphans.items),
                Output::Json => format!("{}\n", serde_json::to_string_pretty(&orphans)?),
            };
            print(&text)
        }
        Command::Adopt(wanted) => done(output, &socket::post(path, ADOPT, &wanted.order()?)?),
        Command::Rm { id, yes } => {
            let id = VolumeId(*id);
            if !yes {
                let orphans: Orphans = socket::get(path, LIST)?;
                let found: Vec<&Orphan> = orphans
                    .items
                    .iter()
                    .filter(|orphan| orphan.id == Some(id))
                    .collect();
                confirm(id, &found)?;
            }
            done(output, &socket::post(path, REMOVE, &Remove { id })?)
        }
    }
}

/// Asks at the terminal; anything but the id's first part is a no.
fn confirm(id: VolumeId, found: &[&Orphan]) -> Result<()> {
    ensure!(
        std::io::stdin().is_terminal(),
        "nobody can be asked here: give --yes to destroy {id}"
    );
    let found: Vec<Orphan> = found.iter().map(|&orphan| orphan.clone()).collect();
    eprint!("{}", listed(&found));
    let text = id.to_string();
    let word = text.split('-').next().unwrap_or_default();
    eprint!("All data of volume {id} will be lost. Type {word} to go on: ");
    std::io::stderr().flush().context("cannot ask")?;
    let mut line = String::new();
    let stdin = std::io::stdin();
    stdin
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    if line.trim() != word {
        bail!("nothing was changed");
    }
    Ok(())
}

fn done(output: Output, done: &Done) -> Result<()> {
    print(&match output {
        Output::Text => format!("{}\n", done.message),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(done)?),
    })
}

fn listed(orphans: &[Orphan]) -> String {
    let row = |orphan: &Orphan| {
        let name = orphan.name.as_ref().map(ToString::to_string);
        let id = orphan.id.as_ref().map(ToString::to_string);
        [
            orphan.kind.to_string(),
            name.unwrap_or_else(|| "-".to_owned()),
            id.unwrap_or_else(|| "-".to_owned()),
            orphan.place.clone(),
            orphan.capacity_bytes.to_string(),
            if orphan.is_open { "yes" } else { "no" }.to_owned(),
            orphan.message.clone(),
        ]
    };
    if orphans.is_empty() {
        return "no orphans\n".to_owned();
    }
    let head = ["KIND", "NAME", "ID", "PLACE", "SIZE", "OPEN", "WHAT TO DO"];
    let rows: Vec<_> = orphans.iter().map(row).collect();
    table(head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    const ID: &str = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words = std::iter::once("orphans").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.arguments)
    }

    fn order(line: &str) -> Adopt {
        match parse(line).unwrap().command {
            Command::Adopt(wanted) => wanted.order().unwrap(),
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn what_to_adopt_is_named_in_one_of_three_ways() {
        let id = VolumeId(ID.parse().unwrap());
        assert_eq!(
            order(&format!("adopt {ID}")),
            Adopt::Volume { id, name: None }
        );
        let pool = Adopt::Pool {
            name: "fast".parse().unwrap(),
        };
        assert_eq!(order("adopt --pool fast"), pool);
        let foreign = Adopt::Foreign {
            volume_group: "vg0".parse().unwrap(),
            logical_volume: "data".to_owned(),
            name: "pg".parse().unwrap(),
            id: Some(id),
        };
        assert_eq!(
            order(&format!("adopt --lv vg0/data --name pg --id {ID}")),
            foreign
        );
        for bad in [
            "adopt".to_owned(),
            "adopt --lv vg0/data".to_owned(),
            format!("adopt {ID} --all"),
            format!("ls --api --socket {ID}"),
            format!("adopt --id {ID}"),
            "rm".to_owned(),
            "rm all".to_owned(),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }

    /// An agent that answers one question; returns what it was asked.
    fn agent(path: &Path, status: &str, body: &str) -> std::thread::JoinHandle<String> {
        let listener = UnixListener::bind(path).unwrap();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = vec![0; 4096];
            let mut length = 0;
            // Head and body may come apart.
            while !question[..length].ends_with(b"}") && !question[..length].ends_with(b"\r\n\r\n")
            {
                length += stream.read(&mut question[length..]).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(question[..length].to_vec()).unwrap()
        })
    }

    #[test]
    fn an_order_is_given_and_a_refusal_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let socket = path.display();
        let asked = agent(&path, "409 Conflict", "{\"error\": \"it is open\"}");
        let refused = run(&parse(&format!("rm --yes {ID} --socket {socket}")).unwrap());
        assert_eq!(refused.unwrap_err().to_string(), "it is open");
        let asked = asked.join().unwrap();
        assert!(
            asked.starts_with("POST /v1/orphans/remove HTTP/1.1"),
            "{asked}"
        );
        assert!(asked.contains(ID), "{asked}");
        std::fs::remove_file(&path).unwrap();
        let nobody = run(&parse(&format!("ls --socket {socket}")).unwrap());
        assert!(format!("{:#}", nobody.unwrap_err()).contains("no agent listens"));
    }

    /// Seen red with: `confirm` returning at once.
    #[test]
    fn nothing_is_destroyed_without_a_yes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let asked = agent(&path, "200 OK", "{\"items\": []}");
        let line = format!("rm {ID} --socket {}", path.display());
        let error = run(&parse(&line).unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("--yes") || error.contains("nothing was changed"),
            "{error}"
        );
        assert!(
            asked
                .join()
                .unwrap()
                .starts_with("GET /v1/orphans HTTP/1.1")
        );
    }
}
