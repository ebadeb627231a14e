//! What every LVM command has in common.

use std::cell::RefCell;

use super::*;

/// Writes commands down and answers with an empty report.
#[derive(Default)]
struct Recorder(RefCell<Vec<Cmd>>);

impl Runner for Recorder {
    fn run(&self, cmd: &Cmd) -> Result<String, CmdError> {
        self.0.borrow_mut().push(cmd.clone());
        Ok(r#"{"report": [{"pv": [], "lv": []}]}"#.to_owned())
    }
}

/// Calls every verb of [`Lvm`] once.
fn every_verb(lvm: &Lvm<'_>, group: &Group) -> Result<(), CmdError> {
    let id = VolumeId(Uuid::from_u128(7));
    let name: ObjectName = "data".parse().unwrap();
    lvm.scan(&group.devices)?;
    lvm.group(group)?;
    lvm.lvs(group, "uuid")?;
    lvm.create_group(group, "tag")?;
    lvm.tag_group(group, "tag")?;
    lvm.untag_group(group, "tag")?;
    lvm.create_thin_pool(group, 4)?;
    lvm.create_linear(group, id, &name, 4)?;
    lvm.create_thin(group, id, &name, Bytes::MIB)?;
    lvm.activate(group, "lv")?;
    lvm.retag(group, "lv", "uuid", (&["a".to_owned()], &["b".to_owned()]))?;
    lvm.remove(group, "lv", "uuid", "tag")
}

/// Seen red with: `lvs` made without `--devices`.
#[test]
fn every_call_names_its_devices_and_the_host_activates_none_of_weirs_groups() {
    let group = Group {
        name: "vg".parse().unwrap(),
        devices: vec!["/dev/a".to_owned(), "/dev/b".to_owned()],
    };
    let recorder = Recorder::default();
    every_verb(&Lvm(&recorder), &group).unwrap();
    let cmds = recorder.0.take();
    assert_eq!(cmds.len(), 12);
    let mut made = 0;
    for cmd in cmds {
        assert_eq!(cmd.program, Program::Lvm);
        assert_eq!(cmd.args[1..3], ["--devices", "/dev/a,/dev/b"], "{cmd}");
        if cmd.args[0] == "vgcreate" || cmd.args.iter().any(|arg| arg == "linear") {
            let off = ["--setautoactivation", "n"];
            assert!(cmd.args.windows(2).any(|pair| pair == off), "{cmd}");
            made += 1;
        }
    }
    assert_eq!(made, 2);
}

#[test]
fn where_there_is_no_device_nothing_is_scanned() {
    let recorder = Recorder::default();
    assert_eq!(Lvm(&recorder).scan(&[]).unwrap(), Vec::new());
    assert!(recorder.0.take().is_empty());
}
