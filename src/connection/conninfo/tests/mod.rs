//! Tests of the whole of conninfo, in a world made for each.

mod keywords;
mod parsing;
mod passwords;
mod precedence;
mod properties;
mod secrets;
mod services;
mod targets;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Conninfo, ConninfoError, Environment, FileKind, FileStatus};

/// A world with the variables and files that a test puts into it, the home `/home/ann` and the user `ann`.
#[derive(Default)]
struct World {
    variables: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, (FileStatus, String)>,
    homeless: bool,
    nameless: bool,
}

impl World {
    fn new() -> Self {
        Self::default()
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        self.file_with_mode(path, 0o600, text)
    }

    fn file_with_mode(self, path: &str, mode: u32, text: &str) -> Self {
        self.entry(path, FileKind::Regular, mode, text)
    }

    fn directory(self, path: &str) -> Self {
        self.entry(path, FileKind::Directory, 0o755, "")
    }

    fn socket(self, path: &str) -> Self {
        self.entry(path, FileKind::Other, 0o777, "")
    }

    fn entry(mut self, path: &str, kind: FileKind, mode: u32, text: &str) -> Self {
        let status = FileStatus { kind, mode: Some(mode), owned_by_root: false };
        self.files.insert(PathBuf::from(path), (status, text.to_owned()));
        self
    }

    fn resolve(&self, dsn: &str) -> Result<Conninfo, ConninfoError> {
        Conninfo::resolve(dsn, self)
    }

    fn resolved(&self, dsn: &str) -> Conninfo {
        self.resolve(dsn).unwrap()
    }

    fn refusal(&self, dsn: &str) -> String {
        self.resolve(dsn).unwrap_err().to_string()
    }
}

impl Environment for World {
    fn var(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn home(&self) -> Option<PathBuf> {
        (!self.homeless).then(|| PathBuf::from("/home/ann"))
    }

    fn user_name(&self) -> Option<String> {
        (!self.nameless).then(|| "ann".to_owned())
    }

    fn stat(&self, path: &Path) -> Option<FileStatus> {
        self.files.get(path).map(|(status, _)| *status)
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).map(|(_, text)| text.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The value of a keyword after resolution.
fn value<'a>(conninfo: &'a Conninfo, keyword: &str) -> Option<&'a str> {
    conninfo.value(keyword).map(|(value, _)| value)
}
