//! The agent's program: parse the command line, and go.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Parser;
use nvmet::Configfs;
use prometheus::Registry;
use tracing_subscriber::EnvFilter;
use weir_agent::args::{Check, Cli, Command, Format, Recover, RemoveProbes, Run, Shutdown, Status};
use weir_agent::check::{self, facts};
use weir_agent::cmd::Host;
use weir_agent::disk::HostDisks;
use weir_agent::durable::HostFs;
use weir_agent::gauges::GaugeCollector;
use weir_agent::join::{Enrolment, Join};
use weir_agent::measure::{self, SharedProbes};
use weir_agent::orders::Orderer;
use weir_agent::probe::{ProbeConfig, Room};
use weir_agent::record::{BootId, Store};
use weir_agent::requests::Requests;
use weir_agent::shutdown::shutdown;
use weir_agent::source::Source;
use weir_agent::target::{Exports, KernelTarget, is_nvmet_loaded};
use weir_agent::{fail_point, local, orders, pool_files, recover, run, serve, status, telemetry};
use weir_api::names::Generation;

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => agent(&args).map(|()| ExitCode::SUCCESS),
        Command::Status(args) => show(&args).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => look(&args),
        Command::Shutdown(args) => end_boot(&args).map(|()| ExitCode::SUCCESS),
        Command::Recover(args) => recover(&args),
        Command::RemoveProbes(args) => remove_probes(&args).map(|()| ExitCode::SUCCESS),
        Command::FailPoints => {
            print(&(fail_point::kinds().join("\n") + "\n")).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn agent(args: &Run) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let unshared = facts::unshared(Path::new("/"));
    ensure!(
        unshared.is_empty(),
        "the container's own {} would hide LVM's locks and devices from the host and the host's from \
         here; mount the host's (see `weir-agent check`)",
        unshared.join(", ")
    );
    let channel = run::channel();
    run::stop_on_signals(channel.0.clone()).context("cannot wait for signals")?;
    let probes = SharedProbes::start(ProbeConfig {
        bpffs: args.bpffs.clone(),
        room: Room::of_volumes(args.max_volumes),
        copies: args.probe_copies,
        ..ProbeConfig::default()
    })?;
    let gauges = Arc::default();
    let registry = Registry::new();
    registry.register(Box::new(GaugeCollector::new(Arc::clone(&gauges))?))?;
    let source = match &args.kubeconfig {
        None => Source::files(args.requests.clone()),
        Some(kubeconfig) => {
            let wake = channel.0.clone();
            let pools = args.pools.as_ref();
            let pools = pools
                .map(|path| pool_files::read(path, &args.node))
                .transpose();
            let enrolment = Enrolment {
                kubeconfig: kubeconfig.clone(),
                telemetry_token: args.telemetry_token.clone(),
                node: args.node.clone(),
                pools: pools.context("cannot use --pools")?.unwrap_or_default(),
            };
            let join = Join::start(enrolment, wake).context("cannot start to follow the API")?;
            telemetry::start(args.node.clone(), probes.clone(), join.leader())
                .context("cannot start telemetry")?;
            registry.register(Box::new(join.collector()?))?;
            Source::Api(join)
        }
    };
    serve_metrics(args, &probes, registry)?;
    let (orderer, orders) = orders::channel(channel.0.clone());
    let socket = &args.socket;
    let listener = local::listen(socket)
        .with_context(|| format!("cannot listen on `{}` (--socket)", socket.display()))?;
    serve_orders(listener, orderer)?;
    run::run(args, Box::new(probes), gauges, channel, source, &orders).context("cannot start")
}

/// Answers scrapes on a thread of its own: they must not wait for a slow lvm, nor it for them.
fn serve_metrics(args: &Run, probes: &SharedProbes, registry: Registry) -> anyhow::Result<()> {
    let probes = probes.clone();
    let router = serve::router(registry, move || probes.read());
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {} (--listen)", args.listen))?;
    listener
        .set_nonblocking(true)
        .context("cannot set up the listener")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let served = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => axum::serve(listener, router).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = served {
                    tracing::error!(%error, "metrics are not served any more");
                }
            });
        })?;
    Ok(())
}

/// Takes orders on a thread of its own; the engine's carries them out.
fn serve_orders(listener: UnixListener, orderer: Orderer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serve = move || {
        if let Err(error) = runtime.block_on(local::serve(listener, orderer)) {
            tracing::error!(%error, "orders are not taken any more");
        }
    };
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(serve)?;
    Ok(())
}

fn show(args: &Status) -> anyhow::Result<()> {
    let published = status::Published::read(&args.status)
        .with_context(|| format!("cannot read `{}`", args.status.display()))?;
    let text = match args.output {
        Format::Table => published.table(),
        Format::Json => format!("{:#}\n", published.json()),
    };
    print(&text)
}

fn end_boot(args: &Shutdown) -> anyhow::Result<()> {
    let _claim = Store::claim(&args.record).context("cannot claim the record")?;
    let store = Store::new(Box::new(HostFs), args.record.clone());
    let exports = KernelTarget {
        configfs: Configfs::at(args.configfs.join("nvmet")),
        is_loaded: Box::new(is_nvmet_loaded),
    };
    let boot = BootId::of_kernel(Path::new("/proc")).context("cannot tell which boot this is")?;
    shutdown(&store, &exports, &HostDisks, boot)?;
    Ok(())
}

fn remove_probes(args: &RemoveProbes) -> anyhow::Result<()> {
    // Without a record no agent ever ran here.
    let claim = args.record.exists().then(|| Store::claim(&args.record));
    let _claim = claim.transpose().context("cannot claim the record")?;
    let was_there = measure::detach_all(&args.bpffs)?;
    print(if was_there {
        "Nothing is measured on this node any more.\n"
    } else {
        "Nothing was measured on this node.\n"
    })
}

fn look(args: &Check) -> anyhow::Result<ExitCode> {
    let requests = Requests::read(&HostFs, &args.requests, &|_| true);
    let is_ours = |node| args.node.as_ref().is_none_or(|ours| ours == node);
    let pools = requests.pools.values().map(|pool| &pool.spec);
    let asked = pools
        .filter(|pool| is_ours(&pool.node_name))
        .flat_map(|pool| &pool.portals)
        .map(|portal| SocketAddr::new(portal.address, portal.port));
    let portals: BTreeSet<SocketAddr> = args.portals.iter().copied().chain(asked).collect();
    let runner = Host::new(args.lvm.as_deref());
    let facts = facts::facts(&args.root, &facts::ThisNode, &runner, &portals);
    let findings = check::findings(&facts, &args.roles);
    let is_fit = check::is_fit(&findings);
    print(&match args.output {
        Format::Table => check::text(&findings),
        Format::Json => {
            let json = serde_json::json!({"fit": is_fit, "items": findings});
            format!("{json:#}\n")
        }
    })?;
    Ok(ExitCode::from(u8::from(!is_fit)))
}

fn recover(args: &Recover) -> anyhow::Result<ExitCode> {
    for dir in [&args.record, &args.requests] {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    }
    let _claim = Store::claim(&args.record).context("cannot claim the record")?;
    let target = KernelTarget {
        configfs: Configfs::at(args.configfs.join("nvmet")),
        is_loaded: Box::new(is_nvmet_loaded),
    };
    let wish = recover::Wish {
        node: &args.node,
        floor: args.floor.map(Generation),
    };
    let places = recover::Places {
        store: &Store::new(Box::new(HostFs), args.record.clone()),
        fs: &HostFs,
        requests: &args.requests,
    };
    let runner = Host::new(args.lvm.as_deref());
    let recovery = recover::look(&wish, &runner, &HostDisks, &target.read(), &places)?;
    if !args.dry_run {
        recover::write(&recovery, &places)?;
    }
    print(&match args.output {
        Format::Table => recovery.text(),
        Format::Json => format!("{:#}\n", recovery.json()),
    })?;
    Ok(ExitCode::from(u8::from(!recovery.left.is_empty())))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
