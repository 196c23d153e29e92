//! Scratch rows, in a schema of their own: made for a run, gone after it, and swept by a later run if a killed one left
//! them.
//!
//! A schema is claimed by an advisory lock that the run's observer holds in its transaction: the claim ends with the
//! observer's backend, however that ends. What nobody claims, belongs to nobody.

use std::ops::DerefMut;

use crate::connection::{Backend, Leash};
use crate::engine::Observer;
use crate::error::Error;

/// The first key of our advisory locks: "lkst" in ASCII.
const CLAIM_CLASS: i32 = 0x6c6b_7374;
/// How long dropping abandoned scratch objects may wait for a lock; who holds one is not gone yet.
const SWEEP_LOCK_TIMEOUT: &str = "100ms";

/// The names of one run's scratch objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scratch {
    token: u64,
}

impl Scratch {
    /// New names that nobody else has.
    pub(crate) fn new() -> Result<Self, Error> {
        let token = getrandom::u64().map_err(|error| Error::Bug { what: format!("no random numbers: {error}") })?;
        Ok(Self { token })
    }

    /// The schema.
    pub(crate) fn schema(&self) -> String {
        format!("lockstep_{:016x}", self.token)
    }

    /// The table, qualified and quoted as far as it needs to be.
    pub(crate) fn table(&self) -> String {
        format!("{}.account", self.schema())
    }

    /// A number of the run's own, to keep its advisory locks apart from everybody else's.
    pub(crate) fn number(&self) -> i32 {
        // The upper half; the claim has the lower.
        let [a, b, c, d, ..] = self.token.to_be_bytes();
        i32::from_be_bytes([a, b, c, d])
    }

    fn key(&self) -> String {
        let [.., a, b, c, d] = self.token.to_be_bytes();
        format!("{CLAIM_CLASS}, {}", i32::from_be_bytes([a, b, c, d]))
    }

    /// The statement that claims the schema for the transaction that it runs in.
    pub(crate) fn claim(&self) -> String {
        format!("SELECT pg_advisory_xact_lock({})", self.key())
    }

    /// Makes the schema, and the rows, if there are to be any, in a transaction of their own, and then opens the
    /// observer's, which claims them: all in one message, so that it takes one round trip and stays on one server
    /// connection behind a pooler. The claim begins before the schema is there to be seen and does not end in between:
    /// from the one transaction to the other the backend itself holds it.
    pub(crate) fn open(
        &self,
        rows: &[i64],
        probe: impl DerefMut<Target = Backend> + Send + 'static,
        leash: &Leash,
    ) -> Result<Observer, Error> {
        let (schema, table, key) = (self.schema(), self.table(), self.key());
        let values: Vec<String> = rows.iter().map(|row| format!("({row})")).collect();
        // A row is found without an index. UNLOGGED is also what no publication takes in.
        let fill = if values.is_empty() {
            String::new()
        } else {
            format!(
                "CREATE UNLOGGED TABLE {table} (id bigint NOT NULL); INSERT INTO {table} VALUES {}; ",
                values.join(", ")
            )
        };
        let before = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_advisory_lock({key}); CREATE SCHEMA {schema}; {fill}COMMIT; "
        );
        let claim = format!("{}; SELECT pg_advisory_unlock({key})", self.claim());
        Observer::open_after(&before, probe, Some(&claim), leash)
    }

    /// The statement that drops everything.
    pub(crate) fn drop(&self) -> String {
        format!("SET LOCAL lock_timeout = 0; DROP SCHEMA IF EXISTS {} CASCADE", self.schema())
    }
}

/// Drops the scratch schemas of this role that no run claims any more; returns their names. What is still locked by a
/// backend that has not noticed its client's death yet is left to the next run.
pub(crate) fn sweep(backend: &mut Backend, leash: &Leash) -> Result<Vec<String>, Error> {
    const DOING: &str = "sweeping the scratch rows of a run that was killed";
    let abandoned = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^lockstep_[0-9a-f]{16}$' \
                     AND pg_has_role(nspowner, 'USAGE') ORDER BY nspname";
    let reply = backend.ask(abandoned, DOING, leash)?;
    let schemas: Vec<String> = reply.rows().iter().filter_map(|row| row.first().cloned().flatten()).collect();
    let mut swept = Vec::new();
    for schema in schemas {
        let key = format!("('x' || right('{schema}', 8))::bit(32)::int");
        let claimed = backend.ask(
            &format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{SWEEP_LOCK_TIMEOUT}'; \
                 SELECT CASE WHEN pg_try_advisory_xact_lock({CLAIM_CLASS}, {key}) \
                 THEN to_regnamespace('{schema}') IS NOT NULL END"
            ),
            DOING,
            leash,
        )?;
        let free = claimed.scalar() == Some("t");
        // A run that ended in between has let go of its claim because it has removed its schema itself.
        let ours = free
            && backend
                .ask(&format!("SELECT 1 FROM pg_namespace WHERE nspname = '{schema}'"), DOING, leash)?
                .scalar()
                .is_some();
        let dropped = ours
            && backend
                .run(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"), leash)
                .map_err(|broken| broken.while_doing(DOING))?
                .error
                .is_none();
        backend.ask(if dropped { "COMMIT" } else { "ROLLBACK" }, DOING, leash)?;
        if dropped {
            swept.push(schema);
        }
    }
    Ok(swept)
}
