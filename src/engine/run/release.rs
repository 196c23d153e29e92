//! Releasing a session's next step.

use std::time::Instant;

use super::{Detail, FIRST_LOOK, IDLE_PACE, LATEST_FIRST_LOOK, Run};
use crate::engine::journal::event;
use crate::engine::member::{Member, Phase};
use crate::engine::schedule::Standing;
use crate::engine::session::{Permit, SessionId};
use crate::engine::step::StepKind;
use crate::report::{Event, EventKind, Statement};

impl Run<'_> {
    pub(crate) fn release(&mut self, SessionId(index): SessionId) {
        let others_wait = self.members.iter().any(Member::blockers_known);
        let Some(member) = self.members.get_mut(index) else { return };
        let Phase::AtGate(step) = std::mem::replace(&mut member.phase, Phase::Coming) else { return };
        let now = Instant::now();
        let at = self.journal.seconds(now);
        member.statements.push(Statement {
            sql: step.sql.clone(),
            step: step.name.clone(),
            requested: at,
            finished: None,
            waited: false,
            locks: Vec::new(),
            rows: None,
            sqlstate: None,
            source: step.source.clone(),
        });
        let begun = (step.kind == StepKind::Opening).then(|| Event {
            statement: Some("BEGIN".to_owned()),
            ..event(at, &member.name, member.backend_pid, EventKind::Begin, "BEGIN")
        });
        let asked = step.kind.is_statement().then(|| Event {
            statement: Some(step.sql.clone()),
            source: step.source.clone(),
            ..event(at, &member.name, member.backend_pid, EventKind::Request, &step.name)
        });
        member.checked = member.checked.map(|_| false);
        member.phase = Phase::Running { step, released: now, seen: None, behind: Vec::new() };
        self.look_soon(now);
        for told in begun.into_iter().chain(asked) {
            self.journal.record(told);
            if self.journal.is_halted() {
                return;
            }
        }
        if let Some(permits) = self.members.get(index).and_then(|member| member.permits.as_ref()) {
            // A session that is gone has said so, or will.
            let _ = permits.send(Permit { others_wait });
        }
    }

    /// A step has begun, or a wait may be over: the next look is when most steps that do not wait are through. But if nobody
    /// else can be released, whatever the server says, it has time where it would only be noted.
    pub(super) fn look_soon(&mut self, now: Instant) {
        self.looks = 0;
        let stands = |member: &Member| matches!(member.standing(), Standing::Waiting { .. } | Standing::Left);
        let is_last = self.members.iter().filter(|member| !stands(member)).count() <= 1;
        self.next_look = now
            + if is_last && self.detail == Detail::Nothing {
                IDLE_PACE
            } else {
                self.observer.usual_step().clamp(FIRST_LOOK, LATEST_FIRST_LOOK)
            };
    }
}
