//! The values of all keywords, and where each came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::error::{ConninfoError, Name};
use super::keywords::{self, Keyword};
use super::{keyword_value, uri};

/// Where a value came from, in libpq's order of precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The connection string or the keywords given.
    Given,
    /// A service, defined in this file.
    Service(PathBuf),
    /// An environment variable.
    Environment(&'static str),
    /// libpq's own default.
    Default,
}

impl Origin {
    /// ` (from …)` for a message, or nothing for what the user gave himself.
    pub(super) fn clause(&self) -> String {
        match self {
            Self::Given | Self::Default => String::new(),
            Self::Service(path) => format!(" (from service file \"{}\")", path.display()),
            Self::Environment(variable) => format!(" (from {variable})"),
        }
    }
}

/// One value and its origin.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Values by keyword, in the order of the keyword table.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters(BTreeMap<&'static str, Parameter>);

impl Parameters {
    /// Reads a connection string of either form; nothing but the string is looked at.
    pub(super) fn parse(dsn: &str) -> Result<Self, ConninfoError> {
        if dsn.contains('\0') {
            return Err(ConninfoError::Nul);
        }
        if uri::is_uri(dsn) { uri::parse(dsn) } else { keyword_value::parse(dsn) }
    }

    /// Whether libpq takes this `dbname` for a whole connection string.
    pub(super) fn is_connection_string(dbname: &str) -> bool {
        uri::is_uri(dbname) || dbname.contains('=')
    }

    /// Sets a parameter that the user gave, last one wins. The old `requiressl` is translated as libpq does.
    /// Says `false` for a keyword that libpq does not know.
    pub(super) fn give(&mut self, name: &str, value: &str) -> bool {
        let (name, value) = match name {
            "requiressl" if value.starts_with('1') => ("sslmode", "require"),
            "requiressl" => ("sslmode", "prefer"),
            _ => (name, value),
        };
        let Some(keyword) = keywords::find(name) else {
            return false;
        };
        self.set(keyword, value, Origin::Given);
        true
    }

    /// Sets a parameter, whatever was there before.
    pub(super) fn set(&mut self, keyword: &Keyword, value: &str, origin: Origin) {
        self.0.insert(keyword.name, Parameter { value: value.to_owned(), origin });
    }

    /// Sets a parameter unless something of higher precedence did.
    pub(super) fn set_default(&mut self, keyword: &Keyword, value: &str, origin: Origin) {
        self.0.entry(keyword.name).or_insert_with(|| Parameter { value: value.to_owned(), origin });
    }

    /// Takes over all of `others`.
    pub(super) fn overlay(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The value of a keyword, empty or not.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(|parameter| parameter.value.as_str())
    }

    /// The value of a keyword, unless it is empty.
    pub(super) fn filled(&self, keyword: &str) -> Option<&str> {
        self.get(keyword).filter(|value| !value.is_empty())
    }

    /// The value and origin of a keyword.
    pub(super) fn parameter(&self, keyword: &str) -> Option<&Parameter> {
        self.0.get(keyword)
    }

    /// Everything that is set, in the order of the keyword table.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Keyword, &Parameter)> {
        keywords::KEYWORDS.iter().filter_map(|keyword| self.0.get(keyword.name).map(|parameter| (keyword, parameter)))
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(keyword, parameter)| {
                (keyword.name, if keyword.secret { "(secret)" } else { parameter.value.as_str() })
            }))
            .finish()
    }
}

/// The error for a keyword that no table knows.
pub(super) fn unknown(name: &str, position: usize, after_secret: bool) -> ConninfoError {
    ConninfoError::UnknownKeyword { name: Name::new(name, position, after_secret) }
}
