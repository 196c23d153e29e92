//! The password file, `~/.pgpass` (libpq, "The Password File").

use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::{Environment, FileKind};
use super::secret::Secret;

/// Why a password file that exists is not read. libpq warns on stderr and goes on; so may the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// It is a directory, a pipe, …
    #[error("password file \"{path}\" is not a plain file", path = .0.display())]
    PassfileNotPlain(PathBuf),
    /// Others than its owner may use it.
    #[error(
        "password file \"{path}\" has group or world access; permissions should be u=rw (0600) or less",
        path = .0.display()
    )]
    PassfilePermissions(PathBuf),
    /// The operating system does not let it be read.
    #[error("password file \"{path}\" cannot be read", path = .0.display())]
    PassfileUnreadable(PathBuf),
}

/// The text of a password file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Passfile(String);

impl fmt::Debug for Passfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passfile(..)")
    }
}

impl Passfile {
    /// Reads a password file. One that does not exist has no passwords; one that others may read is not
    /// used, with a warning.
    pub(super) fn read(path: &Path, environment: &dyn Environment) -> Result<Option<Self>, Warning> {
        let Some(status) = environment.stat(path) else {
            return Ok(None);
        };
        if status.kind != FileKind::Regular {
            return Err(Warning::PassfileNotPlain(path.to_owned()));
        }
        if status.mode.is_some_and(|mode| mode & 0o077 != 0) {
            return Err(Warning::PassfilePermissions(path.to_owned()));
        }
        match environment.read(path) {
            Ok(text) => Ok(Some(Self(text))),
            Err(_) => Err(Warning::PassfileUnreadable(path.to_owned())),
        }
    }

    /// The password on the first line that fits.
    pub(super) fn password(&self, host: &str, port: u16, dbname: &str, user: &str) -> Option<Secret> {
        let port = port.to_string();
        self.0
            .split('\n')
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| [host, &port, dbname, user].into_iter().try_fold(line, |rest, wanted| field(rest, wanted)))
            .map(|rest| Secret::new(unescape(rest)))
            .filter(|password| !password.expose().is_empty())
    }
}

/// What follows the first field of `line` and its colon, if the field is `*` or stands for `wanted`.
fn field<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut characters = line.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            ':' => return wanted.next().is_none().then(|| &line[index + 1..]),
            '\\' => {
                let (_, escaped) = characters.next()?;
                if wanted.next() != Some(escaped) {
                    return None;
                }
            }
            plain => {
                if wanted.next() != Some(plain) {
                    return None;
                }
            }
        }
    }
    None
}

/// The password field up to its end, with backslashes undone.
fn unescape(field: &str) -> String {
    let mut password = String::new();
    let mut characters = field.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ':' => break,
            '\\' if characters.peek().is_some() => password.extend(characters.next()),
            plain => password.push(plain),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(line: &str) -> Option<String> {
        Passfile(line.to_owned()).password("db", 5432, "app", "ann").map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let text = "# db:5432:app:ann:no\nother:*:*:*:no\ndb:5432:app:ann:yes\r\n*:*:*:*:late\n";
        assert_eq!(password(text).as_deref(), Some("yes"));
        assert_eq!(password("db:5432:app:bob:no"), None);
        assert_eq!(password("db:5432:app:ann"), None);
        assert_eq!(password("db:5432:app:ann:"), None);
    }

    #[test]
    fn backslashes_make_colons_literal() {
        assert_eq!(password(r"*:*:*:*:a\:b\\c").as_deref(), Some(r"a:b\c"));
        assert_eq!(password("*:*:*:*:a:b").as_deref(), Some("a"));
        let file = Passfile(r"\:\:1:*:*:ann:pw".to_owned());
        assert!(file.password("::1", 5432, "app", "ann").is_some());
    }

    #[test]
    fn debug_hides_the_text() {
        assert_eq!(format!("{:?}", Passfile("a:b:c:d:hunter2".into())), "Passfile(..)");
    }
}
