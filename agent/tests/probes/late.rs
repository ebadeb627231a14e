//! A disk that answers late: a loop device on a file whose file system, one of ours (FUSE), takes its time. What is written there
//! is forgotten.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite,
    Request, WriteFlags,
};
use weir_agent::probe::DevT;

use crate::io::dev_of;

const NAME: &str = "disk";
const DISK: INodeNo = INodeNo(2);
const SIZE: u64 = 64 << 20;
/// How long the kernel may believe an answer about the file.
const FOR_LONG: Duration = Duration::from_secs(3600);

/// The file system: it answers one question after the other.
struct Late {
    delay: Duration,
}

/// It is detached and unmounted with its value.
pub(crate) struct LateDisk {
    path: PathBuf,
    _session: BackgroundSession,
    _directory: tempfile::TempDir,
}

impl LateDisk {
    /// A disk whose reads and writes take so long.
    pub(crate) fn of(delay: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let session = fuser::spawn_mount(Late { delay }, directory.path(), &Config::default())
            .expect("needs root and FUSE (/dev/fuse)");
        // Past the page cache, which would answer for the file system.
        let output = Command::new("losetup")
            .args(["--find", "--show", "--direct-io=on"])
            .arg(directory.path().join(NAME))
            .output()
            .expect("needs losetup");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "needs loop devices: {said}");
        let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let disk = LateDisk {
            path,
            _session: session,
            _directory: directory,
        };
        let name = disk.path.file_name().unwrap();
        let dio = Path::new("/sys/block").join(name).join("loop/dio");
        assert_eq!(std::fs::read_to_string(dio).unwrap().trim(), "1");
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn dev(&self) -> DevT {
        dev_of(&self.path)
    }
}

impl Drop for LateDisk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.path).status();
    }
}

fn attributes(inode: INodeNo) -> Option<FileAttr> {
    let (kind, size) = match inode {
        INodeNo::ROOT => (FileType::Directory, 0),
        DISK => (FileType::RegularFile, SIZE),
        _ => return None,
    };
    Some(FileAttr {
        ino: inode,
        size,
        blocks: size / 512,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o700,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

impl Filesystem for Late {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match attributes(DISK).filter(|_| name == NAME) {
            Some(attributes) => reply.entry(&FOR_LONG, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(inode) {
            Some(attributes) => reply.attr(&FOR_LONG, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        thread::sleep(self.delay);
        reply.data(&vec![0; size as usize]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = u32::try_from(data.len()).unwrap();
        thread::sleep(self.delay);
        reply.written(written);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }
}
