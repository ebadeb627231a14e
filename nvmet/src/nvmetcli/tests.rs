//! What nvmetcli 0.9 saved on a real kernel, and what is refused.

use super::*;
use crate::model::{AnaState, Nsid, PortId, Portal, Secret, Tsas};

/// What `nvmetcli save` wrote in a guest with Linux 6.12 (`cargo xtask test nvmet` makes that target).
const SAVED: &str = include_str!("saved-6.12.json");

fn error(edit: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(SAVED).unwrap();
    edit(&mut value);
    match read(&value.to_string()) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Seen red with: `qid_max` left out of the writer.
#[test]
fn what_nvmetcli_saved_is_read() {
    let target = read(SAVED).unwrap();
    let (host, disk) = (
        "nqn.2026-11.com.example:host".parse().unwrap(),
        "nqn.2026-11.com.example:disk".parse().unwrap(),
    );
    let keys = &target.hosts[&host];
    assert!(keys.is_required());
    assert_eq!(keys.controller_key, Some(Secret::NONE));
    let subsystem = &target.subsystems[&disk];
    assert_eq!(subsystem.serial.as_deref(), Some("00000000000000000001"));
    assert_eq!(subsystem.ieee_oui, 0xabcd.try_into().ok());
    assert_eq!(subsystem.vendor_id, None, "this kernel lacks it");
    let namespace = &subsystem.namespaces[&Nsid::FIRST];
    assert!(namespace.enabled);
    assert_eq!(namespace.buffered_io, None, "nvmetcli doesn't save it");
    let port = &target.ports[&PortId(1)];
    assert_eq!(port.portal, Portal::tcp("127.0.0.1".parse().unwrap(), 4420));
    assert_eq!(port.tsas, Some(Tsas::None));
    assert_eq!(port.inline_data_size, Some(65536));
    assert_eq!(target.ports[&PortId(3)].portal, Portal::local());
    assert_eq!(
        port.ana_groups[&2.try_into().unwrap()],
        AnaState::NonOptimized
    );
    let referral = &port.referrals[&"other".parse().unwrap()];
    assert_eq!(
        referral.portal,
        Some(Portal::tcp("127.0.0.2".parse().unwrap(), 8009))
    );
    assert_eq!(read(&write(&target)).unwrap(), target);
}

#[test]
fn a_wrong_field_is_named() {
    for (edit, expected) in [
        (
            (|value| value["subsystems"][0]["attr"]["frimware"] = "1".into()) as fn(&mut Value),
            "subsystems[0].attr.frimware: is nothing that this library knows",
        ),
        (
            |value| value["subsystems"][1]["namespaces"][0]["nsid"] = 0.into(),
            "subsystems[1].namespaces[0].nsid: namespace id 0 is not in 1..=4294967294",
        ),
        (
            |value| {
                let device = &mut value["subsystems"][1]["namespaces"][0]["device"];
                device.as_object_mut().unwrap().remove("uuid");
            },
            "subsystems[1].namespaces[0].device.uuid: is missing",
        ),
        (
            |value| value["subsystems"][0]["passthru"][0]["enable"] = 1.into(),
            "subsystems[0].passthru[0]: is set up, which this library can't represent",
        ),
        (
            |value| value["ports"][0]["addr"]["trtype"] = "pci".into(),
            "ports[0].addr.trtype: and its address are nothing that this library can represent",
        ),
        (
            |value| value["hosts"][0]["nqn"] = "../x".into(),
            "hosts[0].nqn: `../x`: `../x` is not an NQN: does not begin with `nqn.`",
        ),
        (
            |value| value["hosts"] = serde_json::json!([{"nqn": "nqn.a"}, {"nqn": "nqn.a"}]),
            "hosts: Nqn(\"nqn.a\") is there twice",
        ),
    ] {
        assert_eq!(error(edit), expected);
    }
}

/// Seen red with: `need` made `entries` for the three lists, so that they may be missing.
#[test]
fn a_file_that_was_cut_short_is_no_order_to_remove_anything() {
    for missing in ["hosts", "subsystems", "ports"] {
        let said = error(|value| {
            value.as_object_mut().unwrap().remove(missing);
        });
        assert_eq!(said, format!("{missing}: is missing"));
    }
    assert!(read("{}").is_err());
    assert!(read(&SAVED[..SAVED.len() / 2]).is_err());
}

#[test]
fn no_key_is_in_an_error() {
    let half = "{\"hosts\": [{\"dhchap\": {\"key\": \"DHHC-1:00:c2VjcmV0:\"";
    let errors = [
        read(half).unwrap_err().to_string(),
        error(|value| value["hosts"][0]["dhchap"] = "DHHC-1:00:c2VjcmV0:".into()),
        error(|value| {
            value["hosts"][0]["dhchap"]["key"] = serde_json::json!(["DHHC-1:00:c2VjcmV0:"])
        }),
    ];
    for error in errors {
        assert!(error != "ok" && !error.contains("c2Vj"), "{error}");
    }
}
