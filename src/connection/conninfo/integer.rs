//! Whole numbers as libpq reads them, and the settings that are numbers.

use std::time::Duration;

use super::error::ConninfoError;
use super::keyword_value::is_space;
use super::parameters::Parameters;

/// Reads a C `int`, with white space around it if need be.
pub(super) fn parse(keyword: &'static str, text: &str) -> Result<i32, ConninfoError> {
    text.trim_matches(is_space).parse().map_err(|_| ConninfoError::InvalidInteger { keyword, value: text.to_owned() })
}

/// The value of a keyword, if it is set.
fn optional(parameters: &Parameters, keyword: &'static str) -> Result<Option<i32>, ConninfoError> {
    parameters.get(keyword).map(|text| parse(keyword, text)).transpose()
}

/// A positive number, or nothing: libpq takes 0 and less for the system's default.
fn positive(parameters: &Parameters, keyword: &'static str) -> Result<Option<u32>, ConninfoError> {
    Ok(optional(parameters, keyword)?.and_then(|number| u32::try_from(number).ok()).filter(|&number| number > 0))
}

/// `connect_timeout`: how long one host may take; `None` means for ever.
pub(super) fn connect_timeout(parameters: &Parameters) -> Result<Option<Duration>, ConninfoError> {
    Ok(positive(parameters, "connect_timeout")?.map(|seconds| Duration::from_secs(u64::from(seconds))))
}

/// TCP's own timers (libpq, "keepalives" and following). `None` leaves the operating system's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpTimers {
    /// Whether keepalives are used at all.
    pub keepalives: bool,
    /// Silence before the first keepalive.
    pub idle: Option<Duration>,
    /// Time between keepalives.
    pub interval: Option<Duration>,
    /// Keepalives that may be lost.
    pub count: Option<u32>,
    /// How long sent data may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

impl TcpTimers {
    pub(super) fn read(parameters: &Parameters) -> Result<Self, ConninfoError> {
        let seconds = |number: u32| Duration::from_secs(u64::from(number));
        Ok(Self {
            keepalives: optional(parameters, "keepalives")?.is_none_or(|number| number != 0),
            idle: positive(parameters, "keepalives_idle")?.map(seconds),
            interval: positive(parameters, "keepalives_interval")?.map(seconds),
            count: positive(parameters, "keepalives_count")?,
            user_timeout: positive(parameters, "tcp_user_timeout")?
                .map(|milliseconds| Duration::from_millis(u64::from(milliseconds))),
        })
    }
}
