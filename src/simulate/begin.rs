//! How a session's transaction begins: its isolation level, and its settings for this transaction only.

use std::fmt::Write;
use std::time::Duration;

use super::options::Checked;
use super::target::literal;
use crate::connection::Facts;
use crate::engine::SessionId;
use crate::scenario::victim::Choice;

/// How far beyond the call's own `timeout` a session's guards are, should this process die.
const GUARD: Duration = Duration::from_secs(10);

/// How a transaction begins.
pub(crate) struct Opening<'a> {
    /// The session's name.
    pub(crate) name: &'a str,
    /// The isolation level, as SQL has it.
    pub(crate) isolation: &'a str,
    /// What `lock_timeout` and `statement_timeout` are where nobody, the server included, has set any.
    pub(crate) guard: Duration,
    pub(crate) lock_timeout: Option<Duration>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) deadlock_timeout: Option<Duration>,
    /// Other settings, by name.
    pub(crate) settings: &'a [(String, String)],
    pub(crate) facts: &'a Facts,
}

pub(super) fn sql(name: &str, session: SessionId, checked: &Checked, facts: &Facts, choice: &Choice) -> String {
    let guard = checked.timeout + GUARD;
    opening(&Opening {
        name,
        isolation: checked.isolation.sql(),
        guard,
        lock_timeout: checked.lock_timeout,
        statement_timeout: checked.statement_timeout,
        deadlock_timeout: choice.timeout_of(session, guard),
        settings: &[],
        facts,
    })
}

/// Everything by SET LOCAL, so that nothing leaks to the next client of a pooled server connection.
pub(crate) fn opening(opening: &Opening<'_>) -> String {
    let Opening { name, isolation, guard, facts, .. } = *opening;
    let mut sql = format!(
        "BEGIN ISOLATION LEVEL {isolation}; SET LOCAL application_name = 'lockstep {name}'; \
         SET LOCAL idle_in_transaction_session_timeout = 0; "
    );
    set(&mut sql, "lock_timeout", opening.lock_timeout.or((facts.lock_timeout <= 0.0).then_some(guard)));
    set(&mut sql, "statement_timeout", opening.statement_timeout.or((facts.statement_timeout <= 0.0).then_some(guard)));
    set(&mut sql, "deadlock_timeout", opening.deadlock_timeout);
    if facts.notices_dead_clients {
        // So that a backend that waits for a lock notices when this process is killed.
        set(&mut sql, "client_connection_check_interval", Some(Duration::from_secs(1)));
    }
    if facts.server.version_num >= 170_000 {
        sql.push_str("SET LOCAL transaction_timeout = 0; ");
    }
    for (setting, value) in opening.settings {
        // Writing to a String cannot fail.
        let _ = write!(sql, "SELECT set_config({}, {}, true); ", literal(setting), literal(value));
    }
    sql.push_str("SELECT pg_backend_pid()");
    sql
}

fn set(sql: &mut String, setting: &str, value: Option<Duration>) {
    if let Some(value) = value {
        let _ = write!(sql, "SET LOCAL {setting} = '{}ms'; ", value.as_millis().max(1));
    }
}
