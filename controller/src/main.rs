//! `weir-controller`: parse the command line, and go.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use kube::Client;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use prometheus::Registry;
use rustls_pki_types::CertificateDer;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use weir_controller::args::{Cli, Command, Kubeconfig};
use weir_controller::control;
use weir_controller::standalone::authority::Authority;
use weir_controller::standalone::server::{Limits, Server, Settings, url};
use weir_controller::standalone::store::StoreLimits;
use weir_controller::telemetry::{Agents, Certificates, Taking, TelemetryMetrics, Tokens};
use weir_controller::{metrics, telemetry};

/// Descriptors for all connections that the API takes (`Limits::connections`), and for files.
const DESCRIPTORS: u64 = 40_000;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Kubeconfig(asked)) => kubeconfig(&cli, asked),
        None => serve(cli),
    }
}

fn kubeconfig(cli: &Cli, asked: &Kubeconfig) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now();
    let directory = cli.standalone.as_deref();
    let directory = directory.context("--standalone names the authority's directory")?;
    let authority = Authority::open(directory, now).context("cannot open the authority")?;
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
    // A session's usual 1,024 descriptors are fewer than the connections that are served, and what it may raise them
    // to can be, too: root may raise that. Where more may not be had, connections beyond it wait.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = most.max(DESCRIPTORS);
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted)
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match (&cli.standalone, &cli.kubeconfig) {
        (Some(directory), _) => {
            let settings = standalone(&cli, directory)?;
            runtime.block_on(serve_api(&cli, settings))
        }
        (None, Some(kubeconfig)) => runtime.block_on(control_only(&cli, kubeconfig)),
        (None, None) => bail!("--standalone or --kubeconfig is missing"),
    }
}

fn standalone(cli: &Cli, directory: &Path) -> anyhow::Result<Settings> {
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
    let mut names: BTreeSet<String> = cli.names.iter().cloned().collect();
    names.extend(host());
    Ok(Settings {
        directory: directory.to_owned(),
        listen: cli.listen,
        names,
        definitions,
        limits: Limits::default(),
        store_limits: StoreLimits::default(),
    })
}

fn host() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

/// Becomes true when somebody wants this process to end.
fn signals() -> anyhow::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        sender.send_replace(true);
    });
    Ok(receiver)
}

async fn control_only(cli: &Cli, kubeconfig: &Path) -> anyhow::Result<()> {
    let signals = signals()?;
    let client = control::client(kubeconfig).await?;
    let settings = control_settings(cli, kubeconfig, &client).await?;
    serve_metrics(cli, &settings, signals.clone()).await?;
    control::run(client, settings, signals).await;
    Ok(())
}

async fn control_settings(
    cli: &Cli,
    kubeconfig: &Path,
    client: &Client,
) -> anyhow::Result<control::Settings> {
    let mut settings = control::Settings::new(host().as_deref().unwrap_or("controller"));
    let Some(listen) = cli.telemetry() else {
        return Ok(settings);
    };
    // Every address of this host is none that an agent could reach: then it is the name that clients use, or the host's.
    let name = cli.telemetry_name.clone().or_else(|| {
        let is_any = listen.ip().is_unspecified();
        is_any.then(|| cli.names.first().cloned().or_else(host))?
    });
    let agents = match &cli.agent_account {
        Some(account) => Agents {
            tokens: Some(Tokens::new(
                client.clone(),
                &account.namespace,
                &account.name,
            )),
            ..Agents::default()
        },
        None => {
            let authority = control::authority(kubeconfig).await?;
            let authority = authority.into_iter().map(CertificateDer::from).collect();
            Agents {
                certificates: Some(Certificates::new(authority)),
                ..Agents::default()
            }
        }
    };
    let how = telemetry::Settings {
        listen,
        host: name.unwrap_or_else(|| listen.ip().to_string()),
        limits: telemetry::Limits::default(),
    };
    settings.telemetry = Some(Arc::new(Taking::new(how, agents)));
    Ok(settings)
}

async fn serve_metrics(
    cli: &Cli,
    settings: &control::Settings,
    signals: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(address) = cli.metrics else {
        return Ok(());
    };
    let registry = Registry::new();
    if let Some(taking) = &settings.telemetry {
        registry.register(Box::new(TelemetryMetrics::new(taking)?))?;
    }
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (--metrics)"))?;
    tokio::spawn(metrics::serve(listener, registry, signals));
    Ok(())
}

async fn serve_api(cli: &Cli, settings: Settings) -> anyhow::Result<()> {
    // Before anything is announced: whoever reads the announcement may send a signal.
    let mut signals = signals()?;
    let own_kubeconfig = settings.directory.join("controller.kubeconfig");
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
    let controller = if cli.api_only {
        None
    } else {
        let client = control::client(&own_kubeconfig).await?;
        let settings = control_settings(cli, &own_kubeconfig, &client).await?;
        serve_metrics(cli, &settings, signals.clone()).await?;
        Some(tokio::spawn(control::run(
            client,
            settings,
            signals.clone(),
        )))
    };
    tokio::spawn(async move {
        // An error is a sender that is gone: the process is ending.
        drop(signals.wait_for(|is_time| *is_time).await);
        // The controller ends first: it finishes its writes and gives its lease back.
        if let Some(controller) = controller {
            drop(controller.await);
        }
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
