//! A time that ran out: the session's, the statement's, or the whole call's.

use super::blocked::{held, wait_for_outsider, waiting};
use super::{Story, join, push, with_outcome};
use crate::report::SessionOutcome;

pub(super) fn lock_timeout(story: &Story) -> String {
    let failed = with_outcome(story, SessionOutcome::LockTimeout);
    let who = join(&failed);
    if let Some(wait) = wait_for_outsider(story, &failed) {
        let limit = story.lock_timeout.unwrap_or_default();
        return format!("{who} gave up waiting with 55P03: lock_timeout ({limit} s) ran out. {}", held(story, wait));
    }
    match story.lock_timeout {
        Some(limit) if limit <= story.deadlock_timeout => format!(
            "{who} gave up waiting with 55P03: lock_timeout ({limit} s) ran out before deadlock_timeout ({}), so \
             PostgreSQL never looked for a deadlock. The cycle was there all the same. To see 40P01, make lock_timeout \
             longer than deadlock_timeout.",
            timeout_told(story)
        ),
        _ if failed.iter().all(|name| !has_waited(story, name)) => format!(
            "{who} {} refused a lock with 55P03: another session had it, and NOWAIT does not wait.",
            if failed.len() == 1 { "was" } else { "were" }
        ),
        _ => format!("{who} gave up waiting with 55P03: the lock was not to be had in time."),
    }
}

/// Whether a session waited in the statement that was refused.
fn has_waited(story: &Story, name: &str) -> bool {
    let sessions = story.sessions.iter().filter(|session| session.name == name);
    sessions.flat_map(|session| &session.statements).any(|one| one.sqlstate.as_deref() == Some("55P03") && one.waited)
}

pub(super) fn statement_timeout(story: &Story) -> String {
    let failed = with_outcome(story, SessionOutcome::StatementTimeout);
    let who = format!("{} {}", join(&failed), if failed.len() == 1 { "was" } else { "were" });
    let limit = story.statement_timeout.unwrap_or_default();
    if let Some(wait) = wait_for_outsider(story, &failed) {
        return format!("{who} cancelled with 57014: statement_timeout ({limit} s) ran out. {}", held(story, wait));
    }
    if limit <= story.deadlock_timeout {
        return format!(
            "{who} cancelled with 57014: statement_timeout ({limit} s) ran out before deadlock_timeout ({}), so \
             PostgreSQL never looked for a deadlock. To see 40P01, make statement_timeout longer than deadlock_timeout.",
            timeout_told(story)
        );
    }
    format!("{who} cancelled with 57014: a statement took longer than statement_timeout ({limit} s).")
}

pub(super) fn timed_out(story: &Story) -> String {
    let mut text = format!(
        "The call's timeout ({} s) ran out before the run was over; what was not committed was rolled back. ",
        story.timeout
    );
    let unfinished = with_outcome(story, SessionOutcome::Cancelled);
    if !unfinished.is_empty() {
        let verb = if unfinished.len() == 1 { "was" } else { "were" };
        push(&mut text, format_args!("{} {verb} not through. ", join(&unfinished)));
    }
    text.push_str(&waiting(story));
    if story.timeout <= story.deadlock_timeout {
        push(
            &mut text,
            format_args!(
                " PostgreSQL looks for a deadlock only after deadlock_timeout ({}): give the call more time than that.",
                timeout_told(story)
            ),
        );
    }
    text.trim_end().to_owned()
}

/// "1 s", or where the run has set its own, "0.001 s in this run; the server's is 1 s".
pub(super) fn timeout_told(story: &Story) -> String {
    let (counted, servers) = (story.deadlock_timeout, story.servers_deadlock_timeout);
    // Both are whole milliseconds.
    if (counted - servers).abs() < 0.000_5 {
        return format!("{counted} s");
    }
    format!("{counted} s in this run; the server's is {servers} s")
}
