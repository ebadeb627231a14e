//! The standalone API as its clients see it: kubectl, the kube client, recorded answers of a real server, and whether
//! it keeps its word when it is killed.

mod case;
mod person;
mod real;
pub(crate) mod server;
mod story;

use std::path::Path;

use super::Scale;
use super::report::Report;
use crate::bench;
use crate::cache::Cache;
use crate::command::Cmd;
use crate::session;
use crate::setup;
use crate::setup::kubectl::Kubectl;
use crate::workspace::Workspace;
use person::Person;
use real::Real;
use server::Server;

/// How often something is done: in CI, and in full.
struct Counts {
    kills: &'static str,
    crash_points: &'static str,
    volumes: u32,
}

impl Counts {
    fn of(scale: Scale) -> Self {
        let [kills, crash_points] = match scale.full {
            true => ["50", "1000"],
            false => ["5", "100"],
        };
        Counts {
            kills,
            crash_points,
            volumes: if scale.full { 100_000 } else { 10_000 },
        }
    }
}

/// Runs all of it.
pub(crate) fn run(cache: &Cache, workspace: &Workspace, report: &mut Report, scale: Scale) {
    let counts = Counts::of(scale);
    let seed = scale.seed.to_string();
    let test = |name: &str| workspace.test(name);
    report.case("api: kube client", || test("kube_client").show());
    report.case("api: recorded exchanges", || {
        test("replay").args(["--", "--nocapture"]).show()
    });
    report.case(&format!("api: {} kills", counts.kills), || {
        let test = test("sigkill")
            .env("WEIR_KILLS", counts.kills)
            .env("WEIR_SEED", &seed);
        test.args(["--", "--nocapture"]).show()
    });
    report.case(&format!("api: {} power cuts", counts.crash_points), || {
        let test = test("store").env("WEIR_CRASH_POINTS", counts.crash_points);
        test.env("WEIR_SEED", &seed).args(["power"]).show()
    });
    let volumes = counts.volumes;
    let crowd = report.need(&format!("api: {volumes} volumes, 1,000 watches"), || {
        bench::api::check(workspace, volumes)
    });
    if let Some(line) = crowd {
        report.figure(line);
    }
    let kubectl = report.need("api: kubectl", || setup::kubectl(cache));
    let program = report.need("api: weir-controller", || workspace.controller());
    if let Some(program) = &program {
        report.case("api: weir", || {
            let test = workspace.test("cluster");
            test.env("WEIR_CONTROLLER", program).show()
        });
        report.case("api: weir-csi", || {
            let test = workspace.test("sidecars");
            test.env("WEIR_CONTROLLER", program).show()
        });
    }
    if let (Some(kubectl), Some(program)) = (&kubectl, &program) {
        for one in kubectl {
            let server = report.need(&format!("kubectl {}: a server", one.version), || {
                Server::start(program)
            });
            if let Some(server) = server {
                tell(report, "", one, &kubectl[0], &server.kubeconfig(), true);
            }
        }
    }
    if let (Some(kubectl), Some(program)) = (&kubectl, &program) {
        report.case("api: docs/standalone.md is what happens", || {
            session::check(workspace.root(), program, &kubectl[0])
        });
    }
    if let Some(kubectl) = &kubectl {
        on_a_real_one(report, kubectl, workspace, &test);
    }
}

/// The same on a real kube-apiserver, if there is one.
fn on_a_real_one(
    report: &mut Report,
    kubectl: &[Kubectl],
    workspace: &Workspace,
    test: &dyn Fn(&str) -> Cmd,
) {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") else {
        report.figure("real-apiserver: NOT RUN (KUBEBUILDER_ASSETS names no directory with etcd and kube-apiserver)".to_owned());
        return;
    };
    let definitions = workspace.deploy().join("crds");
    let real = report.need("real-apiserver: starts", || {
        Real::start(Path::new(&assets), &kubectl[0], &definitions)
    });
    let Some(real) = real else {
        return;
    };
    report.case("real-apiserver: kube client", || {
        test("kube_client")
            .env("WEIR_TEST_KUBECONFIG", real.kubeconfig())
            .show()
    });
    for one in kubectl {
        tell(
            report,
            "real-apiserver: ",
            one,
            &kubectl[0],
            &real.kubeconfig(),
            false,
        );
    }
}

/// Goes through the story with one version of kubectl.
fn tell(
    report: &mut Report,
    place: &str,
    kubectl: &Kubectl,
    newest: &Kubectl,
    kubeconfig: &Path,
    is_ours: bool,
) {
    let version = kubectl.version;
    let person = report.need(&format!("{place}kubectl {version}: a home"), || {
        Person::new(kubectl, newest, kubeconfig)
    });
    let Some(mut person) = person else {
        return;
    };
    let steps = story::steps();
    let steps = steps
        .into_iter()
        .filter(|case| case.version.is_none_or(|only| only == version) && (is_ours || !case.ours));
    let title = format!("{place}kubectl {version}");
    let named = steps.map(|case| (format!("{title}: {}", case.args), case));
    report.story(&title, named, |case| person.does(&case));
}
