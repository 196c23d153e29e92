//! Sessions whose steps the run hands in.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use django_lockstep::connection::{Leash, Pool};
use django_lockstep::engine::run::{Run, Settled};
use django_lockstep::engine::{Ending, Observer, SessionId, Silent, Step, supervise};
use django_lockstep::report::EventKind::{Acquired, Request, Waiting};
use django_lockstep::report::{EventKind, SessionOutcome};
use support::tables::{Tables, begin};
use support::{assert_nothing_left, conninfo, witness};

/// Sessions that are handed their steps, on a pool of as many connections and the observer's.
fn handed(play: impl FnOnce(&mut Run<'_>, &Pool, &Leash) + Send) {
    let leash = Leash::lasting(Duration::from_secs(20));
    supervise(&mut Silent, &leash, |line| {
        let pool = Pool::start(Arc::new(conninfo()), 3, None, &leash);
        let mut observer = Observer::open(pool.get(&leash)?, None, &leash)?;
        let mut run = Run::new(&mut observer, line, &leash, Duration::from_secs(5));
        for name in ["a", "b"] {
            let session = run.add_handed(name, pool.get(&leash)?)?;
            run.hand(session, begin(60_000))?;
            assert_eq!(run.settle(session, false, soon())?, Settled::Done);
        }
        play(&mut run, &pool, &leash);
        run.stop();
        Ok(())
    })
    .unwrap();
    assert_nothing_left();
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn a_step_that_is_handed_in_and_lasts_is_carried_on_by_a_thread() {
    let tables = Tables::new("engine_handed", "");
    handed(|run, _, _| {
        let (a, b) = (SessionId(0), SessionId(1));
        let update = |name: &str| Step::statement(name, tables.sql("UPDATE @acct SET bal = bal + 1 WHERE id = 1"));
        run.hand(a, update("a1")).unwrap();
        assert_eq!(run.settle(a, true, soon()).unwrap(), Settled::Done);
        run.hand(b, update("b1")).unwrap();
        assert_eq!(run.settle(b, true, soon()).unwrap(), Settled::Waiting);
        run.hand(a, Step::commit()).unwrap();
        assert_eq!(run.settle(b, false, soon()).unwrap(), Settled::Done);
        assert_eq!(run.take_result(b).unwrap().rows(), Some(1));
        run.hand(b, Step::commit()).unwrap();
        assert_eq!(run.settle(b, false, soon()).unwrap(), Settled::Done);
        let record = run.record(Ending::Complete);
        assert!(record.sessions.iter().all(|session| session.outcome == SessionOutcome::Committed), "{record:#?}");
        let of_b: Vec<EventKind> =
            record.events.iter().filter(|event| event.step == "b1").map(|event| event.kind).collect();
        assert_eq!(of_b, [Request, Waiting, Acquired]);
    });
}

#[test]
fn a_session_that_is_dismissed_gives_its_connection_back_without_a_transaction() {
    let tables = Tables::new("engine_dismissed", "");
    handed(|run, pool, leash| {
        let (a, b) = (SessionId(0), SessionId(1));
        let update = |id: u32| Step::statement("", tables.sql(&format!("UPDATE @acct SET bal = 0 WHERE id = {id}")));
        run.hand(a, update(1)).unwrap();
        assert_eq!(run.settle(a, true, soon()).unwrap(), Settled::Done);
        run.hand(b, update(1)).unwrap();
        assert_eq!(run.settle(b, true, soon()).unwrap(), Settled::Waiting);
        // One that waits goes when it is through.
        run.dismiss(b);
        run.dismiss(a);
        for mut back in [pool.get(leash).unwrap(), pool.get(leash).unwrap()] {
            let state = back.ask("SELECT pg_current_xact_id_if_assigned()", "looking", leash).unwrap();
            assert_eq!(state.scalar(), None);
        }
    });
    let changed: i64 =
        witness().query_one(&tables.sql("SELECT count(*) FROM @acct WHERE bal = 0"), &[]).unwrap().get(0);
    assert_eq!(changed, 0);
}
