//! `weir-controller`: parse the command line, and go.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, ensure};
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use weir_controller::args::{Cli, Command, Kubeconfig};
use weir_controller::standalone::authority::Authority;
use weir_controller::standalone::server::{Limits, Server, Settings, url};
use weir_controller::standalone::store::StoreLimits;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Kubeconfig(asked)) => kubeconfig(&cli, asked),
        None => serve(cli),
    }
}

fn kubeconfig(cli: &Cli, asked: &Kubeconfig) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now();
    let authority = Authority::open(&cli.standalone, now).context("cannot open the authority")?;
    let server = asked.server.clone().unwrap_or_else(|| url(cli.listen));
    let text = authority.kubeconfig(&asked.identity, &server, asked.days, now)?;
    print(&text)
}

fn serve(cli: Cli) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    ensure!(
        cli.allow_any_address || !cli.listen.ip().is_unspecified(),
        "{} is every address of this host: name the one that clients use (--listen), or say \
         --allow-any-address",
        cli.listen
    );
    let definitions = weir_api::crd::all()
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>()
        .context("a definition is no JSON")?;
    let mut names: BTreeSet<String> = cli.names.into_iter().collect();
    if let Ok(name) = nix::unistd::gethostname()
        && let Ok(name) = name.into_string()
    {
        names.insert(name);
    }
    let settings = Settings {
        directory: cli.standalone,
        listen: cli.listen,
        names,
        definitions,
        limits: Limits::default(),
        store_limits: StoreLimits::default(),
    };
    // A session's usual 1,024 descriptors are fewer than the connections that are served. Where
    // more may not be had, connections beyond it wait.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(settings))
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    // Before anything is announced: whoever reads the announcement may send a signal.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let server = Server::start(settings).await.context("cannot start")?;
    let (kubeconfig, is_new) = server.kubeconfig();
    tracing::info!(address = %server.address(), "serving");
    if is_new {
        print(&format!(
            "The API is served at {}. Now:\n\n  export KUBECONFIG={}\n  kubectl get wpool\n",
            url(server.address()),
            kubeconfig.display()
        ))?;
    }
    let stop = server.stop();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.stop();
    });
    let done = server.run().await;
    tracing::info!(
        objects = done.objects,
        changes = done.changes,
        fsyncs = done.fsyncs,
        "stopped"
    );
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
