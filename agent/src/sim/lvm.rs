//! The simulated node's commands: LVM's, as far as the agent uses them, and wipefs(8).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::{Content, EXTENT, Group, Lv, Sim, State};
use crate::cmd::{Cmd, CmdError, Program, Runner};
use crate::durable::fake::MemFs;
use crate::lvm::id_in;

impl Runner for Sim {
    fn run(&self, cmd: &Cmd) -> Result<String, CmdError> {
        let mut state = self.lock();
        let failed = |reason: String| CmdError::Run {
            cmd: cmd.to_string(),
            source: io::Error::other(reason),
        };
        let stopped = |source| CmdError::Run {
            cmd: cmd.to_string(),
            source,
        };
        let args: Vec<&str> = cmd.args.iter().map(String::as_str).collect();
        state.commands.push(cmd.to_string());
        if args[0] == "lvcreate"
            && let Some(id) = id_in(&cmd.args)
            && !self
                .fs
                .is_durable(Path::new(&format!("/record/volume-{id}.json")))
        {
            state.violation(format!("the LV of {id} is made before its record"));
        }
        if args[0] == "lvremove" {
            state.check_order(&self.fs, &args);
        }
        let reads = matches!(args.as_slice(), ["pvs" | "lvs" | "--no-act" | "status", ..]);
        if state.fuse.is_blown() {
            state.fuse.burn().map_err(stopped)?;
        }
        if !reads {
            state.fuse.burn().map_err(stopped)?;
        }
        let output = match cmd.program {
            Program::Lvm => state.lvm(&args),
            Program::Wipefs => state.wipefs(&args),
            Program::Modprobe => Ok(String::new()),
            Program::Dmsetup => state.dmsetup(&args),
        };
        let output = output.map_err(failed)?;
        if !reads {
            state.fuse.burn().map_err(stopped)?;
        }
        Ok(output)
    }
}

/// A command's options and what is left.
struct Parsed<'a> {
    devices: Option<BTreeSet<&'a str>>,
    options: Vec<(&'a str, &'a str)>,
    words: Vec<&'a str>,
}

fn parse_args<'a>(args: &[&'a str]) -> Parsed<'a> {
    let flags = ["--yes", "-Wn", "-Zn", "-ay", "--nosuffix"];
    let mut parsed = Parsed {
        devices: None,
        options: Vec::new(),
        words: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        if flags.contains(&arg) {
            parsed.options.push((arg, ""));
        } else if arg == "--devices" {
            parsed.devices = Some(args.next().unwrap().split(',').collect());
        } else if arg.starts_with('-') {
            parsed.options.push((arg, args.next().unwrap()));
        } else {
            parsed.words.push(arg);
        }
    }
    parsed
}

impl Parsed<'_> {
    fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(option, _)| *option == name)
            .map(|(_, value)| *value)
    }

    fn tags(&self, option: &str) -> BTreeSet<String> {
        let tags = self.options.iter().filter(|(name, _)| *name == option);
        tags.map(|(_, tag)| (*tag).to_owned()).collect()
    }
}

impl State {
    /// A volume's LV is destroyed only once the order is on stable storage.
    fn check_order(&mut self, fs: &MemFs, args: &[&str]) {
        let parsed = parse_args(&args[1..]);
        let Some((group, lv)) = parsed.words[0].split_once('/') else {
            return;
        };
        let lv = self.groups.get(group).and_then(|vg| vg.lvs.get(lv));
        let Some(id) = lv.and_then(|lv| id_in(&lv.tags)) else {
            return;
        };
        let record = fs.on_disk(Path::new(&format!("/record/volume-{id}.json")));
        if !String::from_utf8_lossy(&record).contains("\"Deleting\"") {
            self.violation(format!("volume {id} is destroyed before that is recorded"));
        }
    }

    fn wipefs(&mut self, args: &[&str]) -> Result<String, String> {
        let device = *args.last().unwrap();
        let is_pv = self
            .groups
            .values()
            .any(|group| group.devices.iter().any(|d| d == device));
        let disk = self.disks.get_mut(device).ok_or("no such device")?;
        if args[0] == "--no-act" {
            let mut kinds = disk.signatures.clone();
            kinds.extend(is_pv.then(|| "LVM2_member".to_owned()));
            let rows: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
            return Ok(json!({"signatures": rows}).to_string());
        }
        let loses = !disk.signatures.is_empty() && !disk.expendable;
        disk.signatures.clear();
        if loses || is_pv {
            self.violation(format!("{device} is wiped"));
        }
        Ok(String::new())
    }

    fn lvm(&mut self, args: &[&str]) -> Result<String, String> {
        let parsed = parse_args(&args[1..]);
        if parsed.devices.is_none() {
            self.violation(format!("{args:?} does not name its devices"));
        }
        match args[0] {
            "pvs" => Ok(self.pvs(&parsed)),
            "lvs" => self.report_lvs(&parsed),
            "vgcreate" => self.vgcreate(&parsed).map(|()| String::new()),
            verb => {
                let (group, lv) = parsed.words[0]
                    .split_once('/')
                    .unwrap_or((parsed.words[0], ""));
                let members = self
                    .groups
                    .get(group)
                    .ok_or("no such group")?
                    .devices
                    .clone();
                let named = parsed.devices.clone().unwrap_or_default();
                if !members.iter().all(|device| named.contains(device.as_str())) {
                    self.violation(format!("{args:?} does not name its devices"));
                }
                match verb {
                    "vgchange" => {
                        let tags = &mut self.groups.get_mut(group).unwrap().tags;
                        tags.extend(parsed.tags("--addtag"));
                        tags.retain(|tag| !parsed.tags("--deltag").contains(tag));
                        self.changed(group);
                        Ok(())
                    }
                    "lvcreate" => self.lvcreate(group, &parsed),
                    "lvchange" => self.lvchange(group, lv, &parsed),
                    "lvrename" => self.lvrename(group, parsed.words[1], parsed.words[2]),
                    "lvremove" => self.lvremove(group, lv, &parsed),
                    _ => Err(format!("{verb} is not simulated")),
                }
                .map(|()| String::new())
            }
        }
    }

    fn pvs(&self, parsed: &Parsed) -> String {
        let mut rows = Vec::new();
        for (name, group) in &self.groups {
            let sees = |device: &String| {
                parsed
                    .devices
                    .as_ref()
                    .is_none_or(|devices| devices.contains(device.as_str()))
            };
            if !group.devices.iter().any(sees) {
                continue;
            }
            let used: u64 = group.lvs.values().map(|lv| lv.extents).sum();
            let tags: Vec<&str> = group.tags.iter().map(String::as_str).collect();
            for device in &group.devices {
                let there = sees(device) && self.disks.contains_key(device);
                rows.push(json!({
                    "pv_name": if there { device } else { "[unknown]" },
                    "pv_uuid": device, "vg_name": name, "vg_uuid": group.uuid,
                    "vg_size": (group.extents * EXTENT).to_string(),
                    "vg_free": ((group.extents - used) * EXTENT).to_string(),
                    "vg_extent_size": EXTENT.to_string(), "vg_tags": tags.join(","),
                }));
            }
        }
        let member = |device: &String| self.groups.values().any(|g| g.devices.contains(device));
        for (device, disk) in &self.disks {
            if disk.signatures.iter().any(|kind| kind == "LVM2_member") && !member(device) {
                rows.push(json!({
                    "pv_name": device, "pv_uuid": device, "vg_name": "", "vg_uuid": "",
                    "vg_size": "0", "vg_free": "0", "vg_extent_size": "0", "vg_tags": "",
                }));
            }
        }
        json!({"report": [{"pv": rows}]}).to_string()
    }

    fn report_lvs(&self, parsed: &Parsed) -> Result<String, String> {
        let name = parsed.words[0];
        let group = self.groups.get(name).ok_or("no such group")?;
        let mut rows = Vec::new();
        let numbered = self.numbered().filter(|(_, of, ..)| *of == name);
        for (major, _, minor, lv_name, lv) in numbered {
            let path = State::dm_path(name, lv_name);
            let active = self.active.contains(&lv.uuid);
            let open = self.is_open(&path, &lv.uuid);
            let tags: Vec<&str> = lv.tags.iter().map(String::as_str).collect();
            let attr = format!(
                "{}wi-{}{}-{}--",
                lv.kind,
                if active { 'a' } else { '-' },
                if open { 'o' } else { '-' },
                if lv.zeroes { 'z' } else { '-' }
            );
            let number = |number: usize| {
                if active {
                    number.to_string()
                } else {
                    "-1".to_owned()
                }
            };
            rows.push(json!({
                "vg_uuid": group.uuid, "lv_name": lv_name, "lv_uuid": lv.uuid,
                "lv_size": (lv.extents * EXTENT + lv.virtual_size).to_string(), "lv_tags": tags.join(","),
                "lv_attr": attr, "pool_lv": "", "lv_dm_path": path,
                "lv_kernel_major": number(major), "lv_kernel_minor": number(minor),
            }));
        }
        Ok(json!({"report": [{"lv": rows}]}).to_string())
    }

    fn vgcreate(&mut self, parsed: &Parsed) -> Result<(), String> {
        let name = parsed.words[0].to_owned();
        let devices: Vec<String> = parsed.words[1..]
            .iter()
            .map(|&word| word.to_owned())
            .collect();
        if self.groups.contains_key(&name) {
            return Err(format!("{name} exists"));
        }
        let mut extents = 0;
        for device in &devices {
            let disk = self.disks.get_mut(device).ok_or("no such device")?;
            extents += disk.extents;
            let loses = disk.signatures.iter().any(|kind| kind != "LVM2_member");
            disk.signatures = vec!["LVM2_member".to_owned()];
            if loses {
                self.violation(format!("{device} is made a PV over somebody's data"));
            }
        }
        let group = Group {
            uuid: self.uuid("vg"),
            tags: parsed.tags("--addtag"),
            devices,
            extents,
            ..Group::default()
        };
        self.groups.insert(name.clone(), group);
        self.changed(&name);
        Ok(())
    }

    fn lvcreate(&mut self, group: &str, parsed: &Parsed) -> Result<(), String> {
        let name = parsed.option("--name").unwrap().to_owned();
        let kind = parsed.option("--type").unwrap();
        let uuid = self.uuid("lv");
        let vg = self.groups.get_mut(group).unwrap();
        if vg.lvs.contains_key(&name) {
            return Err(format!("{name} exists"));
        }
        let extents = match parsed.option("--extents") {
            Some(extents) if kind != "thin" => extents.parse::<u64>().unwrap(),
            _ => 0,
        };
        let used: u64 = vg.lvs.values().map(|lv| lv.extents).sum();
        if used + extents > vg.extents {
            return Err("no space".to_owned());
        }
        let (kind, content) = match kind {
            "linear" => ('-', Content::Old),
            "thin" => ('V', Content::Zero),
            _ => ('t', Content::Zero),
        };
        let lv = Lv {
            uuid: uuid.clone(),
            tags: parsed.tags("--addtag"),
            extents,
            virtual_size: parsed
                .option("--virtualsize")
                .map_or(0, |size| size.trim_end_matches('b').parse::<u64>().unwrap()),
            kind,
            zeroes: parsed.option("--zero") == Some("y"),
        };
        vg.lvs.insert(name.clone(), lv);
        self.content.insert(uuid.clone(), content);
        self.changed(group);
        self.activate(group, &name, &uuid);
        Ok(())
    }

    fn activate(&mut self, group: &str, name: &str, uuid: &str) {
        self.active.insert(uuid.to_owned());
        self.kernel.add_block_device(State::dm_path(group, name));
    }

    fn lvchange(&mut self, group: &str, name: &str, parsed: &Parsed) -> Result<(), String> {
        let vg = self.groups.get_mut(group).unwrap();
        let lv = vg.lvs.get_mut(name).ok_or("no such LV")?;
        let uuid = lv.uuid.clone();
        let (new, gone) = (parsed.tags("--addtag"), parsed.tags("--deltag"));
        let select = parsed.option("--select");
        if select.is_some_and(|select| !select.contains(&format!("\"{uuid}\""))) {
            return Ok(());
        }
        if !new.is_empty() || !gone.is_empty() {
            lv.tags.retain(|tag| !gone.contains(tag));
            lv.tags.extend(new);
            self.changed(group);
        }
        if parsed.option("-ay").is_some() {
            self.activate(group, name, &uuid);
        }
        Ok(())
    }

    fn lvrename(&mut self, group: &str, from: &str, to: &str) -> Result<(), String> {
        let vg = self.groups.get_mut(group).unwrap();
        if vg.lvs.contains_key(to) {
            return Err(format!("{to} exists"));
        }
        let lv = vg.lvs.remove(from).ok_or("no such LV")?;
        let is_active = self.active.contains(&lv.uuid);
        vg.lvs.insert(to.to_owned(), lv);
        if is_active {
            self.kernel.remove_block_device(State::dm_path(group, from));
            self.kernel.add_block_device(State::dm_path(group, to));
        }
        self.changed(group);
        Ok(())
    }

    fn lvremove(&mut self, group: &str, name: &str, parsed: &Parsed) -> Result<(), String> {
        let lv = self.groups[group]
            .lvs
            .get(name)
            .ok_or("no such LV")?
            .clone();
        let select = parsed.option("--select").unwrap_or_default();
        let tag = select.split('"').nth(3).unwrap_or_default();
        if !select.contains(&format!("\"{}\"", lv.uuid)) || !lv.tags.contains(tag) {
            return Ok(());
        }
        let path = State::dm_path(group, name);
        if self.is_open(&path, &lv.uuid) {
            return Err(format!("{name} is in use"));
        }
        if let Some(id) = id_in(&lv.tags)
            && !self.ordered.contains(&id)
        {
            self.violation(format!("volume {id} is destroyed without an order"));
        }
        self.groups.get_mut(group).unwrap().lvs.remove(name);
        self.active.remove(&lv.uuid);
        self.kernel.remove_block_device(path);
        self.changed(group);
        Ok(())
    }
}
