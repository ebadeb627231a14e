//! What containers are started with: our programs' own command lines read it, sidecars' options are those of the versions that are named.

use std::collections::BTreeMap;

use clap::Parser;
use serde_json::Value;

use crate::component::COMPONENTS;
use crate::manifests::{Manifest, all, kustomization};

/// Sidecars: image with its version, and the options of it that are known here (`--help` of that version).
const SIDECARS: [(&str, &[&str]); 5] = [
    (
        "csi-provisioner:v6.3.0",
        &[
            "capacity-ownerref-level",
            "csi-address",
            "enable-capacity",
            "extra-create-metadata",
            "feature-gates",
            "leader-election",
            "leader-election-namespace",
            "timeout",
        ],
    ),
    (
        "csi-attacher:v4.12.0",
        &[
            "csi-address",
            "leader-election",
            "leader-election-namespace",
            "timeout",
        ],
    ),
    (
        "csi-resizer:v2.2.1",
        &[
            "csi-address",
            "handle-volume-inuse-error",
            "leader-election",
            "leader-election-namespace",
            "timeout",
        ],
    ),
    (
        "csi-node-driver-registrar:v2.17.0",
        &["csi-address", "kubelet-registration-path"],
    ),
    (
        "livenessprobe:v2.19.0",
        &[
            "csi-address",
            "health-port",
            "http-endpoint",
            "probe-timeout",
        ],
    ),
];

struct Container {
    pod: String,
    name: String,
    image: String,
    command: Vec<String>,
    args: Vec<String>,
    mounts: Vec<(String, String)>,
}

fn words(value: &Value) -> Vec<String> {
    let words = value.as_array().into_iter().flatten();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// The containers of all pods, `$(VARIABLE)` replaced by what a node's kubelet might put there.
fn containers() -> Vec<Container> {
    let of = |one: &Manifest| -> Vec<Container> {
        let containers = one.containers();
        let containers = containers.into_iter().map(|container| {
            let variables = container["env"].as_array().into_iter().flatten();
            let variables: BTreeMap<&str, &str> = variables
                .map(|variable| {
                    let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
                    let value = match field.unwrap() {
                        "spec.nodeName" => "node-1",
                        "status.podIP" => "10.1.0.7",
                        "status.hostIP" => "10.0.0.1",
                        "metadata.namespace" => "weir-system",
                        "metadata.name" => "pod-1",
                        other => panic!("{other}"),
                    };
                    (variable["name"].as_str().unwrap(), value)
                })
                .collect();
            let expand = |word: String| {
                let word = variables.iter().fold(word, |word, (name, value)| {
                    word.replace(&format!("$({name})"), value)
                });
                assert!(!word.contains("$("), "{}: {word}", one.name());
                word
            };
            let mounts = container["volumeMounts"].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            Container {
                pod: one.name().to_owned(),
                name: text(&container["name"]),
                image: text(&container["image"]),
                command: words(&container["command"]),
                args: words(&container["args"]).into_iter().map(expand).collect(),
                mounts: mounts
                    .map(|one| (text(&one["mountPath"]), text(&one["name"])))
                    .collect(),
            }
        });
        containers.collect()
    };
    all().iter().flat_map(of).collect()
}

fn named(pod: &str, name: &str) -> Container {
    let mut all = containers().into_iter();
    all.find(|one| one.pod == pod && one.name == name).unwrap()
}

/// Seen red with: `0.1.0` of weir-csi's image changed; an image's name misspelt.
#[test]
fn images_are_those_that_dist_makes_or_the_stock_sidecars() {
    let version = env!("CARGO_PKG_VERSION");
    let ours: Vec<String> = COMPONENTS.iter().map(|one| one.image(version)).collect();
    let stock = SIDECARS.map(|(image, _)| format!("registry.k8s.io/sig-storage/{image}"));
    for one in containers() {
        assert!(
            ours.contains(&one.image) || stock.contains(&one.image),
            "{} {}: {}",
            one.pod,
            one.name,
            one.image
        );
    }
    for image in ours {
        assert!(containers().iter().any(|one| one.image == image), "{image}");
    }
}

/// Seen red with: `--telemetry-token` spelt `--telemetry-tokens`; `--agent-account=weir-agent`; `--mode=nodes`.
#[test]
fn our_programs_take_what_they_are_started_with() {
    let mut read = 0;
    for one in containers() {
        let program = one.name.as_str();
        if !program.starts_with("weir-") {
            continue;
        }
        assert!(one.command.is_empty(), "{program}: the image has it");
        let line = [program.to_owned()].into_iter().chain(one.args.clone());
        let error = match program {
            "weir-agent" => weir_agent::args::Cli::try_parse_from(line).err(),
            "weir-controller" => weir_controller::args::Cli::try_parse_from(line).err(),
            "weir-csi" => weir_csi::args::Args::try_parse_from(line).err(),
            other => panic!("{other}"),
        };
        assert!(error.is_none(), "{}: {}", one.pod, error.unwrap());
        read += 1;
    }
    assert_eq!(read, 4);
}

/// What is run instead of an image's own program is in the image, or mounted.
#[test]
fn other_programs_are_there() {
    let install = named("weir-agent", "install-host");
    let (dir, file) = install.command[0].rsplit_once('/').unwrap();
    assert!(install.mounts.iter().any(|(path, _)| path == dir));
    let made = kustomization();
    let host = &made["configMapGenerator"][1];
    assert_eq!(host["name"], "weir-host");
    assert!(words(&host["files"]).contains(&file.to_owned()));
    let load = named("weir-csi-node", "load-module");
    let csi = COMPONENTS.iter().find(|one| one.name == "weir-csi");
    let mut calls = csi.unwrap().calls.iter();
    assert!(calls.any(|(argv, _)| argv[0] == load.command[0]));
}

/// Seen red with: `--enable-capacity` spelt `--enable-capacities`.
#[test]
fn sidecars_have_the_options_that_they_are_given() {
    for (image, options) in SIDECARS {
        let full = format!("registry.k8s.io/sig-storage/{image}");
        let mut used = 0;
        for one in containers().iter().filter(|one| one.image == full) {
            used += 1;
            for word in &one.args {
                let option = word.strip_prefix("--").unwrap();
                let option = option.split('=').next().unwrap();
                assert!(options.contains(&option), "{image}: {word}");
            }
        }
        assert!(used > 0, "{image}");
    }
}

/// weir-csi answers what it waited for before a sidecar gives up, and all are at one socket.
///
/// Seen red with: the provisioner's `--timeout` at 30 s.
#[test]
fn sidecars_wait_longer_than_the_plugin() {
    let option = |one: &Container, name: &str| {
        let mut values = one.args.iter();
        values.find_map(|word| {
            let value = word.strip_prefix(&format!("--{name}="))?;
            Some(value.to_owned())
        })
    };
    let plugin = named("weir-csi-controller", "weir-csi");
    let patience: u32 = option(&plugin, "patience").unwrap().parse().unwrap();
    for sidecar in ["csi-provisioner", "csi-attacher", "csi-resizer"] {
        let sidecar = named("weir-csi-controller", sidecar);
        let timeout = option(&sidecar, "timeout").unwrap();
        let timeout: u32 = timeout.strip_suffix('s').unwrap().parse().unwrap();
        assert!(timeout > patience, "{}", sidecar.name);
        assert!(sidecar.args.contains(&"--leader-election".to_owned()));
    }
    for one in containers() {
        if let Some(address) = option(&one, "csi-address") {
            let plugin = named(&one.pod, "weir-csi");
            assert_eq!(
                option(&plugin, "endpoint"),
                Some(format!("unix://{address}"))
            );
            assert!(
                one.mounts
                    .contains(&("/csi".to_owned(), plugin.mounts[0].1.clone()))
            );
        }
    }
}

/// Programs that are told of their API by a kubeconfig find it where it is mounted.
#[test]
fn a_kubeconfig_is_where_it_is_said_to_be() {
    for (pod, name) in [
        ("weir-agent", "weir-agent"),
        ("weir-controller", "weir-controller"),
    ] {
        let one = named(pod, name);
        assert!(
            one.args
                .contains(&"--kubeconfig=/etc/weir/kubeconfig".to_owned())
        );
        assert!(
            one.mounts
                .contains(&("/etc/weir".to_owned(), "kubeconfig".to_owned()))
        );
    }
    let text =
        std::fs::read_to_string(crate::manifests::deploy().join("kubernetes/kubeconfig.yaml"));
    kube::config::Kubeconfig::from_yaml(&text.unwrap()).unwrap();
}

/// The account by whose tokens the controller knows agents is the agents', and so is the audience.
///
/// Seen red with: `--agent-account=weir-system:weir-agents`; another audience in agent.yaml.
#[test]
fn agents_are_known_by_their_own_tokens() {
    let controller = named("weir-controller", "weir-controller");
    let line = ["weir-controller".to_owned()].into_iter();
    let cli = weir_controller::args::Cli::parse_from(line.chain(controller.args));
    let account = cli.agent_account.unwrap();
    let agent = all()
        .into_iter()
        .find(|one| one.kind() == "DaemonSet" && one.name() == "weir-agent");
    let agent = agent.unwrap();
    assert_eq!(account.namespace, agent.namespace());
    assert_eq!(account.name, agent.pods().unwrap()["serviceAccountName"]);
    let volumes = agent.pods().unwrap()["volumes"].as_array().unwrap().clone();
    let token = volumes.iter().find(|one| one["name"] == "telemetry-token");
    let source = &token.unwrap()["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(source["audience"], weir_telemetry::AUDIENCE);
    let own = named("weir-agent", "weir-agent");
    let path = format!(
        "--telemetry-token=/var/run/secrets/weir.dev/{}",
        source["path"].as_str().unwrap()
    );
    assert!(own.args.contains(&path));
}
