//! The few file operations that drive configfs, as a trait, and the real ones.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// File operations on absolute paths. Implemented by [`Kernel`] and, for tests of this crate and of
/// its users, by [`crate::fake::Kernel`]. Errors are the kernel's, with their `errno`.
pub trait Tree {
    /// The entries of a directory, sorted by name.
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>>;
    /// All of an attribute.
    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>>;
    /// Writes an attribute with exactly one `write(2)`: configfs calls the attribute's store once
    /// per write, so a value in two parts would be two (wrong) values.
    fn write(&self, attribute: &Path, value: &[u8]) -> io::Result<()>;
    /// Makes a directory, and with it the kernel's object.
    fn mkdir(&self, directory: &Path) -> io::Result<()>;
    /// Removes a directory, and with it the kernel's object.
    fn rmdir(&self, directory: &Path) -> io::Result<()>;
    /// Makes a link. `target` is absolute: configfs resolves it at once, relative to the caller's
    /// working directory and not to the link.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;
    /// Removes a link.
    fn unlink(&self, link: &Path) -> io::Result<()>;
    /// Whether this is a block device, or a link to one.
    fn is_block_device(&self, device: &Path) -> io::Result<bool>;
    /// What kernel this is, for messages.
    fn kernel(&self) -> String {
        "this kernel".to_owned()
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// For a link, the last component of what it points to. A link's own name says nothing: the
    /// kernel allows the host that a link in `allowed_hosts` points to, whatever the link is called.
    pub links_to: Option<String>,
}

/// The running kernel's tree, or a directory that looks like it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel;

impl Tree for Kernel {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // A name that isn't UTF-8 is no NQN and no number either way: the replacement
            // characters keep it out of the model, and it is only ever shown.
            let text = |name: &OsStr| name.to_string_lossy().into_owned();
            let links_to = if entry.file_type()?.is_symlink() {
                match fs::read_link(entry.path()) {
                    Ok(target) => target.file_name().map(text),
                    // Removed since the directory was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            } else {
                None
            };
            let name = text(&entry.file_name());
            entries.push(Entry { name, links_to });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
        fs::read(attribute)
    }

    fn write(&self, attribute: &Path, value: &[u8]) -> io::Result<()> {
        // Neither create nor truncate: an attribute that this kernel lacks is ENOENT.
        let mut file = OpenOptions::new().write(true).open(attribute)?;
        let written = file.write(value)?;
        if written == value.len() {
            return Ok(());
        }
        // The rest must not follow in a second write, see above.
        Err(io::Error::new(
            io::ErrorKind::WriteZero,
            format!("the kernel took {written} of {} bytes", value.len()),
        ))
    }

    fn mkdir(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir(directory)
    }

    fn rmdir(&self, directory: &Path) -> io::Result<()> {
        fs::remove_dir(directory)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    fn unlink(&self, link: &Path) -> io::Result<()> {
        fs::remove_file(link)
    }

    fn is_block_device(&self, device: &Path) -> io::Result<bool> {
        Ok(fs::metadata(device)?.file_type().is_block_device())
    }

    fn kernel(&self) -> String {
        match fs::read_to_string("/proc/sys/kernel/osrelease") {
            Ok(release) => format!("Linux {}", release.trim_end()),
            Err(_) => "this kernel".to_owned(),
        }
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: Tree + ?Sized> Tree for $pointer {
            fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
                (**self).list(directory)
            }
            fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
                (**self).read(attribute)
            }
            fn write(&self, attribute: &Path, value: &[u8]) -> io::Result<()> {
                (**self).write(attribute, value)
            }
            fn mkdir(&self, directory: &Path) -> io::Result<()> {
                (**self).mkdir(directory)
            }
            fn rmdir(&self, directory: &Path) -> io::Result<()> {
                (**self).rmdir(directory)
            }
            fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
                (**self).symlink(target, link)
            }
            fn unlink(&self, link: &Path) -> io::Result<()> {
                (**self).unlink(link)
            }
            fn is_block_device(&self, device: &Path) -> io::Result<bool> {
                (**self).is_block_device(device)
            }
            fn kernel(&self) -> String {
                (**self).kernel()
            }
        }
    )*};
}

forward!(&T, Box<T>, Rc<T>, Arc<T>);
