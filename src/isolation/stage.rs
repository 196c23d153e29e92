//! What permutations play on: the sessions, the control connection, and what is known of them.

use std::time::{Duration, Instant};

use super::SpecOptions;
use super::transcript::{Transcript, message};
use crate::connection::{Aside, Broken, Leash, cancel_all};
use crate::engine::caller::Line;
use crate::engine::run::Run;
use crate::engine::{SessionId, Settled, Step, StepKind, StepResult};
use crate::error::Error;
use crate::scenario::spec::Spec;
use crate::scenario::sql::{End, begins_transaction, end_of_transaction, is_empty};

/// What libpq says when something is to be sent on a connection that has ended.
pub(super) const NO_CONNECTION: &str = "no connection to the server\n";

/// What a permutation plays on.
pub(super) struct Stage<'s, 'r> {
    pub(super) run: &'s mut Run<'r>,
    pub(super) spec: &'s Spec,
    pub(super) pids: &'s [i32],
    pub(super) options: &'s SpecOptions,
    pub(super) leash: &'s Leash,
    /// How long a step that waits for a lock is left to it before the next one is launched.
    pub(super) patience: Duration,
    /// Whom to tell what takes so long.
    pub(super) line: &'s Line,
    /// The steps of which it was told that they take long.
    pub(super) patient_with: Vec<String>,
    /// The sessions whose last step has failed.
    pub(super) failed: Vec<SessionId>,
    /// The steps that took too long and were cancelled.
    pub(super) cancelled: Vec<String>,
    /// The sessions whose connection has ended.
    pub(super) lost: Vec<SessionId>,
    /// What of the spec is there on the server; `None` before its setup and after its teardown.
    pub(super) made: Option<Made>,
    /// What is to be known about the run besides its steps.
    pub(super) notes: Vec<String>,
    /// What may be left on the server, and why.
    pub(super) left: Vec<String>,
}

/// How far a permutation has come with what is before its steps, and after them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Made {
    /// How many setup blocks are through.
    pub(super) setups: usize,
    /// A setup block was cancelled: whether it did anything is not known.
    pub(super) is_unsure: bool,
    /// How many sessions' teardowns are through.
    pub(super) teardowns: usize,
    /// Whether the next one's has been handed to it; it may be through as well.
    pub(super) is_tearing_down: bool,
}

/// After this time with something that goes on, the caller is told what is waited for.
pub(super) const QUIET: Duration = Duration::from_secs(2);
/// How long the control connection is listened to before it is looked whether the call is to end.
const SLICE: Duration = Duration::from_millis(20);
/// How much longer a setup or teardown that has begun may go on when the call is to end: by half it had better not be done.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long asking for its cancellation may take.
const CANCELLING: Duration = Duration::from_secs(1);

/// Why a permutation did not come to its end.
pub(super) enum Stopped {
    /// The file is given up; the transcript says why, and so does this.
    GaveUp(String),
    /// The call ends.
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Why the control connection did not run something.
pub(super) enum Failed {
    /// The server refused; the transcript has it.
    Told(String),
    Error(Error),
}

impl Failed {
    pub(super) fn fatal(self) -> Stopped {
        match self {
            Self::Told(why) => Stopped::GaveUp(why),
            Self::Error(error) => Stopped::Error(error),
        }
    }
}

impl Stage<'_, '_> {
    /// Runs setup or teardown on the control connection; only the last result is printed.
    pub(super) fn control(&mut self, sql: &str, what: &str, transcript: &mut Transcript) -> Result<(), Failed> {
        if self.leash.is_cut() {
            return Err(Failed::Error(Error::Halted));
        }
        let start = Instant::now();
        let backend = self.run.observer().backend();
        let cancel = backend.cancel_handle();
        backend.begin(sql);
        let mut reply = None;
        while reply.is_none() && start.elapsed() < QUIET && !self.leash.is_cut() && !self.leash.is_over() {
            reply = backend.await_briefly(SLICE);
        }
        if reply.is_none() && start.elapsed() >= QUIET {
            let seconds = self.options.timeout.as_secs_f64();
            self.line.note(&format!(
                "The {what} has not ended; it is given up with the whole run, when that has lasted {seconds} s."
            ));
        }
        let reply = reply.unwrap_or_else(|| self.run.observer().backend().finish(&self.leash.patient(PATIENCE)));
        let reply = match reply {
            Ok(reply) => reply,
            Err(Broken::Lost { why, .. }) => {
                transcript.line(format_args!("{what} failed: {why}"));
                return Err(Failed::Told(format!("{what} failed: {why}")));
            }
            Err(broken) => {
                // Without its client, the server would go on with it.
                cancel_all(&[cancel], CANCELLING);
                if let Some(made) = &mut self.made {
                    made.is_unsure = true;
                }
                return Err(Failed::Error(broken.while_doing("running the control connection")));
            }
        };
        if let Some(error) = &reply.error {
            let told = format!("{what} failed: {}", message(error, Some(sql)));
            transcript.line(format_args!("{}", told.trim_end_matches('\n')));
            return Err(Failed::Told(told));
        }
        if is_empty(sql) {
            transcript.unfinished(format_args!("{what} failed: "));
            return Err(Failed::Told(format!("{what} failed: it is empty")));
        }
        transcript.tables(reply.results.last().map_or(&[], std::slice::from_ref));
        Ok(())
    }

    /// Runs the sessions' own setup or teardown, in order.
    pub(super) fn each_session(&mut self, what: &str, transcript: &mut Transcript) -> Result<(), Stopped> {
        for (index, session) in self.spec.sessions.iter().enumerate() {
            if let Some(made) = self.made.as_mut().filter(|_| what == "teardown") {
                (made.teardowns, made.is_tearing_down) = (index, false);
            }
            let sql = if what == "setup" { &session.setup } else { &session.teardown };
            let Some(sql) = sql else { continue };
            let id = SessionId(index);
            if self.lost.contains(&id) {
                let told = format!("{what} of session {} failed: {NO_CONNECTION}", session.name);
                transcript.line(format_args!("{}", told.trim_end_matches('\n')));
                if what == "setup" {
                    return Err(Stopped::GaveUp(told));
                }
                continue;
            }
            self.send(id, what, sql)?;
            if let Some(made) = self.made.as_mut() {
                made.is_tearing_down = what == "teardown";
            }
            let (start, limit) = (Instant::now(), self.options.step_timeout * 2);
            if limit > QUIET && self.run.settle(id, false, start + QUIET)? == Settled::Neither {
                let seconds = limit.as_secs_f64();
                self.line.note(&format!(
                    "The {what} of session {} has not ended; it is given up when it has lasted {seconds} s.",
                    session.name
                ));
            }
            self.run.settle(id, false, start + limit)?;
            // A notification that comes now is told with the session's next step.
            let asides = self.run.take_asides(id);
            let unheard = asides.into_iter().filter(|aside| {
                !transcript.notice(&session.name, aside, Some(sql)) && !matches!(aside, Aside::Before(_))
            });
            self.run.put_back_asides(id, unheard.collect());
            let failed = match self.run.take_result(id) {
                Some(StepResult::Done(_)) if is_empty(sql) => {
                    let told = format!("{what} of session {} failed: ", session.name);
                    transcript.unfinished(format_args!("{told}"));
                    let told = format!("{told}it is empty");
                    if what == "setup" {
                        return Err(Stopped::GaveUp(told));
                    }
                    self.note_what_stays(&told);
                    continue;
                }
                Some(StepResult::Done(results)) => {
                    transcript.tables(results.last().map_or(&[], std::slice::from_ref));
                    continue;
                }
                Some(StepResult::Failed(error)) => message(&error, Some(sql)),
                Some(StepResult::Lost { last_words, why }) => last_words.map_or(why, |error| message(&error, None)),
                None => "it did not end".to_owned(),
            };
            let told = format!("{what} of session {} failed: {failed}", session.name);
            transcript.line(format_args!("{}", told.trim_end_matches('\n')));
            if what == "setup" {
                return Err(Stopped::GaveUp(told));
            }
            self.note_what_stays(&told);
        }
        if let Some(made) = self.made.as_mut().filter(|_| what == "teardown") {
            (made.teardowns, made.is_tearing_down) = (self.spec.sessions.len(), false);
        }
        Ok(())
    }

    /// Notes that a teardown has failed.
    pub(super) fn note_what_stays(&mut self, told: &str) {
        let told = told.lines().next().unwrap_or_default().trim_end_matches('.');
        let note = format!("The {told}. What it was to remove may be left.");
        if !self.left.contains(&note) {
            self.left.push(note);
        }
    }

    pub(super) fn send(&mut self, session: SessionId, name: &str, sql: &str) -> Result<(), Error> {
        let kind = match end_of_transaction(sql) {
            // After an error, COMMIT does the same.
            Some(_) if self.failed.contains(&session) => StepKind::Rollback,
            Some(End::Commit) => StepKind::Commit,
            Some(End::Rollback) => StepKind::Rollback,
            None if begins_transaction(sql) => StepKind::Begin,
            None => StepKind::Statement,
        };
        self.run.hand(session, Step { kind, ..Step::statement(name, sql) })
    }
}
