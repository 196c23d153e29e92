//! Keywords whose value is one of a few words.

use super::error::ConninfoError;

/// Defines an enum with one variant a word, its `as_str`, and a `parse` that refuses in libpq's words.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident, $keyword:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The word as a conninfo writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads the word; anything else is [`ConninfoError::InvalidValue`].
            pub fn parse(word: &str) -> Result<Self, ConninfoError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(ConninfoError::InvalidValue {
                        keyword: $keyword,
                        value: word.to_owned(),
                        allowed: &[$($word),+],
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// `target_session_attrs`: which servers are acceptable (libpq, "Parameter Key Words").
    TargetSessionAttrs, "target_session_attrs" {
        /// Any server.
        Any = "any",
        /// Sessions are read-write by default.
        ReadWrite = "read-write",
        /// Sessions are read-only by default.
        ReadOnly = "read-only",
        /// Not in hot standby.
        Primary = "primary",
        /// In hot standby.
        Standby = "standby",
        /// A standby if there is one among the hosts, else any.
        PreferStandby = "prefer-standby",
    }
}

choice! {
    /// `load_balance_hosts`: the order in which hosts and their addresses are tried.
    LoadBalanceHosts, "load_balance_hosts" {
        /// In the order given.
        Disable = "disable",
        /// In a random order.
        Random = "random",
    }
}

choice! {
    /// `sslmode`, from weakest to strongest, so that modes can be compared (libpq, "SSL Support").
    SslMode, "sslmode" {
        /// Never TLS.
        Disable = "disable",
        /// Plain first, TLS when the server insists.
        Allow = "allow",
        /// TLS first, plain when the server has none.
        Prefer = "prefer",
        /// TLS, or no connection.
        Require = "require",
        /// TLS with a certificate chain that leads to a trusted root.
        VerifyCa = "verify-ca",
        /// As `verify-ca`, and the certificate is for the host asked for.
        VerifyFull = "verify-full",
    }
}

choice! {
    /// `sslnegotiation`: how TLS begins.
    SslNegotiation, "sslnegotiation" {
        /// `SSLRequest` first.
        Postgres = "postgres",
        /// A TLS handshake at once, with ALPN (server 17 and later).
        Direct = "direct",
    }
}

choice! {
    /// `sslcertmode`: whether a client certificate is sent.
    SslCertMode, "sslcertmode" {
        /// Never, even if there is one.
        Disable = "disable",
        /// When the server asks and there is one.
        Allow = "allow",
        /// The server must ask for one.
        Require = "require",
    }
}

choice! {
    /// `channel_binding` for SCRAM over TLS.
    ChannelBinding, "channel_binding" {
        /// Not used.
        Disable = "disable",
        /// Used when both sides can.
        Prefer = "prefer",
        /// Insisted on.
        Require = "require",
    }
}

/// A TLS version as `ssl_min_protocol_version` and `ssl_max_protocol_version` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    const NAMES: [&'static str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

    /// The version as a conninfo writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// Reads a version, in any case; the empty string means that no bound is set.
    pub(super) fn parse(keyword: &'static str, word: &str) -> Result<Option<Self>, ConninfoError> {
        if word.is_empty() {
            return Ok(None);
        }
        [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13]
            .into_iter()
            .find(|version| version.as_str().eq_ignore_ascii_case(word))
            .map(Some)
            .ok_or_else(|| ConninfoError::InvalidValue { keyword, value: word.to_owned(), allowed: &Self::NAMES })
    }
}
