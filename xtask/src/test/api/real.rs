//! A real kube-apiserver with its etcd, as `KUBEBUILDER_ASSETS` has them, and Weir's definitions in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::server::free_address;
use crate::command::Cmd;
use crate::setup::kubectl::Kubectl;

/// How long both may take to start.
const PATIENCE: Duration = Duration::from_secs(120);
/// The token of one who may do everything.
const TOKEN: &str = "weir-test";

/// Both processes; they end when this is dropped.
pub(crate) struct Real {
    dir: TempDir,
    children: Vec<Child>,
}

impl Real {
    /// Starts them and applies the definitions.
    pub(crate) fn start(assets: &Path, kubectl: &Kubectl, definitions: &Path) -> Result<Self> {
        let dir = tempfile::tempdir().context("making a directory for kube-apiserver")?;
        let mut real = Real {
            dir,
            children: Vec::new(),
        };
        let (store, peers, api) = (free_address()?, free_address()?, free_address()?);
        let (store, peers) = (format!("http://{store}"), format!("http://{peers}"));
        let at = |name: &str| real.dir.path().join(name).display().to_string();
        let etcd = [
            format!("--data-dir={}", at("etcd")),
            format!("--listen-client-urls={store}"),
            format!("--advertise-client-urls={store}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
        ];
        fs::write(
            at("tokens"),
            format!("{TOKEN},admin,admin,system:masters\n"),
        )?;
        Cmd::new("openssl")
            .args(["genrsa", "-out", &at("accounts.key"), "2048"])
            .run()
            .context("a key for service accounts: install openssl")?;
        let apiserver = [
            format!("--etcd-servers={store}"),
            format!("--secure-port={}", api.port()),
            format!("--bind-address={}", api.ip()),
            format!("--cert-dir={}", at("certs")),
            format!("--token-auth-file={}", at("tokens")),
            format!("--service-account-key-file={}", at("accounts.key")),
            format!("--service-account-signing-key-file={}", at("accounts.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ];
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: real\n  cluster: {{server: 'https://{api}', insecure-skip-tls-verify: true}}\n\
             users:\n- name: admin\n  user: {{token: {TOKEN}}}\ncontexts:\n- name: real\n  context: {{cluster: real, user: admin}}\n\
             current-context: real\n"
        );
        fs::write(real.kubeconfig(), kubeconfig).context("writing the kubeconfig")?;
        real.spawn(&assets.join("etcd"), &etcd)?;
        real.spawn(&assets.join("kube-apiserver"), &apiserver)?;
        real.wait(kubectl, &["get", "--raw", "/readyz"])?;
        let definitions = definitions.display().to_string();
        real.wait(kubectl, &["apply", "--server-side", "-f", &definitions])?;
        real.wait(
            kubectl,
            &["wait", "--for=condition=Established", "crd", "--all"],
        )?;
        real.wait(kubectl, &["get", "ns", "default"])?;
        Ok(real)
    }

    /// Its kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    fn spawn(&mut self, program: &Path, args: &[String]) -> Result<()> {
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let log =
            File::create(self.dir.path().join(format!("{name}.log"))).context("making a log")?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.children
            .push(child.with_context(|| format!("starting {}", program.display()))?);
        Ok(())
    }

    /// Repeats a command until it succeeds.
    fn wait(&mut self, kubectl: &Kubectl, args: &[&str]) -> Result<()> {
        let begun = Instant::now();
        loop {
            let done = Cmd::new(&kubectl.program)
                .args(args)
                .env("KUBECONFIG", self.kubeconfig())
                .env("HOME", self.dir.path())
                .run();
            let Err(error) = done else {
                return Ok(());
            };
            for child in &mut self.children {
                if let Some(status) = child.try_wait()? {
                    bail!("a part of the real server ended with {status}");
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // Nothing of it is kept.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
