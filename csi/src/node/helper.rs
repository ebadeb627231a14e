//! What the plugin has done by itself in another process: `weir-csi helper`, which reads jobs, a line of JSON each, and answers each with another
//! one; or `weir-csi helper JOB`, for one job. See [`super::host`].
//!
//! It is where devices, mounts and controllers are touched, and so where names are checked: a device is opened first and asked whose
//! it is then ([`device`]), since its name may be another volume's by now, and what was opened stays what it is.

mod device;
mod filesystem;
mod mount;

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;
use nvmet::{ConnectError, ConnectOptions, LossTimeout, Seconds};
use serde::{Deserialize, Serialize};
use weir_api::names::VolumeId;

use super::host::{Trouble, Usage};
use super::source::Way;
use super::step::{DeviceOf, Step};

/// Where connections are asked for; it is there once `nvme-fabrics` is loaded, and loads the transports itself.
const FABRICS: &str = "/dev/nvme-fabrics";

/// The first argument that makes this program a helper.
pub const WORD: &str = "helper";

/// What a helper does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Job {
    /// A step.
    Do(Step),
    /// Tells what is on a device.
    Probe(DeviceOf),
    /// Tells how full a file system is.
    Usage(PathBuf),
}

impl Job {
    /// In a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Job::Probe(_) => "looking at the device",
            Job::Usage(_) => "asking the file system how full it is",
            Job::Do(step) => match step {
                Step::MakeDirectory(_) | Step::MakeFile(_) => "making the path",
                Step::Remove(_) => "removing the path",
                Step::Connect(_) => "connecting",
                Step::Delete { .. } => "disconnecting",
                Step::Rescan { .. } => "asking for the device's size",
                Step::SetReadOnly { .. } => "setting what may be done with the device",
                Step::Format { .. } => "mkfs",
                Step::Check(_) => "fsck",
                Step::Mount { .. } => "mounting",
                Step::Bind { .. } | Step::BindDevice { .. } | Step::Harden(_) => "binding",
                Step::Unmount(_) => "unmounting",
                Step::Claim(_) => "waiting for the last to close the device",
                Step::Grow { .. } => "growing the file system",
            },
        }
    }
}

/// Does the job that the arguments name, or those that are read; `None`: they are no helper's.
#[must_use]
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let word = arguments.next()?;
    if word != WORD {
        return None;
    }
    let done = match arguments.next() {
        Some(job) => job.to_str().map_or(Err(Unfit::Job), answer),
        // Who asks has ended when nothing is left to be read, and so does this.
        None => io::stdin().lines().try_for_each(|job| answer(&job?)),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Unfit::Job) => ExitCode::from(2),
        Err(Unfit::Pipe) => ExitCode::FAILURE,
    })
}

/// Why a helper ends early.
enum Unfit {
    /// What it is to do is none of the jobs there are.
    Job,
    /// Nobody hears it.
    Pipe,
}

impl From<io::Error> for Unfit {
    fn from(_: io::Error) -> Self {
        Unfit::Pipe
    }
}

/// Does one job, and writes what became of it.
fn answer(job: &str) -> Result<(), Unfit> {
    let told = match serde_json::from_str(job).map_err(|_| Unfit::Job)? {
        Job::Do(step) => serde_json::to_string(&act(&step)),
        Job::Probe(device) => serde_json::to_string(&filesystem::probe(&device)),
        Job::Usage(path) => serde_json::to_string(&usage(&path)),
    };
    let told = told.map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{told}")?;
    Ok(out.flush()?)
}

fn failed(doing: &str, path: &Path) -> impl Fn(io::Error) -> Trouble {
    let what = format!("{doing} `{}`", path.display());
    move |error| {
        let why = format!("{what}: {error}");
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBUSY) => Trouble::Busy(why),
            _ => Trouble::Failed(why),
        }
    }
}

fn act(step: &Step) -> Result<(), Trouble> {
    match step {
        Step::MakeDirectory(path) => match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.map_err(failed("making", path)),
        },
        Step::MakeFile(path) => {
            // One that is there is left as it is.
            let made = OpenOptions::new().append(true).create(true).open(path);
            made.map(drop).map_err(failed("making", path))
        }
        Step::Remove(path) => {
            let is_directory = fs::symlink_metadata(path).map(|meta| meta.is_dir());
            let removed = match is_directory {
                Ok(true) => fs::remove_dir(path),
                Ok(false) => fs::remove_file(path),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed.map_err(failed("removing", path)),
            }
        }
        Step::Connect(way) => connect(way),
        Step::Delete { controller, id } => order(controller, *id, "delete_controller"),
        Step::Rescan { controller, id } => order(controller, *id, "rescan_controller"),
        Step::SetReadOnly {
            device,
            is_read_only,
        } => filesystem::set_read_only(device, *is_read_only),
        Step::Format {
            device,
            fs_type,
            uuid,
            options,
            is_begun,
        } => filesystem::format(device, *fs_type, *uuid, options, *is_begun),
        Step::Check(device) => filesystem::check(device),
        Step::Mount {
            device,
            path,
            fs_type,
            flags,
            is_read_only,
        } => mount::mount(device, path, *fs_type, flags, *is_read_only),
        Step::Bind { from, to } => mount::bind(from, to),
        Step::BindDevice { device, to } => mount::bind_device(device, to),
        Step::Harden(path) => mount::harden(path),
        Step::Unmount(path) => mount::unmount(path),
        Step::Claim(device) => device::claim(device),
        Step::Grow {
            device,
            fs_type,
            path,
        } => filesystem::grow(device, *fs_type, path),
    }
}

fn connect(way: &Way) -> Result<(), Trouble> {
    let name = |nqn: &str| {
        nqn.parse()
            .map_err(|error: nvmet::NqnError| Trouble::Failed(error.to_string()))
    };
    let (nqn, host) = (name(&way.nqn)?, name(&way.host_nqn)?);
    let options = ConnectOptions {
        ctrl_loss_tmo: Some(way.loss_timeout.map_or(LossTimeout::Forever, |seconds| {
            LossTimeout::After(Seconds(seconds))
        })),
        reconnect_delay: Some(Seconds(way.reconnect_delay)),
        fast_io_fail_tmo: way.fast_io_fail.map(Seconds),
        ..ConnectOptions::tcp(way.portal.ip(), way.portal.port(), nqn, host)
    };
    if !Path::new(FABRICS).exists() {
        // Once for each boot. What can't be loaded may be built in, or is missed below, by its name.
        drop(filesystem::run("modprobe", ["--quiet", "nvme-tcp"]));
    }
    match nvmet::Host::new().connect(&options) {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = std::error::Error::source(&error).map(|why| format!(": {why}"));
            let why = format!("{error}{}", why.unwrap_or_default());
            Err(match error {
                ConnectError::OtherHost { .. } => Trouble::Busy(why),
                _ => Trouble::Failed(why),
            })
        }
    }
}

/// Writes to an attribute of a controller, if it is of the volume's subsystem.
fn order(controller: &str, id: VolumeId, attribute: &str) -> Result<(), Trouble> {
    let is_gone = |error: &io::Error| {
        let errno = error.raw_os_error().map(Errno::from_raw);
        matches!(errno, Some(Errno::ENOENT | Errno::ENODEV))
    };
    let is_name = controller
        .strip_prefix("nvme")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    if !is_name {
        return Err(Trouble::Failed(format!("`{controller}` is no controller")));
    }
    let directory = Path::new("/sys/class/nvme").join(controller);
    let path = directory.join(attribute);
    // What is opened stays the same controller's, whoever has the name by then: it is asked who it is only now.
    let file = OpenOptions::new().write(true).open(&path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(failed("opening", &path)(error)),
    };
    match fs::read_to_string(directory.join("subsysnqn")) {
        Ok(nqn) if VolumeId::from_nqn(nqn.trim()) == Some(id) => {}
        Ok(_) => return Ok(()),
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(failed("reading", &directory)(error)),
    }
    match file.write_all(b"1") {
        Err(error) if !is_gone(&error) => Err(failed("writing", &path)(error)),
        _ => Ok(()),
    }
}

fn usage(path: &Path) -> Result<Usage, Trouble> {
    let told =
        nix::sys::statvfs::statvfs(path).map_err(|error| failed("asking", path)(error.into()))?;
    let unit = told.fragment_size();
    Ok(Usage {
        bytes: told.blocks().saturating_mul(unit),
        bytes_available: told.blocks_available().saturating_mul(unit),
        bytes_free: told.blocks_free().saturating_mul(unit),
        inodes: told.files(),
        inodes_free: told.files_free(),
    })
}
