//! What a conninfo depends on besides its own text: variables, the user, and a few files.

use std::io;
use std::path::{Path, PathBuf};

/// The world outside, as far as a conninfo looks at it.
///
/// Resolution asks only through this trait, so that tests can put a world of their own in its place.
pub trait Environment {
    /// An environment variable such as `PGHOST`; `None` when it is not set.
    fn var(&self, name: &str) -> Option<String>;

    /// The directory that `~` means to libpq: `$HOME`, else the user's entry in the user database;
    /// on Windows `%APPDATA%`.
    fn home(&self) -> Option<PathBuf>;

    /// The name of the operating system's user, libpq's default for `user`.
    fn user_name(&self) -> Option<String>;

    /// What is at `path`, following symbolic links; `None` when there is nothing or it cannot be seen.
    fn stat(&self, path: &Path) -> Option<FileStatus>;

    /// The text of a file. Bytes that are not UTF-8 are replaced.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// What the file system says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// What kind of thing it is.
    pub kind: FileKind,
    /// Unix permission bits (`0o600`); `None` where files have none (Windows).
    pub mode: Option<u32>,
    /// Whether root owns it (Unix); libpq then lets the group read an `sslkey`.
    pub owned_by_root: bool,
}

/// The kinds of file that libpq tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A plain file.
    Regular,
    /// A directory.
    Directory,
    /// Anything else: a socket, a pipe, a device.
    Other,
}

/// The files that libpq looks for in the user's home directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserFile {
    /// `~/.pgpass`; `%APPDATA%\postgresql\pgpass.conf` on Windows.
    Passfile,
    /// `~/.pg_service.conf`; `%APPDATA%\postgresql\.pg_service.conf` on Windows.
    ServiceFile,
    /// `~/.postgresql/root.crt`.
    RootCertificate,
    /// `~/.postgresql/root.crl`.
    RevocationList,
    /// `~/.postgresql/postgresql.crt`.
    ClientCertificate,
    /// `~/.postgresql/postgresql.key`.
    ClientKey,
}

impl UserFile {
    /// Where libpq looks for this file; `None` without a home directory.
    #[must_use]
    pub fn path(self, environment: &dyn Environment) -> Option<PathBuf> {
        let home = environment.home()?;
        let tls_directory = if cfg!(windows) { "postgresql" } else { ".postgresql" };
        Some(match self {
            Self::Passfile if cfg!(windows) => home.join("postgresql").join("pgpass.conf"),
            Self::Passfile => home.join(".pgpass"),
            Self::ServiceFile if cfg!(windows) => home.join("postgresql").join(".pg_service.conf"),
            Self::ServiceFile => home.join(".pg_service.conf"),
            Self::RootCertificate => home.join(tls_directory).join("root.crt"),
            Self::RevocationList => home.join(tls_directory).join("root.crl"),
            Self::ClientCertificate => home.join(tls_directory).join("postgresql.crt"),
            Self::ClientKey => home.join(tls_directory).join("postgresql.key"),
        })
    }
}

/// The environment of this very process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn home(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return std::env::var_os("APPDATA").map(PathBuf::from);
        }
        std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
    }

    fn user_name(&self) -> Option<String> {
        whoami::username().ok().filter(|name| !name.is_empty())
    }

    fn stat(&self, path: &Path) -> Option<FileStatus> {
        let metadata = std::fs::metadata(path).ok()?;
        let kind = if metadata.is_file() {
            FileKind::Regular
        } else if metadata.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        };
        #[cfg(unix)]
        let (mode, owned_by_root) = {
            use std::os::unix::fs::MetadataExt;
            (Some(metadata.mode() & 0o7777), metadata.uid() == 0)
        };
        #[cfg(not(unix))]
        let (mode, owned_by_root) = (None, false);
        Some(FileStatus { kind, mode, owned_by_root })
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_is_where() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("lockstep-environment-{}", std::process::id()));
        assert_eq!(SystemEnvironment.stat(&path), None);
        assert!(SystemEnvironment.read(&path).is_err());

        std::fs::write(&path, b"p\xffw").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let status = SystemEnvironment.stat(&path).unwrap();
        let text = SystemEnvironment.read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();

        assert_eq!((status.kind, status.mode), (FileKind::Regular, Some(0o640)));
        assert_eq!(text, "p\u{fffd}w");
        let directory = SystemEnvironment.stat(&std::env::temp_dir()).unwrap();
        assert_eq!(directory.kind, FileKind::Directory);
    }
}
