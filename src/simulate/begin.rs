//! How a session's transaction begins: its isolation level, and its settings for this transaction only.

use std::fmt::Write;
use std::time::Duration;

use super::options::Checked;
use crate::connection::Facts;
use crate::engine::SessionId;
use crate::scenario::victim::Choice;

/// How far beyond the call's own `timeout` a session's guards are, should this process die.
const GUARD: Duration = Duration::from_secs(10);

/// Everything by SET LOCAL, so that nothing leaks to the next client of a pooled server connection.
pub(super) fn sql(name: &str, session: SessionId, checked: &Checked, facts: &Facts, choice: &Choice) -> String {
    let guard = checked.timeout + GUARD;
    let mut sql = format!(
        "BEGIN ISOLATION LEVEL {}; SET LOCAL application_name = 'lockstep {name}'; \
         SET LOCAL idle_in_transaction_session_timeout = 0; ",
        checked.isolation.sql()
    );
    set(&mut sql, "lock_timeout", checked.lock_timeout.or((facts.lock_timeout <= 0.0).then_some(guard)));
    set(&mut sql, "statement_timeout", checked.statement_timeout.or((facts.statement_timeout <= 0.0).then_some(guard)));
    set(&mut sql, "deadlock_timeout", choice.timeout_of(session, guard));
    if facts.notices_dead_clients {
        // So that a backend that waits for a lock notices when this process is killed.
        set(&mut sql, "client_connection_check_interval", Some(Duration::from_secs(1)));
    }
    if facts.server.version_num >= 170_000 {
        sql.push_str("SET LOCAL transaction_timeout = 0; ");
    }
    sql.push_str("SELECT pg_backend_pid()");
    sql
}

fn set(sql: &mut String, setting: &str, value: Option<Duration>) {
    if let Some(value) = value {
        // Writing to a String cannot fail.
        let _ = write!(sql, "SET LOCAL {setting} = '{}ms'; ", value.as_millis().max(1));
    }
}
