//! Properties of read, plan and apply on the in-memory kernel, over generated targets.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

use std::collections::BTreeSet;

use nvmet::fake::Release;
use nvmet::{
    ApplyError, Change, Configfs, Port, PortId, Portal, Target, Tree, UnfinishedPort, fake, plan,
};
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;

#[path = "support/generate.rs"]
mod generate;

use generate::{DEVICES, any_subsystem, any_target, device, filled, subsystem};

fn kernel() -> fake::Kernel {
    kernel_like(Release::Linux7_3)
}

fn kernel_like(release: Release) -> fake::Kernel {
    let kernel = fake::Kernel::like(release);
    (0..DEVICES).for_each(|number| kernel.add_block_device(device(number)));
    kernel
}

/// Brings the kernel to `want`, as a user would.
fn reach(configfs: &Configfs<impl Tree>, want: &Target) {
    let changes = plan(&configfs.read().unwrap(), want);
    configfs
        .apply_interrupting(&changes)
        .unwrap_or_else(|error| panic!("{error:?}\nin {changes:#?}"));
}

fn assert_reached(configfs: &Configfs<impl Tree>, want: &Target) {
    let have = configfs.read().unwrap();
    assert_eq!(have, filled(want, &have));
    assert_eq!(plan(&have, want), []);
}

fn connect_everywhere(kernel: &fake::Kernel, target: &Target) {
    for subsystem in target.ports.values().flat_map(|port| &port.subsystems) {
        kernel.connect(subsystem);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// From any target to any other, hosts having connected in between, and then nothing is left to
    /// do. Seen red with: `is_kept` in plan.rs always true (a serial that sticks), and with the
    /// `Disable` left out of `change_namespace`.
    #[test]
    fn applying_the_plan_yields_the_wanted_target(
        (release, first, second) in prop::sample::select(Release::ALL.to_vec())
            .prop_flat_map(|release| (Just(release), any_target(release), any_target(release))),
    ) {
        let kernel = kernel_like(release);
        let configfs = Configfs::over(&kernel);
        reach(&configfs, &first);
        assert_reached(&configfs, &first);
        connect_everywhere(&kernel, &first);
        reach(&configfs, &second);
        assert_reached(&configfs, &second);
    }

    /// Stopped after any step, for good reason or none, a new plan goes on from there. Seen red
    /// with: `unfinished_ports` not looked at in `Plan::ports`.
    #[test]
    fn stopping_after_any_step_and_planning_again_converges(
        first in any_target(Release::Linux7_3),
        second in any_target(Release::Linux7_3),
        third in any_target(Release::Linux7_3),
    ) {
        let before = kernel();
        reach(&Configfs::over(&before), &first);
        connect_everywhere(&before, &first);
        let steps = plan(&Configfs::over(&before).read().unwrap(), &second).len();
        for stop in 0..steps {
            for want in [&second, &third] {
                let kernel = before.clone();
                let configfs = Configfs::over(&kernel);
                let changes = plan(&configfs.read().unwrap(), &second);
                kernel.fail_after(stop, nix::errno::Errno::EIO);
                configfs.apply_interrupting(&changes).expect_err("it was stopped");
                reach(&configfs, want);
                assert_reached(&configfs, want);
            }
        }
    }

    /// Seen red with: `attr_allow_any_host` in `change_subsystem` always written.
    #[test]
    fn every_change_of_a_plan_is_needed(first in any_target(Release::Linux7_3), second in any_target(Release::Linux7_3)) {
        let before = kernel();
        reach(&Configfs::over(&before), &first);
        let changes = plan(&Configfs::over(&before).read().unwrap(), &second);
        for left_out in (0..changes.len()).filter(|nth| !is_caution(&changes[*nth])) {
            let kernel = before.clone();
            let configfs = Configfs::over(&kernel);
            let mut fewer = changes.clone();
            let change = fewer.remove(left_out);
            if configfs.apply_interrupting(&fewer).is_ok() {
                // Not by planning again: a plan that never ends would call all of itself needed.
                let have = configfs.read().unwrap();
                let message = format!("{change} is not needed in {changes:#?}");
                assert_ne!(have, filled(&second, &have), "{message}");
            }
        }
    }

    /// Not a path of another subsystem, a host or a port's address is named, also if the subsystem
    /// is removed and made anew. Seen red with: `is_remade` in `Plan::links` always true.
    #[test]
    fn a_change_to_one_subsystem_never_touches_another(
        first in any_target(Release::Linux7_3),
        changed in option::of(any_subsystem(Release::Linux7_3)),
        links in btree_set((1..4u16).prop_map(PortId), 0..3),
        number in 0..4u8,
    ) {
        let kernel = kernel();
        let configfs = Configfs::over(&kernel);
        reach(&configfs, &first);
        connect_everywhere(&kernel, &first);
        let have = configfs.read().unwrap();
        let nqn = subsystem(number);
        let mut want = have.clone();
        want.subsystems.remove(&nqn);
        for (id, port) in &mut want.ports {
            port.subsystems.remove(&nqn);
            let can_listen = matches!(port.portal, Portal::Tcp { .. } | Portal::Loop { .. });
            if changed.is_some() && links.contains(id) && can_listen {
                port.subsystems.insert(nqn.clone());
            }
        }
        if let Some(mut changed) = changed {
            changed.allowed_hosts.retain(|host| want.hosts.contains_key(host));
            want.subsystems.insert(nqn.clone(), changed);
        }
        let changes = plan(&have, &want);
        kernel_log_stays_at(&kernel, &configfs, &changes, |path| {
            path == format!("subsystems/{nqn}")
                || path.starts_with(&format!("subsystems/{nqn}/"))
                || (path.starts_with("ports/") && path.ends_with(&format!("/subsystems/{nqn}")))
        });
    }

    /// What went away is gone, and its I/O done, before anything is served in its place. Seen red
    /// with: `Phase::CreateSubsystems` moved above `Phase::StopNamespaces`.
    #[test]
    fn nothing_is_served_before_what_goes_has_gone(first in any_target(Release::Linux7_3), second in any_target(Release::Linux7_3)) {
        let changes = plan(&first, &second);
        let serves = |change: &Change| matches!(change, Change::Enable { .. } | Change::Link { .. });
        let first_served = changes.iter().position(serves).unwrap_or(changes.len());
        // A new subsystem has nobody to interrupt.
        let is_new = |change: &&Change| {
            let made = |other: &Change| match other {
                Change::CreateSubsystem { subsystem } => Some(subsystem) == change.subsystem(),
                _ => false,
            };
            matches!(change, Change::SetSubsystem { .. }) && changes.iter().any(made)
        };
        let interrupts = |change: &&Change| change.interrupts() && !is_new(change);
        let late = changes[first_served..].iter().find(interrupts);
        assert_eq!(late, None, "in {changes:#?}");
    }

    /// A link is the last thing that happens to a subsystem, so that no host ever meets it half-made.
    /// Seen red with: `Phase::Link` moved above `Phase::CreateSubsystems`.
    #[test]
    fn a_subsystem_is_linked_when_it_is_complete(first in any_target(Release::Linux7_3), second in any_target(Release::Linux7_3)) {
        let changes = plan(&first, &second);
        let first_link = changes.iter().position(|change| matches!(change, Change::Link { .. }));
        for change in changes.iter().skip(first_link.unwrap_or(changes.len())) {
            let is_right = matches!(change, Change::Link { .. } | Change::RemoveAnaGroup { .. });
            assert!(is_right, "{change} in {changes:#?}");
        }
    }

    /// Ports of other transports, passthru subsystems, odd names: read without an error, and not a
    /// path of theirs in any log. Seen red with: `Reader::known` not recording what is unmodelled
    /// and modelling a passthru subsystem like any other.
    #[test]
    fn what_the_model_cannot_say_is_left_alone(first in any_target(Release::Linux7_3), second in any_target(Release::Linux7_3)) {
        let kernel = kernel();
        let foreign = foreign_things(&kernel);
        let configfs = Configfs::over(&kernel);
        for own in [first, second] {
            let have = configfs.read().unwrap();
            prop_assert_eq!(&have.unmodelled, &foreign);
            let want = Target { unmodelled: have.unmodelled.clone(), ..own };
            kernel_log_stays_at(&kernel, &configfs, &plan(&have, &want), |path| {
                !foreign.iter().any(|foreign| path.starts_with(foreign.as_str()))
            });
            assert_reached(&configfs, &want);
        }
    }
}

/// What some kernel lacks is written whenever it is asked for, also where a new directory has it so
/// already: then a kernel without it refuses. And what a port says nothing of, the kernel chooses
/// when it begins to listen: that it would choose what is asked for is not the planner's to know.
fn is_caution(change: &Change) -> bool {
    let text = change.to_string();
    [
        ("0", "resv_enable"),
        ("0", "p2pmem"),
        ("0", "attr_pi_enable"),
        ("0", "param_pi_enable"),
        ("none", "addr_tsas"),
        ("16384", "param_inline_data_size"),
        ("0", "param_inline_data_size"),
        ("1024", "param_max_queue_size"),
    ]
    .iter()
    .any(|(value, attribute)| {
        text.starts_with(&format!("echo -n {value} ")) && text.ends_with(attribute)
    })
}

fn kernel_log_stays_at(
    kernel: &fake::Kernel,
    configfs: &Configfs<impl Tree>,
    changes: &[Change],
    allowed: impl Fn(&str) -> bool,
) {
    let before = kernel.log().len();
    configfs.apply_interrupting(changes).unwrap();
    for path in &kernel.log()[before..] {
        assert!(allowed(path), "{path} in {changes:#?}");
    }
}

fn foreign_things(kernel: &fake::Kernel) -> BTreeSet<String> {
    let root = std::path::Path::new(nvmet::configfs::DEFAULT_ROOT);
    let (mkdir, write) = (
        |path: &str| kernel.mkdir(&root.join(path)).unwrap(),
        |path: &str, value: &[u8]| kernel.write(&root.join(path), value).unwrap(),
    );
    mkdir("ports/77");
    write("ports/77/addr_trtype", b"pci");
    mkdir("ports/78");
    write("ports/78/addr_trtype", b"rdma");
    write("ports/78/addr_adrfam", b"ib");
    mkdir("hosts/somebody");
    mkdir("subsystems/testnqn");
    mkdir("subsystems/nqn.passthru");
    write("subsystems/nqn.passthru/passthru/enable", b"1");
    let link = |target: &str, link: &str| {
        kernel
            .symlink(&root.join(target), &root.join(link))
            .unwrap();
    };
    link(
        "hosts/somebody",
        "subsystems/testnqn/allowed_hosts/somebody",
    );
    [
        "ports/77",
        "ports/78",
        "hosts/somebody",
        "subsystems/testnqn",
        "subsystems/nqn.passthru",
    ]
    .map(str::to_owned)
    .into()
}

/// The generator must not have lost the interesting cases: unfinished ports, changed addresses,
/// serials that stick.
#[test]
fn a_port_left_without_an_address_is_finished_or_removed() {
    let kernel = kernel();
    let configfs = Configfs::over(&kernel);
    let port = Port::new(Portal::tcp("10.0.0.1".parse().unwrap(), 4420));
    let want = Target {
        ports: [(PortId(1), port)].into(),
        ..Target::default()
    };
    configfs
        .apply(&plan(&Target::default(), &want)[..3])
        .unwrap();
    let have = configfs.read().unwrap();
    assert_eq!(have.ports, [].into());
    assert!(have.unfinished_ports.contains_key(&PortId(1)));
    assert_eq!(plan(&have, &have), [], "somebody else's is left alone");

    let other = Configfs::over(kernel.clone());
    reach(&other, &Target::default());
    assert_reached(&other, &Target::default());

    // Built from what was read, as users do: `ports` wins.
    let mut want_from_have = have.clone();
    want_from_have.ports = want.ports.clone();
    reach(&configfs, &want_from_have);
    assert_reached(&configfs, &want);
    let unfinished: Vec<&UnfinishedPort> = have.unfinished_ports.values().collect();
    assert_eq!(unfinished.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Seen red with: `Change::Unlink` pushed instead of `Change::Interrupt` in `Plan::links`.
    #[test]
    fn a_plan_that_interrupts_others_for_a_ports_sake_says_so_and_waits_to_be_asked(
        first in any_target(Release::Linux7_3),
        second in any_target(Release::Linux7_3),
    ) {
        let kernel = kernel();
        let configfs = Configfs::over(&kernel);
        reach(&configfs, &first);
        let have = configfs.read().unwrap();
        // Nothing but the ports' own addresses and parameters changes.
        let mut want = have.clone();
        for (id, port) in &mut want.ports {
            if let Some(other) = second.ports.get(id).filter(|other| !other.subsystems.is_empty()) {
                *port = Port {
                    ana_groups: port.ana_groups.clone(),
                    referrals: port.referrals.clone(),
                    subsystems: port.subsystems.clone(),
                    ..other.clone()
                };
            }
        }
        prop_assume!(nvmet::check(&want).is_ok());
        let touched: BTreeSet<_> = plan(&have, &want)
            .iter()
            .filter_map(|change| match change {
                Change::SetPort { port, .. } | Change::RemovePort { port } => Some(*port),
                _ => None,
            })
            .collect();
        let linked: BTreeSet<_> = touched
            .iter()
            .flat_map(|port| have.ports[port].subsystems.clone())
            .collect();
        let changes = plan(&have, &want);
        if linked.is_empty() {
            configfs.apply(&changes).unwrap();
        } else {
            let log = kernel.log().len();
            match configfs.apply(&changes) {
                Err(ApplyError::Interrupts { ports, subsystems }) => {
                    prop_assert!(ports.iter().all(|port| touched.contains(port)));
                    prop_assert_eq!(subsystems, linked);
                }
                other => prop_assert!(false, "{:?} in {:#?}", other, changes),
            }
            prop_assert_eq!(kernel.log().len(), log);
            configfs.apply_interrupting(&changes).unwrap();
        }
        assert_reached(&configfs, &want);
    }
}
