//! Hearing what sessions say.

use std::time::{Duration, Instant};

use super::{Detail, Run};
use crate::engine::journal::event;
use crate::engine::member::{Member, Phase};
use crate::engine::record::edges_of;
use crate::engine::session::{Message, SessionId};
use crate::engine::step::{Step, StepKind, StepResult};
use crate::report::{Edge, Event, EventKind};

/// A session that got its lock is not told of before the session that let go of it, if that is heard of within this time, …
const CAUSE_PATIENCE: Duration = Duration::from_millis(250);
/// … during which the server is asked this often whether that one waits itself, and so cannot be it.
const CAUSE_PACE: Duration = Duration::from_millis(5);

impl Run<'_> {
    pub(super) fn hear(&mut self, message: Message) {
        if self.telling.contains(&message.session().0) {
            self.held_back.push(message);
            return;
        }
        self.disturb();
        match message {
            Message::Arrived { session: SessionId(index), step } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.phase = Phase::AtGate(step);
                }
            }
            Message::Finished { session: SessionId(index), result, backend_pid, at } => {
                self.telling.push(index);
                self.hear_the_cause(index, &result);
                self.telling.retain(|&telling| telling != index);
                self.finish(index, &result, backend_pid, at);
                let (said_since, of_others): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.held_back).into_iter().partition(|said| said.session().0 == index);
                self.held_back = of_others;
                for said in said_since {
                    self.hear(said);
                }
            }
            Message::Located { session: SessionId(index), backend_pid } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.move_to(backend_pid);
                }
            }
            Message::Checked { session: SessionId(index), whether } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.checked = Some(whether);
                }
            }
            Message::Isolated { session: SessionId(index), level } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.isolation = Some(level);
                }
            }
            Message::Aside { session: SessionId(index), aside } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.asides.push_back(aside);
                }
            }
            Message::Left { session: SessionId(index), end } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.end = end;
                    member.phase = Phase::Left;
                }
            }
        }
    }

    /// The server lets go of a failed session's locks before it says so: what another session got thereby may be heard
    /// first. Cause before effect. (A wait that was over before it was seen has no known cause.)
    fn hear_the_cause(&mut self, index: usize, result: &StepResult) {
        if !matches!(result, StepResult::Done(_)) {
            return;
        }
        let blockers = self.causes(index);
        let deadline = Instant::now() + CAUSE_PATIENCE;
        loop {
            let running = self.members.iter().filter_map(Member::running_pid);
            let suspects: Vec<i32> = running.filter(|pid| blockers.contains(pid)).collect();
            if suspects.is_empty() || Instant::now() >= deadline {
                return;
            }
            match self.inbox.recv_timeout(CAUSE_PACE) {
                Ok(message) => self.hear(message),
                // An observer that cannot answer is told of by the next look.
                Err(_) => match self.observer.waits(&suspects, self.leash) {
                    Ok(waits) if waits.len() < suspects.len() => {}
                    _ => return,
                },
            }
        }
    }

    /// The backends that may have let go of what a session has got: those that it waited for; and if nobody has looked, the
    /// waits for it, one of which may have been ended for its sake.
    fn causes(&self, index: usize) -> Vec<i32> {
        let Some(member) = self.members.get(index) else { return Vec::new() };
        if self.detail != Detail::Nothing || !member.blockers().is_empty() {
            return member.blockers().to_vec();
        }
        let waits_for_it = |other: &&Member| other.blockers().iter().any(|pid| member.owns(*pid));
        self.members.iter().filter(waits_for_it).filter_map(Member::running_pid).collect()
    }

    fn finish(&mut self, index: usize, result: &StepResult, backend_pid: Option<i32>, at: Instant) {
        let seconds = self.journal.seconds(at);
        if result.error().is_some_and(|error| error.sqlstate == "40P01") && self.edges_at_deadlock.is_none() {
            self.edges_at_deadlock = Some(self.edges());
        }
        self.tell_unseen_waits(result, seconds);
        let Some(member) = self.members.get_mut(index) else { return };
        if backend_pid.is_some() {
            member.move_to(backend_pid);
        }
        member.finished = Some(at);
        member.coming_since = Instant::now();
        let Phase::Running { step, released, seen, .. } = std::mem::replace(&mut member.phase, Phase::Coming) else {
            return;
        };
        if seen.is_none() {
            self.observer.note_step(at.saturating_duration_since(released));
        }
        member.conclude(step.kind, result, seconds);
        member.result = Some(result.clone());
        let told = tell(member, &step, result, seconds);
        let backends = member.backends.clone();
        // Whoever has got what it asked for, and holds all that it held, is in the others' way as before.
        if !(step.keeps && matches!(result, StepResult::Done(_))) {
            for other in &mut self.members {
                other.doubt_wait_for(&backends);
            }
        }
        if self.members.iter().any(Member::is_undecided) {
            self.look_soon(Instant::now());
        }
        self.journal.record(told);
    }

    /// Whoever is in the server's account of a 40P01 has waited. With a short `deadlock_timeout` that is over before the
    /// observer looks; then the account itself tells for whom.
    fn tell_unseen_waits(&mut self, result: &StepResult, seconds: f64) {
        let Some(error) = result.error().filter(|error| error.sqlstate == "40P01") else { return };
        let edges = edges_of(error.detail.as_deref().unwrap_or_default());
        for index in 0..self.members.len() {
            let Some(pid) = self.members.get(index).and_then(Member::waits_unseen) else { continue };
            let holders: Vec<i32> = edges.iter().filter(|edge| edge.waiter == pid).map(|edge| edge.holder).collect();
            if !holders.is_empty() {
                self.tell_waiting(index, &holders, None, seconds);
            }
        }
    }

    fn edges(&self) -> Vec<Edge> {
        let waiting = self.members.iter().filter_map(|member| Some((member.backend_pid?, member.blockers())));
        waiting.flat_map(|(waiter, holders)| holders.iter().map(move |&holder| Edge { waiter, holder })).collect()
    }
}

/// The event of a step's end.
fn tell(member: &Member, step: &Step, result: &StepResult, seconds: f64) -> Event {
    let kind = match (result, step.kind) {
        (StepResult::Failed(_) | StepResult::Lost { .. }, _) => EventKind::Error,
        (_, StepKind::Begin) => EventKind::Begin,
        (_, StepKind::Opening | StepKind::Statement | StepKind::Alone) => EventKind::Acquired,
        (_, StepKind::Commit) => EventKind::Commit,
        (_, StepKind::Rollback) => EventKind::Rollback,
    };
    let lost = match result {
        StepResult::Lost { why, .. } => Some(why.clone()),
        _ => None,
    };
    Event {
        statement: Some(step.sql.clone()),
        source: step.source.clone(),
        sqlstate: result.sqlstate(),
        message: result.error().map(|error| error.message.clone()).or(lost),
        rows: result.rows(),
        ..event(seconds, &member.name, member.backend_pid, kind, &step.name)
    }
}
