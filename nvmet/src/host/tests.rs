//! Connecting, disconnecting and waiting on directories that look like a real kernel's.

use std::error::Error;
use std::fs;

use super::*;
use crate::controllers::testing::{Machine, VOLUME};

fn host(machine: &Machine) -> Host {
    Host::at(machine.sysfs(), machine.dev())
}

fn nqn(name: &str) -> Nqn {
    format!("nqn.{name}").parse().unwrap()
}

fn options() -> ConnectOptions {
    ConnectOptions::tcp(
        "10.0.0.1".parse().unwrap(),
        4420,
        nqn("volume"),
        nqn("host"),
    )
}

fn volume() -> Uuid {
    VOLUME.parse().unwrap()
}

/// A deadline that has passed: one look.
fn now() -> Instant {
    Instant::now()
}

/// A file that the options overwrite up to the answer, which is then what is read.
fn fabrics_device(machine: &Machine, answer: &str) -> PathBuf {
    let path = machine.dev().join("nvme-fabrics");
    let filler = " ".repeat(options().to_option_string().len());
    fs::write(&path, filler + answer).unwrap();
    path
}

#[test]
fn options_are_written_at_once_and_the_answer_read_from_the_same_file() {
    let machine = Machine::new();
    let device = fabrics_device(&machine, "instance=7,cntlid=3\n");
    let connected = host(&machine).connect(&options()).unwrap();
    let expected = Connected {
        outcome: Outcome::Changed,
        controller: "nvme7".to_owned(),
        cntlid: Some(3),
    };
    assert_eq!(connected, expected);
    let written = fs::read_to_string(device).unwrap();
    assert!(
        written.starts_with(&options().to_option_string()),
        "{written}"
    );
}

/// There is no /dev/nvme-fabrics to write to. Seen red with: `ConnectOptions::is` always false.
#[test]
fn a_connection_that_is_there_is_not_made_again() {
    for state in ["live", "connecting", "resetting"] {
        let machine = Machine::new();
        machine.controller(0, 0, "nqn.volume", state);
        let connected = host(&machine).connect(&options()).unwrap();
        assert_eq!(connected.outcome, Outcome::Unchanged);
        assert_eq!(connected.controller, "nvme0");
    }
}

#[test]
fn another_connection_is_not_taken_for_this_one() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "live");
    machine.controller(1, 1, "nqn.dead", "deleting");
    let others = [
        ConnectOptions {
            service: 4421,
            ..options()
        },
        ConnectOptions {
            address: "10.0.0.3".parse().unwrap(),
            ..options()
        },
        ConnectOptions {
            subsystem: nqn("other"),
            ..options()
        },
        ConnectOptions {
            subsystem: nqn("dead"),
            ..options()
        },
        ConnectOptions {
            host_id: Uuid::nil(),
            ..options()
        },
    ];
    for options in others {
        let error = host(&machine).connect(&options).unwrap_err();
        assert!(
            matches!(error, ConnectError::Device { .. }),
            "{options:?}: {error}"
        );
    }
}

/// Seen red with: the loop over `of_subsystem` in `connected` left out.
#[test]
fn what_another_host_may_still_hold_back_is_not_given_a_new_path() {
    for state in ["live", "connecting", "deleting"] {
        let machine = Machine::new();
        machine.controller(0, 0, "nqn.volume", state);
        let next = ConnectOptions {
            host: nqn("host:2"),
            ..options()
        };
        let error = host(&machine).connect(&next).unwrap_err();
        assert!(matches!(error, ConnectError::OtherHost { .. }), "{error}");
        assert!(
            error.to_string().contains("nqn.host; disconnect"),
            "{error}"
        );
    }
}

#[test]
fn a_missing_module_and_an_odd_answer_are_told() {
    let machine = Machine::new();
    let error = host(&machine).connect(&options()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("nvme-fabrics: cannot be opened (are the modules")
    );
    fabrics_device(&machine, "instance=-1,cntlid=-1,transport=%s\n");
    let error = host(&machine).connect(&options()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "subsystem nqn.volume at 10.0.0.1 port 4420: connecting as nqn.host failed"
    );
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("is no answer to a connect")
    );
}

#[test]
fn disconnecting_removes_every_controller_of_the_subsystem_and_no_other() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "live");
    machine.controller(1, 0, "nqn.volume", "connecting");
    machine.controller(2, 2, "nqn.other", "live");
    let outcome = host(&machine).disconnect(&nqn("volume")).unwrap();
    assert_eq!(outcome, Outcome::Changed);
    let deleted = |number: u32| machine.read(&format!("class/nvme/nvme{number}/delete_controller"));
    assert_eq!(deleted(0), "1");
    assert_eq!(deleted(1), "1");
    assert_eq!(deleted(2), "\n");
}

#[test]
fn disconnecting_what_is_not_connected_says_so() {
    let machine = Machine::new();
    machine.controller(2, 2, "nqn.other", "live");
    let outcome = host(&machine).disconnect(&nqn("volume")).unwrap();
    assert_eq!(outcome, Outcome::Unchanged);
    // Its attribute goes first when somebody else deletes it.
    machine.controller(0, 0, "nqn.volume", "deleting");
    machine.remove("devices/virtual/nvme-fabrics/ctl/nvme0/delete_controller");
    let outcome = host(&machine).disconnect(&nqn("volume")).unwrap();
    assert_eq!(outcome, Outcome::Unchanged);
}

#[test]
fn a_namespace_that_appears_while_it_is_waited_for_is_found() {
    let machine = Machine::new();
    let host = host(&machine);
    let deadline = Instant::now() + Duration::from_secs(60);
    let looks = std::cell::Cell::new(0);
    machine.controller(0, 0, "nqn.volume", "live");
    machine.multipath_disk(0, 0);
    let path = host
        .wait(volume(), deadline, |_, _| {
            looks.set(looks.get() + 1);
            // As long as devtmpfs is behind sysfs.
            if looks.get() < 3 {
                return Err(NotThisDevice::NotABlockDevice);
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(path, machine.dev().join("nvme0n1"));
    assert_eq!(looks.get(), 3);
}

/// Opening a device that has gone with O_CREAT leaves a plain file in /dev. Seen red with:
/// `is_block_device` in `examine` not looked at.
#[test]
fn a_plain_file_in_its_place_is_not_used() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "live");
    machine.plain_disk(0);
    let path = machine.dev().join("nvme0n1");
    fs::write(&path, "").unwrap();
    let error = host(&machine)
        .wait_for_namespace(volume(), now())
        .unwrap_err();
    assert!(
        error.to_string().contains("nvme0n1 cannot be used"),
        "{error}"
    );
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "it is not a block device");
}

/// Seen red with: `.create(true).append(true)` added to the options in `examine`.
#[test]
fn waiting_makes_no_file() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "live");
    machine.plain_disk(0);
    host(&machine)
        .wait_for_namespace(volume(), now())
        .unwrap_err();
    assert_eq!(fs::read_dir(machine.dev()).unwrap().count(), 0);
}

/// Reads of a disk whose only controller is reconnecting hang.
#[test]
fn a_namespace_without_a_live_controller_is_waited_for() {
    let machine = Machine::new();
    machine.controller(0, 0, "nqn.volume", "connecting");
    machine.multipath_disk(0, 0);
    let error = host(&machine)
        .wait_for_namespace(volume(), now())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "namespace {VOLUME}: did not appear in time; nvme0 (connecting, nqn.volume) has \
             [{VOLUME}]"
        )
    );
}

#[test]
fn an_empty_machine_is_described() {
    let machine = Machine::new();
    let error = host(&machine)
        .wait_for_namespace(volume(), now())
        .unwrap_err();
    assert!(
        error.to_string().ends_with("there are no controllers"),
        "{error}"
    );
}
