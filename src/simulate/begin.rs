//! How a session's transaction begins: its isolation level, and its settings, which are for this transaction only wherever
//! somebody else may have the server connection after it.

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

impl<'a> Opening<'a> {
    pub(super) fn of(
        name: &'a str,
        session: SessionId,
        checked: &Checked,
        facts: &'a Facts,
        choice: &Choice,
    ) -> Opening<'a> {
        let guard = checked.timeout + GUARD;
        Self {
            name,
            isolation: checked.isolation.sql(),
            guard,
            lock_timeout: checked.lock_timeout,
            statement_timeout: checked.statement_timeout,
            deadlock_timeout: choice.timeout_of(session, guard),
            settings: &[],
            facts,
        }
    }

    /// Everything by SET LOCAL, so that nothing leaks to the next client of a pooled server connection.
    pub(crate) fn once(&self) -> String {
        format!("{}; {}SELECT pg_backend_pid()", self.begin(), self.set_all("SET LOCAL", "true"))
    }

    /// The same on a connection that is ours alone: what is set stays, and [`Opening::again`] begins the next transactions.
    pub(super) fn first(&self) -> String {
        // In a transaction of their own, for what a transaction has set is gone when it is rolled back.
        format!("BEGIN; {}COMMIT; {}; SELECT pg_backend_pid()", self.set_all("SET", "false"), self.begin())
    }

    /// How a transaction begins after [`Opening::first`]: everything is set, and the backend is known.
    pub(super) fn again(&self) -> String {
        self.begin()
    }

    fn begin(&self) -> String {
        format!("BEGIN ISOLATION LEVEL {}", self.isolation)
    }

    /// The settings, each with a semicolon after it.
    fn set_all(&self, set: &str, is_local: &str) -> String {
        let Self { name, guard, facts, .. } = *self;
        let mut sql =
            format!("{set} application_name = 'lockstep {name}'; {set} idle_in_transaction_session_timeout = 0; ");
        // Writing to a String cannot fail.
        let mut put = |setting: &str, value: Option<Duration>| {
            if let Some(value) = value {
                let _ = write!(sql, "{set} {setting} = '{}ms'; ", value.as_millis().max(1));
            }
        };
        put("lock_timeout", self.lock_timeout.or((facts.lock_timeout <= 0.0).then_some(guard)));
        put("statement_timeout", self.statement_timeout.or((facts.statement_timeout <= 0.0).then_some(guard)));
        put("deadlock_timeout", self.deadlock_timeout);
        // So that a backend that waits for a lock notices when this process is killed.
        put("client_connection_check_interval", facts.notices_dead_clients.then_some(Duration::from_secs(1)));
        if facts.server.version_num >= 170_000 {
            let _ = write!(sql, "{set} transaction_timeout = 0; ");
        }
        for (setting, value) in self.settings {
            let _ = write!(sql, "SELECT set_config({}, {}, {is_local}); ", literal(setting), literal(value));
        }
        sql
    }
}
