//! A file's permutations, one after another.

use std::time::Duration;

use super::SpecOptions;
use super::permutation::run_permutation;
use super::report::{self, PermutationReport};
use super::slip;
use super::stage::{Stage, Stopped};
use super::transcript::Transcript;
use crate::connection::Facts;
use crate::engine::Ending;
use crate::engine::caller::Line;
use crate::error::Error;
use crate::scenario::spec::Permutation;

/// How often a permutation is run whose deadlock has another victim than it was to have.
const TRIES: u32 = 5;

/// The permutations, whom to tell of them, and what came of those that were run.
pub(super) struct Orders<'a> {
    pub(super) line: &'a Line,
    pub(super) facts: &'a Facts,
    pub(super) deadlock_timeout: Duration,
    /// Whether a deadlock is to have another victim now and then than it was to have.
    pub(super) may_slip: bool,
    pub(super) permutations: Vec<PermutationReport>,
    /// Why the file was given up, if it was.
    pub(super) failure: Option<String>,
}

impl Orders<'_> {
    /// Runs them, until one does not come to its end.
    pub(super) fn run(&mut self, stage: &mut Stage<'_, '_>, transcript: &mut Transcript) -> Result<(), Error> {
        for (number, order) in stage.spec.orders().enumerate() {
            if stage.options.only.as_ref().is_some_and(|only| !only.contains(&number)) {
                continue;
            }
            let (done, result) = self.until_as_it_is_to_be(stage, number, &order, transcript)?;
            let told = stage.options.tells_permutations.then(|| self.line.through(&done.report, &done.verdict()));
            self.permutations.push(done);
            if told.is_some_and(|told| told.is_err()) {
                return Err(Error::Halted);
            }
            self.failure = match result {
                Ok(()) => continue,
                Err(Stopped::GaveUp(why)) => Some(why),
                Err(Stopped::Error(Error::Timeout { .. })) => Some(timeout_ran_out(stage.options)),
                Err(Stopped::Error(error)) => return Err(error),
            };
            break;
        }
        Ok(())
    }

    /// Runs one order, again if its deadlock had another victim than it was to have; and whether it came to its end.
    fn until_as_it_is_to_be(
        &self,
        stage: &mut Stage<'_, '_>,
        number: usize,
        order: &Permutation,
        transcript: &mut Transcript,
    ) -> Result<(PermutationReport, Result<(), Stopped>), Error> {
        let mut tries = if self.may_slip { TRIES } else { 1 };
        loop {
            let mark = transcript.mark();
            let (done, result) = self.perform(stage, number, order, transcript)?;
            tries -= 1;
            let Some(slip) = slip::slip(&done.report, self.deadlock_timeout).filter(|_| tries > 0 && result.is_ok())
            else {
                return Ok((done, result));
            };
            transcript.cut(mark);
            stage.notes.push(slip.note(number + 1));
        }
    }

    /// Runs one order, and tells what came of it.
    fn perform(
        &self,
        stage: &mut Stage<'_, '_>,
        number: usize,
        order: &Permutation,
        transcript: &mut Transcript,
    ) -> Result<(PermutationReport, Result<(), Stopped>), Error> {
        if stage.options.tells_permutations {
            self.line.chapter(&order.to_string(), number + 1).map_err(|_| Error::Halted)?;
        }
        let result = run_permutation(stage, order, transcript);
        let ending = match &result {
            Ok(()) => Ending::Complete,
            Err(Stopped::GaveUp(_)) => Ending::GivenUp,
            Err(Stopped::Error(Error::Timeout { .. })) => {
                stage.run.call_off();
                Ending::Timeout
            }
            Err(Stopped::Error(_)) => Ending::Halted,
        };
        let record = stage.run.record(ending);
        let cancelled = std::mem::take(&mut stage.cancelled);
        let shows = stage.options.shows.get(number).copied();
        let done = report::permutation(number + 1, shows, order, record, cancelled, self.facts, self.deadlock_timeout);
        Ok((done, result))
    }
}

fn timeout_ran_out(options: &SpecOptions) -> String {
    format!("the timeout of {} s ran out", options.timeout.as_secs_f64())
}
