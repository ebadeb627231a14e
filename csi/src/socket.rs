//! The Unix socket that the plugin listens on.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;
use tokio::net::UnixListener;

/// Where to listen: `unix:///run/csi.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(PathBuf);

/// No such endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no endpoint: an absolute path is wanted, as unix:///csi/csi.sock")]
pub struct EndpointError(String);

/// It can't be listened there.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The directory is missing: a mount that was forgotten, and nobody would see a socket in what we made instead.
    #[error("the directory of `{0}` does not exist")]
    NoDirectory(PathBuf),
    /// Another program listens.
    #[error("somebody answers on `{0}` already: another weir-csi runs")]
    Answered(PathBuf),
    /// It is no socket.
    #[error("`{0}` is there and is no socket: it is left alone")]
    NoSocket(PathBuf),
    /// Something else.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let path = text.strip_prefix("unix://").or(text.strip_prefix("unix:"));
        let path = path.filter(|path| path.starts_with('/') && !path.ends_with('/'));
        let path = path.filter(|path| !path.contains('\0'));
        path.map(|path| Endpoint(path.into()))
            .ok_or_else(|| EndpointError(text.to_owned()))
    }
}

/// A socket with a name, which goes with it.
#[derive(Debug)]
pub struct Named {
    path: PathBuf,
    /// Device and inode: whoever takes the name over keeps it.
    file: (u64, u64),
}

impl Endpoint {
    /// Listens. What a plugin that was killed left behind is replaced; where somebody answers, nothing is.
    ///
    /// # Errors
    /// Somebody listens there, or it can't be.
    pub fn listen(&self) -> Result<(UnixListener, Named), SocketError> {
        let path = &self.0;
        let io = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |cause| SocketError::Io { doing, path, cause }
        };
        let directory = path.parent().filter(|directory| directory.is_dir());
        let directory = directory.ok_or_else(|| SocketError::NoDirectory(path.clone()))?;
        free(path)?;
        // Nobody may connect before the mode is set: it has another name until then.
        let early = directory.join(format!(".weir-{}", std::process::id()));
        match fs::remove_file(&early) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io("replace", &early)(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&early).map_err(io("listen on", &early))?;
        fs::set_permissions(&early, Permissions::from_mode(0o600)).map_err(io("close", &early))?;
        fs::rename(&early, path).map_err(io("make", path))?;
        let file = identity(path).map_err(io("look at", path))?;
        let path = path.clone();
        Ok((listener, Named { path, file }))
    }
}

/// Whether the name can be taken.
fn free(path: &Path) -> Result<(), SocketError> {
    let io = |doing: &'static str| {
        move |cause| SocketError::Io {
            doing,
            path: path.to_owned(),
            cause,
        }
    };
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look at")(error)),
    };
    if !there.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Answered(path.to_owned())),
        // Nobody has it open. Anything else, such as a full queue, is somebody.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("find out who listens on")(error)),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

impl Drop for Named {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.file) {
            // The next one replaces it if this fails.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(path: &Path) -> Endpoint {
        format!("unix://{}", path.display()).parse().unwrap()
    }

    #[test]
    fn an_endpoint_is_an_absolute_path() {
        for good in ["unix:///csi/csi.sock", "unix:/csi/csi.sock"] {
            assert_eq!(good.parse(), Ok(Endpoint("/csi/csi.sock".into())), "{good}");
        }
        for bad in [
            "",
            "unix://",
            "unix://csi.sock",
            "tcp://127.0.0.1:1",
            "/csi.sock",
            "unix:///csi/",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn only_its_owner_may_connect_and_it_goes_with_the_plugin() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        let (listener, named) = endpoint(&path).listen().unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        drop((listener, named));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Seen red with: the connection in `free` left out.
    #[tokio::test]
    async fn a_socket_is_replaced_only_if_nobody_answers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        let (listener, named) = endpoint(&path).listen().unwrap();
        let second = endpoint(&path).listen().map(drop).unwrap_err();
        assert!(matches!(second, SocketError::Answered(_)), "{second}");
        // As SIGKILL leaves it.
        std::mem::forget(named);
        drop(listener);
        assert!(path.exists());
        let (next, name) = endpoint(&path).listen().unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop((next, name));
    }

    #[tokio::test]
    async fn a_name_that_another_took_over_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        let (listener, named) = endpoint(&path).listen().unwrap();
        drop(listener);
        let (next, name) = endpoint(&path).listen().unwrap();
        drop(named);
        assert!(UnixStream::connect(&path).is_ok());
        drop((next, name));
    }

    #[tokio::test]
    async fn nothing_else_is_replaced_or_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        let refused = endpoint(&file).listen().map(drop).unwrap_err();
        assert!(matches!(refused, SocketError::NoSocket(_)), "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        let nowhere = endpoint(&dir.path().join("no/csi.sock"));
        let refused = nowhere.listen().map(drop).unwrap_err();
        assert!(matches!(refused, SocketError::NoDirectory(_)), "{refused}");
        assert!(!dir.path().join("no").exists());
    }
}
