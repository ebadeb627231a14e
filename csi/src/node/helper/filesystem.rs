//! What is on a device: telling, making, checking and growing it, with the tools that everybody uses for it. They get a path that
//! leads to the device which was opened, and to no other.

use std::ffi::OsStr;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::stat::{major, minor};
use uuid::Uuid;

use super::device::{Pinned, pin};
use super::failed;
use crate::capability::FsType;
use crate::node::format::Found;
use crate::node::host::Trouble;
use crate::node::step::DeviceOf;

const MIB: u64 = 1 << 20;
/// Where programs are.
const PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

fn run<I: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = I>,
) -> Result<Output, Trouble> {
    let mut paths = PLACES.iter().map(|place| Path::new(place).join(program));
    let missing = || Trouble::Failed(format!("{program} is not installed here"));
    let path: PathBuf = paths.find(|path| path.is_file()).ok_or_else(missing)?;
    let output = Command::new(&path)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    output.map_err(failed("running", &path))
}

/// How a program ended, and the last it said.
fn told(program: &str, output: &Output) -> String {
    let said = [&output.stderr, &output.stdout];
    let mut lines = said.iter().flat_map(|text| {
        String::from_utf8_lossy(text)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    let lines: Vec<String> = lines
        .by_ref()
        .filter(|line| !line.trim().is_empty())
        .take(5)
        .collect();
    format!(
        "{program} ended with {}: {}",
        output.status,
        lines.join("; ")
    )
}

fn done(program: &str, output: &Output) -> Result<(), Trouble> {
    match output.status.success() {
        true => Ok(()),
        false => Err(Trouble::Failed(told(program, output))),
    }
}

/// What is on a device.
pub(super) fn probe(device: &DeviceOf) -> Result<Found, Trouble> {
    let pinned = pin(device)?;
    let (first, last) = match read_ends(&pinned) {
        Ok(ends) => ends,
        Err(error) => {
            let why = format!("its first and last MiB: {error}");
            return Ok(Found::Unreadable(why));
        }
    };
    let path = pinned.path();
    let output = run(
        "blkid",
        [
            OsStr::new("-p"),
            OsStr::new("-o"),
            OsStr::new("export"),
            path.as_os_str(),
        ],
    )?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = || told("blkid", &output);
    Ok(match found(output.status.code(), &text, told) {
        Found::Blank if first.iter().chain(&last).any(|byte| *byte != 0) => Found::Unmarked,
        Found::FileSystem { kind, uuid, .. } => Found::FileSystem {
            is_used: is_used(&kind, &first),
            kind,
            uuid,
        },
        found => found,
    })
}

/// Whether a file system that begins so may hold data.
fn is_used(kind: &str, first: &[u8]) -> bool {
    let is_zero = |at: usize, length: usize| {
        let bytes = first.get(at..at + length);
        bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    };
    match kind {
        // Who mounts it to write begins with its superblock, at 1024: `s_mtime`, `s_mnt_count`, and the first's upper byte.
        "ext4" => !(is_zero(1024 + 0x2c, 4) && is_zero(1024 + 0x34, 2) && is_zero(1024 + 0x275, 1)),
        // The last thing that mkfs does is to clear `sb_inprogress`.
        "xfs" => is_zero(126, 1),
        _ => true,
    }
}

fn read_ends(pinned: &Pinned) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let (major, minor) = pinned.number;
    let sectors = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/size"))?;
    let sectors: u64 = sectors.trim().parse().map_err(std::io::Error::other)?;
    let size = sectors.saturating_mul(512);
    let length = usize::try_from(MIB.min(size)).map_err(std::io::Error::other)?;
    let (mut first, mut last) = (vec![0; length], vec![0; length]);
    pinned.file.read_exact_at(&mut first, 0)?;
    let end = size.saturating_sub(MIB);
    pinned.file.read_exact_at(&mut last, end)?;
    Ok((first, last))
}

/// What blkid's low-level probe says. It ends with 2 where there is nothing, and with 8 where there are several things.
fn found(code: Option<i32>, text: &str, told: impl Fn() -> String) -> Found {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let mut values = lines.filter(|(key, _)| *key == name);
        values.next().map(|(_, value)| value.to_owned())
    };
    match (code, value("TYPE"), value("USAGE")) {
        (Some(2), None, _) => Found::Blank,
        (Some(8), ..) => Found::Other("several signatures".to_owned()),
        (Some(0), Some(kind), Some(usage)) if usage == "filesystem" => Found::FileSystem {
            kind,
            uuid: value("UUID").and_then(|uuid| Uuid::try_parse(&uuid).ok()),
            is_used: true,
        },
        (Some(0), Some(kind), _) => Found::Other(kind),
        (Some(0), None, _) => match value("PTTYPE") {
            Some(kind) => Found::Other(format!("a partition table ({kind})")),
            None => Found::Unreadable(told()),
        },
        _ => Found::Unreadable(told()),
    }
}

/// Makes a file system.
pub(super) fn format(
    device: &DeviceOf,
    fs_type: FsType,
    uuid: Uuid,
    options: &[String],
    is_begun: bool,
) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    let program = match fs_type {
        FsType::Ext4 => "mke2fs",
        FsType::Xfs => "mkfs.xfs",
    };
    let mut words = mkfs_words(fs_type, uuid, options, is_begun);
    words.push(pinned.path().to_string_lossy().into_owned());
    // It claims the device for itself: one that was given up and goes on keeps another from beginning, and the kernel from mounting.
    done(program, &run(program, &words)?)?;
    // It is noted as made only when it is there.
    pinned
        .file
        .sync_all()
        .map_err(failed("flushing", &device.path))
}

/// What is said to mkfs before the device. Nothing is discarded unless that is asked for: the space was never written, or is zeroed.
fn mkfs_words(fs_type: FsType, uuid: Uuid, options: &[String], is_begun: bool) -> Vec<String> {
    let own = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let mut all = match fs_type {
        FsType::Ext4 => own(&["-q", "-t", "ext4", "-U", &uuid.to_string()]),
        FsType::Xfs => own(&["-q", "-m", &format!("uuid={uuid}")]),
    };
    let mut options = options.to_vec();
    match fs_type {
        FsType::Ext4 => {
            // The last -E counts, and no other.
            match options.iter().rposition(|word| word == "-E") {
                Some(at) if at + 1 < options.len() => {
                    let is_said = options[at + 1]
                        .split(',')
                        .any(|one| ["discard", "nodiscard"].contains(&one));
                    if !is_said {
                        options[at + 1].push_str(",nodiscard");
                    }
                }
                _ => all.extend(own(&["-E", "nodiscard"])),
            }
        }
        FsType::Xfs => {
            if !options.iter().any(|word| word == "-K") {
                all.push("-K".to_owned());
            }
            // Without, it writes over nothing that it knows.
            if is_begun {
                all.push("-f".to_owned());
            }
        }
    }
    all.extend(options);
    all
}

/// Checks an ext4 and mends what can be mended without asking.
pub(super) fn check(device: &DeviceOf) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    let output = run("e2fsck", [OsStr::new("-p"), pinned.path().as_os_str()])?;
    match output.status.code() {
        // A sum. 1: it was mended; 2: likewise, and whoever had it mounted should not have.
        Some(0..=3) => Ok(()),
        Some(4..=7) => Err(Trouble::Unfit(format!(
            "a person has to mend the file system: {}",
            told("e2fsck", &output)
        ))),
        _ => Err(Trouble::Failed(told("e2fsck", &output))),
    }
}

/// Lets a file system that is mounted have all of its device.
pub(super) fn grow(device: &DeviceOf, fs_type: FsType, path: &Path) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    let there = std::fs::metadata(path).map_err(failed("looking at", path))?;
    let number = (major(there.dev()), minor(there.dev()));
    if number != (pinned.number.0.into(), pinned.number.1.into()) {
        let what = format!(
            "what is mounted at `{}` is not the volume's",
            path.display()
        );
        return Err(Trouble::Failed(what));
    }
    match fs_type {
        FsType::Ext4 => done("resize2fs", &run("resize2fs", [pinned.path()])?),
        FsType::Xfs => done(
            "xfs_growfs",
            &run("xfs_growfs", [OsStr::new("-d"), path.as_os_str()])?,
        ),
    }
}

/// Lets a device only be read, or not any more.
pub(super) fn set_read_only(device: &DeviceOf, is_read_only: bool) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    let word = if is_read_only { "--setro" } else { "--setrw" };
    done(
        "blockdev",
        &run("blockdev", [OsStr::new(word), pinned.path().as_os_str()])?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `Some(2)` taken for any code without a type.
    #[test]
    fn what_blkid_says_is_told() {
        let uuid = Uuid::from_u128(7);
        let ext4 =
            format!("DEVNAME=/dev/x\nUUID={uuid}\nVERSION=1.0\nTYPE=ext4\nUSAGE=filesystem\n");
        let is = |code, text: &str| found(code, text, || "told".to_owned());
        assert_eq!(is(Some(2), ""), Found::Blank);
        let kind = "ext4".to_owned();
        let uuid = Some(uuid);
        let is_used = true;
        assert_eq!(
            is(Some(0), &ext4),
            Found::FileSystem {
                kind,
                uuid,
                is_used
            }
        );
        for (code, text) in [
            (Some(8), ""),
            (Some(0), "TYPE=LVM2_member\nUSAGE=raid\n"),
            (Some(0), "TYPE=crypto_LUKS\nUSAGE=crypto\n"),
            (Some(0), "PTTYPE=gpt\n"),
        ] {
            assert!(matches!(is(code, text), Found::Other(_)), "{text}");
        }
        for (code, text) in [
            (Some(0), ""),
            (Some(1), ""),
            (Some(4), ""),
            (None, ""),
            (Some(2), "TYPE=ext4\n"),
        ] {
            assert!(
                matches!(is(code, text), Found::Unreadable(_)),
                "{code:?} {text}"
            );
        }
    }

    /// Superblocks as mkfs leaves them, and as they are once somebody has mounted them.
    ///
    /// Seen red with: `s_mnt_count` left out; `sb_inprogress` taken for the opposite.
    #[test]
    fn a_file_system_that_may_hold_data_is_told_from_one_that_was_only_made() {
        let with = |bytes: &[(usize, u8)]| {
            let mut first = vec![0; 1 << 20];
            bytes.iter().for_each(|(at, byte)| first[*at] = *byte);
            first
        };
        for (kind, first, expected) in [
            // `s_wtime`, `s_mkfs_time`
            (
                "ext4",
                with(&[(1024 + 0x30, 7), (1024 + 0x108, 7), (1024 + 0x274, 1)]),
                false,
            ),
            ("ext4", with(&[(1024 + 0x2d, 1)]), true),
            ("ext4", with(&[(1024 + 0x34, 1)]), true),
            ("ext4", with(&[(1024 + 0x275, 1)]), true),
            ("xfs", with(&[(126, 1)]), false),
            ("xfs", with(&[(125, 1), (127, 25)]), true),
            ("btrfs", with(&[]), true),
            ("ext4", vec![0; 512], true),
        ] {
            assert_eq!(is_used(kind, &first), expected, "{kind}");
        }
    }

    #[test]
    fn nothing_is_discarded_or_forced_unasked() {
        let words = |fs_type, text: &str, is_begun| {
            let options: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
            mkfs_words(fs_type, Uuid::nil(), &options, is_begun).join(" ")
        };
        let nil = Uuid::nil();
        assert_eq!(
            words(FsType::Ext4, "", false),
            format!("-q -t ext4 -U {nil} -E nodiscard")
        );
        assert_eq!(
            words(FsType::Ext4, "-E stride=16 -m 0", true),
            format!("-q -t ext4 -U {nil} -E stride=16,nodiscard -m 0")
        );
        assert_eq!(
            words(FsType::Ext4, "-E discard", false),
            format!("-q -t ext4 -U {nil} -E discard")
        );
        assert_eq!(
            words(FsType::Xfs, "-i size=512", false),
            format!("-q -m uuid={nil} -K -i size=512")
        );
        assert_eq!(
            words(FsType::Xfs, "-K", true),
            format!("-q -m uuid={nil} -f -K")
        );
    }
}
