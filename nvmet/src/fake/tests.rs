//! The kernel's refusals, one by one (the table in the crate's documentation).

use super::*;

struct Shell(Kernel);

impl Shell {
    fn path(path: &str) -> PathBuf {
        Path::new(DEFAULT_ROOT).join(path)
    }

    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        errno(self.0.mkdir(&Self::path(path)))
    }

    fn rmdir(&self, path: &str) -> Result<(), Errno> {
        errno(self.0.rmdir(&Self::path(path)))
    }

    fn echo(&self, value: &str, path: &str) -> Result<(), Errno> {
        errno(self.0.write(&Self::path(path), value.as_bytes()))
    }

    fn cat(&self, path: &str) -> String {
        let value = self.0.read(&Self::path(path)).unwrap();
        String::from_utf8(value).unwrap().trim_end().to_owned()
    }

    fn ln(&self, target: &str, link: &str) -> Result<(), Errno> {
        errno(self.0.symlink(&Self::path(target), &Self::path(link)))
    }

    fn rm(&self, path: &str) -> Result<(), Errno> {
        errno(self.0.unlink(&Self::path(path)))
    }
}

fn errno(result: io::Result<()>) -> Result<(), Errno> {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))
}

/// A subsystem s with a namespace 1, a host h and a port 1.
fn shell() -> Shell {
    let shell = Shell(Kernel::new());
    shell.0.add_block_device("/dev/x");
    shell.mkdir("hosts/h").unwrap();
    shell.mkdir("subsystems/s").unwrap();
    shell.mkdir("subsystems/s/namespaces/1").unwrap();
    shell.mkdir("ports/1").unwrap();
    shell
}

#[test]
fn a_port_without_an_address_cannot_be_linked_and_a_linked_one_not_changed() {
    let shell = shell();
    let (link, target) = ("ports/1/subsystems/s", "subsystems/s");
    assert_eq!(shell.cat("ports/1/addr_trtype"), "");
    assert_eq!(shell.ln(target, link), Err(Errno::EINVAL));
    for (value, attribute) in [
        ("ipv4", "addr_adrfam"),
        ("10.0.0.1", "addr_traddr"),
        ("4420", "addr_trsvcid"),
        ("tcp", "addr_trtype"),
    ] {
        shell.echo(value, &format!("ports/1/{attribute}")).unwrap();
    }
    shell.ln(target, link).unwrap();
    assert_eq!(shell.ln(target, link), Err(Errno::EEXIST));
    assert_eq!(
        shell.echo("4421", "ports/1/addr_trsvcid"),
        Err(Errno::EACCES)
    );
    assert_eq!(shell.rmdir("ports/1"), Err(Errno::ENOTEMPTY));
    assert_eq!(shell.rmdir("subsystems/s"), Err(Errno::EBUSY));
    shell.rm(link).unwrap();
    shell.echo("4421", "ports/1/addr_trsvcid").unwrap();
    shell.rmdir("ports/1").unwrap();
}

#[test]
fn two_ports_cannot_listen_on_one_address() {
    let shell = shell();
    shell.mkdir("ports/2").unwrap();
    for port in ["1", "2"] {
        shell
            .echo("ipv6", &format!("ports/{port}/addr_adrfam"))
            .unwrap();
        shell
            .echo("::1", &format!("ports/{port}/addr_traddr"))
            .unwrap();
        shell
            .echo("4420", &format!("ports/{port}/addr_trsvcid"))
            .unwrap();
        shell
            .echo("tcp", &format!("ports/{port}/addr_trtype"))
            .unwrap();
    }
    shell.ln("subsystems/s", "ports/1/subsystems/s").unwrap();
    assert_eq!(
        shell.ln("subsystems/s", "ports/2/subsystems/s"),
        Err(Errno::EADDRINUSE)
    );
}

#[test]
fn a_namespace_needs_a_device_and_keeps_it_while_enabled() {
    let shell = shell();
    let ns = |attribute: &str| format!("subsystems/s/namespaces/1/{attribute}");
    assert_eq!(shell.cat(&ns("device_path")), "(null)");
    assert_eq!(shell.echo("1", &ns("enable")), Err(Errno::EINVAL));
    shell.echo("/dev/none", &ns("device_path")).unwrap();
    assert_eq!(shell.echo("1", &ns("enable")), Err(Errno::ENOENT));
    shell.echo("/dev/x", &ns("device_path")).unwrap();
    shell.echo("1", &ns("enable")).unwrap();
    shell.echo("1", &ns("enable")).unwrap();
    let uuid = "00000000-0000-0000-0000-000000000042";
    for (value, attribute) in [
        ("/dev/x", "device_path"),
        (uuid, "device_uuid"),
        (uuid, "device_nguid"),
    ] {
        assert_eq!(shell.echo(value, &ns(attribute)), Err(Errno::EBUSY));
    }
    shell.echo("2", &ns("ana_grpid")).unwrap();
    assert_eq!(shell.echo("129", &ns("ana_grpid")), Err(Errno::EINVAL));
    shell.echo("128", &ns("ana_grpid")).unwrap();
    assert_eq!(shell.cat(&ns("ana_grpid")), "0");
    assert_eq!(shell.rmdir("subsystems/s"), Err(Errno::ENOTEMPTY));
    shell.rmdir("subsystems/s/namespaces/1").unwrap();
    for bad in ["0", "4294967295", "x"] {
        let path = format!("subsystems/s/namespaces/{bad}");
        assert_eq!(shell.mkdir(&path), Err(Errno::EINVAL));
    }
}

#[test]
fn a_serial_is_made_up_and_sticks_after_a_connect() {
    let shell = shell();
    shell.mkdir("subsystems/nqn.other").unwrap();
    let serial = "subsystems/nqn.other/attr_serial";
    let made_up = shell.cat(serial);
    assert_ne!(made_up, shell.cat("subsystems/s/attr_serial"));
    shell.echo("1234", serial).unwrap();
    shell.0.connect(&"nqn.other".parse().unwrap());
    assert_eq!(shell.echo("5678", serial), Err(Errno::EINVAL));
    shell.rmdir("subsystems/nqn.other").unwrap();
    shell.mkdir("subsystems/nqn.other").unwrap();
    assert_ne!(shell.cat(serial), made_up);
    shell.echo("5678", serial).unwrap();
}

#[test]
fn hosts_are_listed_or_all_are_allowed() {
    let shell = shell();
    let (any, link) = (
        "subsystems/s/attr_allow_any_host",
        "subsystems/s/allowed_hosts/h",
    );
    shell.echo("1", any).unwrap();
    assert_eq!(shell.ln("hosts/h", link), Err(Errno::EINVAL));
    shell.echo("0", any).unwrap();
    shell.ln("hosts/h", link).unwrap();
    assert_eq!(shell.ln("hosts/h", link), Err(Errno::EEXIST));
    assert_eq!(shell.echo("1", any), Err(Errno::EINVAL));
    assert_eq!(shell.rmdir("hosts/h"), Err(Errno::EBUSY));
}

#[test]
fn ana_group_1_comes_with_the_port_and_others_begin_inaccessible() {
    let shell = shell();
    assert_eq!(shell.cat("ports/1/ana_groups/1/ana_state"), "optimized");
    shell.mkdir("ports/1/ana_groups/2").unwrap();
    assert_eq!(shell.cat("ports/1/ana_groups/2/ana_state"), "inaccessible");
    assert_eq!(shell.mkdir("ports/1/ana_groups/129"), Err(Errno::EINVAL));
    assert_eq!(shell.rmdir("ports/1/ana_groups/1"), Err(Errno::EPERM));
    assert_eq!(shell.rmdir("ports/1"), Err(Errno::ENOTEMPTY));
}

#[test]
fn an_operation_can_be_made_to_fail_once() {
    let shell = shell();
    shell.0.fail_after(1, Errno::EIO);
    shell.mkdir("hosts/a").unwrap();
    assert_eq!(shell.mkdir("hosts/b"), Err(Errno::EIO));
    shell.mkdir("hosts/b").unwrap();
}
