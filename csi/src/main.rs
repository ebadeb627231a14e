//! `weir-csi`: starts what [`weir_csi`] serves.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use weir_csi::args::{Args, Mode};
use weir_csi::node::{Settings, helper, host, start};
use weir_csi::objects::Live;
use weir_csi::serve;

fn main() -> ExitCode {
    // Before there are threads: what it does may hang, and it must be possible to end all of it.
    if let Some(code) = helper::run(std::env::args_os().skip(1)) {
        return code;
    }
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => Err(error).context("no runtime can be made"),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-csi: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let stop = stop().context("cannot wait for signals")?;
    if args.mode == Mode::Node {
        let places = start::Places {
            proc: "/proc".into(),
            dev: "/dev".into(),
            kubelet: args.kubelet_dir.clone(),
        };
        start::check(&places).context("volumes can't be mounted here")?;
    }
    let cluster = Live::connect(args.kubeconfig.as_deref()).await?;
    let patience = Duration::from_secs(args.patience.into());
    match args.mode {
        Mode::Controller => serve::controller(&args.endpoint, cluster, patience, stop).await?,
        Mode::Node => {
            let name = args.node.context("--node is missing")?;
            let settings = Settings {
                name,
                most: args.max_volumes,
                patience,
            };
            serve::node(
                &args.endpoint,
                cluster,
                host::Kernel::default(),
                settings,
                stop,
            )
            .await?;
        }
    }
    Ok(())
}

/// Becomes true with SIGTERM or SIGINT.
fn stop() -> io::Result<watch::Receiver<bool>> {
    let (order, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        // Whoever is gone needs no order.
        let _ = order.send(true);
        // The receiver counts a sender that is gone as the order as well: it is kept all the same.
        order.closed().await;
    });
    Ok(stop)
}
