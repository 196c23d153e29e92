//! What the observer asks the server, as SQL.

/// A row of `pg_locks` as the server's own deadlock message would name it.
pub(super) const LOCK: &str = "mode || ' on ' || CASE locktype \
    WHEN 'transactionid' THEN 'transaction ' || transactionid \
    WHEN 'tuple' THEN format('tuple (%s,%s) of relation %s', page, tuple, relation::regclass) \
    WHEN 'relation' THEN 'relation ' || relation::regclass \
    WHEN 'advisory' THEN format('advisory lock [%s,%s,%s]', classid, objid, objsubid) \
    ELSE locktype END";

/// Who is in a backend's way: for a lock, or for a safe snapshot (SERIALIZABLE READ ONLY DEFERRABLE).
fn in_the_way(pid: &str) -> String {
    format!("pg_catalog.pg_blocking_pids({pid}) || pg_catalog.pg_safe_snapshot_blocking_pids({pid})")
}

/// One column for each backend: the array of its blockers, which is empty when it does not wait.
pub(super) fn blockers(pids: &[i32]) -> String {
    columns(pids, |pid| in_the_way(&pid.to_string()))
}

/// The same, but NULL where it does not wait for one of `others`.
pub(super) fn blocked_by(pids: &[i32], others: &[i32]) -> String {
    let others = array(others);
    columns(pids, |pid| {
        format!(
            "CASE WHEN pg_catalog.pg_isolation_test_session_is_blocked({pid}, '{others}') \
             THEN 'by ' || pg_catalog.pg_blocking_pids({pid})::text END"
        )
    })
}

/// What these backends wait for, hold and ask for: a row for each lock.
pub(super) fn footholds(pids: &str) -> String {
    format!(
        "SELECT backend, array_to_string({}, ' '), locktype, \
         CASE WHEN locktype = 'relation' AND relname IS NULL THEN format('relation %s', relation) \
         WHEN locktype = 'relation' THEN format('%s.%I', relnamespace::regnamespace, relname) \
         ELSE format('advisory lock [%s,%s,%s]', classid, objid, objsubid) END, mode \
         FROM pg_catalog.unnest({pids}) AS backend LEFT JOIN (pg_locks LEFT JOIN pg_class ON pg_class.oid = relation) \
         ON pg_locks.pid = backend AND (locktype IN ('advisory', 'tuple') OR locktype = 'transactionid' AND granted \
         OR locktype = 'relation' AND relation >= 16384 AND coalesce(relkind, 'r') NOT IN ('i', 'I', 't')) ORDER BY backend",
        in_the_way("backend")
    )
}

fn columns(pids: &[i32], of: impl Fn(i32) -> String) -> String {
    let columns: Vec<String> = pids.iter().map(|&pid| of(pid)).collect();
    format!("SELECT {}", columns.join(", "))
}

/// The lock that this backend waits for.
pub(super) fn awaited_lock(pid: i32) -> String {
    format!("SELECT {LOCK} FROM pg_locks WHERE pid = {pid} AND NOT granted")
}

pub(super) fn array(pids: &[i32]) -> String {
    let list: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!("{{{}}}", list.join(","))
}
