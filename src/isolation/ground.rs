//! The connections that a file runs on, and the scratch schema around it, if it is to have one.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::options::{Ground, SpecOptions};
use crate::connection::conninfo::Conninfo;
use crate::connection::{Backend, Facts, Leash, Pool, Pooled};
use crate::error::Error;
use crate::scenario::lock::Isolation;
use crate::scenario::spec::Spec;
use crate::scenario::sql::settings;
use crate::simulate::scratch::{Scratch, sweep};
use crate::simulate::stage::Stage;

/// Where the connections come from. What was made for them is gone when this is.
pub(super) enum Connections {
    /// A pool of them.
    Plain(Pool),
    /// A pool, and one connection more that holds the scratch schema.
    Scratch { stage: Box<Stage>, schema: String },
}

impl Connections {
    /// Opens `size` connections, and makes the scratch schema.
    pub(super) fn open(
        conninfo: Arc<Conninfo>,
        size: usize,
        mut probe: Backend,
        facts: &Facts,
        options: &SpecOptions,
        notes: &mut Vec<String>,
        leash: &Leash,
    ) -> Result<Self, Error> {
        if options.ground == Ground::Database {
            return Ok(Self::Plain(Pool::start(conninfo, u32::try_from(size).unwrap_or(u32::MAX), probe, leash)));
        }
        may_make_scratch(facts)?;
        if facts.scratch_seen {
            for schema in sweep(&mut probe, leash)? {
                notes.push(format!("Removed {schema}, which a run that was killed had left."));
            }
        }
        let scratch = Scratch::new()?;
        let schema = scratch.schema();
        let pool = Pool::start(Arc::clone(&conninfo), u32::try_from(size).unwrap_or(u32::MAX), None, leash);
        let stage = Box::new(Stage::set(conninfo, pool, probe, facts.pooled, Some(scratch), &[], leash)?);
        Ok(Self::Scratch { stage, schema })
    }

    /// One of them.
    pub(super) fn get(&self, leash: &Leash) -> Result<Pooled, Error> {
        match self {
            Self::Plain(pool) => pool.get(leash),
            Self::Scratch { stage, .. } => stage.connection(leash),
        }
    }

    /// Removes what was made.
    pub(super) fn clear(self) -> Result<(), Error> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Scratch { mut stage, .. } => stage.clear(),
        }
    }

    /// What the control connection runs first.
    pub(super) fn control_prelude(&self) -> String {
        match self {
            Self::Plain(_) => String::new(),
            Self::Scratch { schema, .. } => format!("SET search_path TO {schema}; "),
        }
    }

    /// What a session's connection runs first.
    pub(super) fn session_prelude(&self, options: &SpecOptions, facts: &Facts) -> String {
        let mut sql = self.control_prelude();
        if let Some((name, _)) =
            options.isolation.and_then(|level| Isolation::ALL.iter().find(|(_, one)| *one == level))
        {
            // Writing to a String cannot fail.
            let _ = write!(sql, "SET default_transaction_isolation = '{name}'; ");
        }
        if options.ground == Ground::Database {
            return sql;
        }
        let deadlock_timeout = options.deadlock_timeout(facts.server.may_set_deadlock_timeout);
        set(&mut sql, "deadlock_timeout", deadlock_timeout);
        set(&mut sql, "lock_timeout", options.lock_timeout());
        if facts.notices_dead_clients {
            // So that a backend that waits for a lock notices when this process is killed.
            set(&mut sql, "client_connection_check_interval", Some(Duration::from_secs(1)));
        }
        sql
    }
}

fn set(sql: &mut String, setting: &str, value: Option<Duration>) {
    if let Some(value) = value {
        let _ = write!(sql, "SET {setting} = '{}ms'; ", value.as_millis().max(1));
    }
}

/// Says before anything is run what the role or the server does not allow.
fn may_make_scratch(facts: &Facts) -> Result<(), Error> {
    let server = &facts.server;
    if facts.read_only {
        let what =
            if facts.in_recovery { "the server is a read-only standby" } else { "transactions are read-only here" };
        return Err(Error::refused(
            "25006",
            format!("{what}, and a scenario makes tables"),
            "Connect to a primary, as a role that may write.",
        ));
    }
    if !facts.may_create {
        return Err(Error::refused(
            "42501",
            format!("role {} may not make a scratch schema in database {}", server.role, server.database),
            "GRANT CREATE ON DATABASE to the role, use --embedded, or see a deadlock of advisory locks, which needs no \
             privilege (--lock advisory).",
        ));
    }
    Ok(())
}

/// Says before anything is run which settings of the spec the role may not make: all of it would go another way.
pub(super) fn may_set(spec: &Spec, probe: &mut Backend, facts: &Facts, leash: &Leash) -> Result<(), Error> {
    let mut names: Vec<String> = spec.sql().flat_map(settings).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() || facts.superuser {
        return Ok(());
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    // has_parameter_privilege came with GRANT SET ON PARAMETER in PostgreSQL 15.
    let granted = if facts.server.version_num >= 150_000 { "has_parameter_privilege(name, 'SET')" } else { "false" };
    let question = format!(
        "SELECT string_agg(name, ', ' ORDER BY name) FROM pg_settings \
         WHERE context = 'superuser' AND name IN ({}) AND NOT {granted}",
        quoted.join(", ")
    );
    let reply = probe.ask(&question, "asking what the role may set", leash)?;
    let Some(refused) = reply.scalar() else { return Ok(()) };
    Err(Error::refused(
        "42501",
        format!("role {} may not set {refused}, which the spec does", facts.server.role),
        "Run it as a superuser, or GRANT SET ON PARAMETER to the role (PostgreSQL 15 and later).",
    ))
}

/// What is to be said where the role may not set the `deadlock_timeout` that a scenario would have.
pub(super) fn own_clock(facts: &Facts, options: &SpecOptions) -> Option<String> {
    let server = &facts.server;
    if options.ground == Ground::Database || server.may_set_deadlock_timeout {
        return None;
    }
    Some(format!(
        "Role {} may not set deadlock_timeout (superuser, or GRANT SET ON PARAMETER deadlock_timeout on PostgreSQL 15 and \
         later): a deadlock takes the server's {} s.",
        server.role, server.deadlock_timeout
    ))
}
