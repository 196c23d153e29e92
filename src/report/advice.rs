//! What prevents the deadlock of a user's own code, by the statements that asked for what others held.

use super::Statement;

/// What to do, in the ORM's words: for each of the ways in which the locks were asked for.
pub(super) fn advice<'a>(asked: impl Iterator<Item = &'a Statement>) -> String {
    let mut ways: Vec<&str> = asked.map(way).collect();
    ways.sort_unstable();
    ways.dedup();
    // That of UPDATE says it as well.
    if ways.contains(&CHANGE) {
        ways.retain(|way| *way != LOCK);
    }
    ways.join("; ")
}

const CHANGE: &str = "change the rows in one order everywhere, for example by sorted primary keys: that goes for save() and \
                      update() in a loop and for the objects and batches of bulk_update(); or lock them all beforehand, by \
                      one select_for_update().order_by(\"pk\")";
const LOCK: &str = "take the locks in one order everywhere, for example by select_for_update().order_by(\"pk\")";

fn way(asked: &Statement) -> &'static str {
    let sql = asked.sql.to_ascii_lowercase();
    if asked.step == "COMMIT" {
        return "a deferred foreign key locks the row that it refers to at COMMIT, so lock such rows by \
                select_for_update(no_key=True), which does not conflict with that";
    }
    if sql.contains("pg_advisory") {
        return "take advisory locks in the order of their keys";
    }
    match asked.step.split(' ').next().unwrap_or_default() {
        "INSERT" => {
            "insert the same unique keys in one order everywhere, for example sorted: that goes for create(), \
             get_or_create() and update_or_create() in a loop, for bulk_create() with ignore_conflicts as well, and for add() \
             of a many-to-many relation"
        }
        "DELETE" => {
            "lock the parent's row first, by select_for_update(), before it is deleted: delete() comes to the children \
             before it comes to the parent"
        }
        "UPDATE" => CHANGE,
        "LOCK" | "ALTER" | "TRUNCATE" | "DROP" | "CREATE" => {
            "take the locks on tables before those on rows, and in one order everywhere"
        }
        _ => LOCK,
    }
}
