//! `require_auth`: the authentication methods that a server may use.

use super::error::ConninfoError;

/// An authentication method by its name in `require_auth` (libpq, "Parameter Key Words").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// No authentication exchange at all: `trust`, `cert`, `peer`.
    None,
    /// A password in clear text.
    Password,
    /// An MD5-hashed password.
    Md5,
    /// SCRAM-SHA-256, with or without channel binding.
    ScramSha256,
    /// Kerberos through GSSAPI.
    Gss,
    /// Windows' SSPI.
    Sspi,
    /// OAuth (version 18).
    Oauth,
}

impl AuthMethod {
    const ALL: [Self; 7] =
        [Self::Password, Self::Md5, Self::Gss, Self::Sspi, Self::ScramSha256, Self::Oauth, Self::None];
    const NAMES: [&'static str; 7] = ["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"];

    /// The methods that lockstep's driver can go through with.
    pub const SPOKEN: [Self; 4] = [Self::None, Self::Password, Self::Md5, Self::ScramSha256];

    fn parse(name: &str) -> Result<Self, ConninfoError> {
        Self::NAMES.iter().zip(Self::ALL).find(|(known, _)| **known == name).map(|(_, method)| method).ok_or_else(
            || ConninfoError::InvalidValue { keyword: "require_auth", value: name.to_owned(), allowed: &Self::NAMES },
        )
    }
}

/// A parsed `require_auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequireAuth {
    listed: Vec<AuthMethod>,
    negated: bool,
}

impl RequireAuth {
    /// Reads a list such as `scram-sha-256,none` or `!password,!md5`.
    pub(super) fn parse(list: &str) -> Result<Self, ConninfoError> {
        let negated = list.starts_with('!');
        let mut listed = Vec::new();
        for entry in list.split(',') {
            let name = entry.strip_prefix('!').unwrap_or(entry);
            let method = entry.to_owned();
            match (negated, entry.starts_with('!')) {
                (true, false) => return Err(ConninfoError::RequireAuthAfterNegative { method }),
                (false, true) => return Err(ConninfoError::RequireAuthNegative { method }),
                _ => {}
            }
            let method = AuthMethod::parse(name)?;
            if listed.contains(&method) {
                return Err(ConninfoError::RequireAuthDuplicate { method: entry.to_owned() });
            }
            listed.push(method);
        }
        Ok(Self { listed, negated })
    }

    /// Whether the server may use this method.
    #[must_use]
    pub fn allows(&self, method: AuthMethod) -> bool {
        self.listed.contains(&method) != self.negated
    }

    /// Whether it forbids nothing that lockstep's driver would do.
    pub(super) fn forbids_nothing_spoken(&self) -> bool {
        AuthMethod::SPOKEN.into_iter().all(|method| self.allows(method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_list_allows_only_what_it_names() {
        let list = RequireAuth::parse("scram-sha-256,none").unwrap();
        assert!(list.allows(AuthMethod::ScramSha256) && list.allows(AuthMethod::None));
        assert!(!list.allows(AuthMethod::Password));
        assert!(!list.forbids_nothing_spoken());
    }

    #[test]
    fn a_negative_list_allows_the_rest() {
        let list = RequireAuth::parse("!gss,!sspi").unwrap();
        assert!(!list.allows(AuthMethod::Gss));
        assert!(list.forbids_nothing_spoken());
    }

    #[test]
    fn mixtures_repetitions_and_unknown_methods_are_refused() {
        for (list, message) in [
            ("password,!md5", "negative require_auth method \"!md5\" cannot be mixed with non-negative methods"),
            ("!password,md5", "require_auth method \"md5\" cannot be mixed with negative methods"),
            ("md5,password,md5", "require_auth method \"md5\" is specified more than once"),
            ("md5,", "invalid require_auth value: \"\""),
        ] {
            assert_eq!(RequireAuth::parse(list).unwrap_err().to_string(), message);
        }
    }
}
