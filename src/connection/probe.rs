//! The first connection: what the server is, and what the role may do there.

use super::backend::{Backend, Reply};
use super::leash::Leash;
use crate::error::Error;
use crate::report::Server;

/// What the first connection found out.
#[expect(clippy::struct_excessive_bools, reason = "they are independent answers of the server")]
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What the report says about the server.
    pub server: Server,
    /// The role's `lock_timeout` in seconds; 0 is off.
    pub lock_timeout: f64,
    /// The role's `statement_timeout` in seconds; 0 is off.
    pub statement_timeout: f64,
    /// How many connections the server admits to a role like this one, all clients together.
    pub admitted: u32,
    /// The server's `max_connections`.
    pub max_connections: u32,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// Whether transactions are read-only (`default_transaction_read_only`, or a standby).
    pub read_only: bool,
    /// Whether the role is a superuser.
    pub superuser: bool,
    /// Whether the role may create a schema.
    pub may_create: bool,
    /// Whether backends can notice on their own that their client is gone (`client_connection_check_interval`).
    pub notices_dead_clients: bool,
    /// Whether a pooler such as PgBouncer is in between.
    pub pooled: bool,
    /// Whether some schema's name begins as those of scratch objects do: an earlier run may have left them.
    pub scratch_seen: bool,
}

// Plain functions without arithmetic, casts or patterns: for a new backend each of those is a look into its catalogs,
// and this question is asked in every call.
const FACTS: &str = "\
SELECT current_setting('server_version'), current_setting('server_version_num'), current_database(), current_user,
  current_setting('deadlock_timeout'), current_setting('lock_timeout'), current_setting('statement_timeout'),
  current_setting('max_connections'), current_setting('superuser_reserved_connections'),
  pg_is_in_recovery(), current_setting('transaction_read_only'),
  has_database_privilege(current_database(), 'CREATE'), current_setting('is_superuser'),
  EXISTS (SELECT FROM pg_namespace WHERE nspname > 'lockstep_' AND nspname < 'lockstep`'),
  version(), current_setting('reserved_connections', true), pg_backend_pid()";

impl Facts {
    /// Asks the server, in one round trip or two.
    pub fn gather(backend: &mut Backend, leash: &Leash) -> Result<Self, Error> {
        const DOING: &str = "asking the server what it is";
        let reply = backend.ask(FACTS, DOING, leash)?;
        let row = Row::of(&reply)?;
        let version_num = row.number(1)?;
        let superuser = row.flag(12)?;
        // has_parameter_privilege came with GRANT SET ON PARAMETER in PostgreSQL 15.
        let may_set_deadlock_timeout = superuser
            || version_num >= 150_000
                && backend.ask("SELECT has_parameter_privilege('deadlock_timeout', 'SET')", DOING, leash)?.scalar()
                    == Some("t");
        let max_connections = row.number(7)?;
        // `reserved_connections` came with PostgreSQL 16.
        let reserved = if superuser { 0 } else { row.number::<u32>(8)? + row.number(15).unwrap_or(0) };
        Ok(Self {
            server: Server {
                version: row.text(0)?.to_owned(),
                version_num,
                database: row.text(2)?.to_owned(),
                role: row.text(3)?.to_owned(),
                deadlock_timeout: row.seconds(4)?,
                may_set_deadlock_timeout,
            },
            lock_timeout: row.seconds(5)?,
            statement_timeout: row.seconds(6)?,
            admitted: u32::saturating_sub(max_connections, reserved),
            max_connections,
            in_recovery: row.flag(9)?,
            read_only: row.flag(10)?,
            superuser,
            may_create: row.flag(11)?,
            pooled: backend.is_pooled(row.number(16)?),
            scratch_seen: row.flag(13)?,
            notices_dead_clients: row.text(14)?.contains("linux"),
        })
    }
}

struct Row<'a>(&'a [Option<String>]);

impl<'a> Row<'a> {
    fn of(reply: &'a Reply) -> Result<Self, Error> {
        let row = reply.rows().first().ok_or_else(|| odd("no row"))?;
        Ok(Self(row))
    }

    fn text(&self, column: usize) -> Result<&'a str, Error> {
        self.0.get(column).and_then(Option::as_deref).ok_or_else(|| odd(&format!("no column {column}")))
    }

    fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, Error> {
        let text = self.text(column)?;
        text.parse().map_err(|_| odd(&format!("'{text}' in column {column}")))
    }

    /// A setting in milliseconds as the server shows it, in the largest unit that leaves a whole number; in seconds.
    fn seconds(&self, column: usize) -> Result<f64, Error> {
        let text = self.text(column)?;
        let (number, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
        let scale = match unit {
            "" | "ms" => 1.0,
            "s" => 1e3,
            "min" => 60e3,
            "h" => 3_600e3,
            "d" => 86_400e3,
            _ => return Err(odd(&format!("'{text}' in column {column}"))),
        };
        number
            .parse::<f64>()
            .map(|number| number * scale / 1e3)
            .map_err(|_| odd(&format!("'{text}' in column {column}")))
    }

    fn flag(&self, column: usize) -> Result<bool, Error> {
        Ok(matches!(self.text(column)?, "t" | "on"))
    }
}

fn odd(what: &str) -> Error {
    Error::refused(
        "08P01",
        format!("the server's answer to the first question is not PostgreSQL's ({what})"),
        "Point the DSN at a PostgreSQL server, 14 or later.",
    )
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn settings_are_read_in_any_unit() {
        let shown = ["0", "1500ms", "10s", "5min", "2h", "1d", "1 s"].map(|text| Some(text.to_owned()));
        let row = Row(&shown);
        let seconds: Vec<Option<f64>> = (0..shown.len()).map(|column| row.seconds(column).ok()).collect();
        let expected = [Some(0.0), Some(1.5), Some(10.0), Some(300.0), Some(7200.0), Some(86400.0), None];
        assert_eq!(seconds, expected);
    }
}
