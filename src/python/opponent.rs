//! The opponent of `provoke_deadlock`, as Python calls it.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::gate::PyGate;
use super::report::PyReport;
use super::{arguments, errors};
use crate::connection::conninfo::{Conninfo, SystemEnvironment};
use crate::error::Error;
use crate::provoke::{Afterwards, Demand, Finding, Opponent, Progress, Provocation, Tally, verdict};

/// How long the calling thread waits at most before it looks for signals again.
const SLICE: Duration = Duration::from_millis(10);
/// How long an opponent that was dismissed has to end by itself; a frozen server must not hold the caller.
const PATIENCE: Duration = Duration::from_secs(2);

/// A SQL session that holds what the code under test will ask for.
#[pyclass(name = "Opponent", module = "django_lockstep._core", frozen)]
pub(super) struct PyOpponent {
    provocation: Provocation,
    state: Mutex<State>,
}

struct State {
    opponent: Option<Opponent>,
    tally: Option<Tally>,
}

#[pymethods]
impl PyOpponent {
    /// Connect, and lock what is to be held. ``holding`` and ``wanting`` are a name, a statement, and whether it must find
    /// rows.
    #[new]
    #[pyo3(signature = (dsn, holding, wanting, *, times, timeout, settings, deadlock_timeout))]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of a Python class")]
    fn new(
        py: Python<'_>,
        dsn: &str,
        holding: (String, String, bool),
        wanting: (String, String, bool),
        times: u32,
        timeout: &Bound<'_, PyAny>,
        settings: Vec<(String, String)>,
        deadlock_timeout: Option<(i32, Bound<'_, PyAny>)>,
    ) -> PyResult<Self> {
        let read = || -> Result<(Conninfo, Provocation), Error> {
            let timeout = arguments::duration("timeout", timeout)?;
            let deadlock_timeout = deadlock_timeout
                .map(|(pid, given)| arguments::duration("deadlock_timeout", &given).map(|timeout| (pid, timeout)))
                .transpose()?;
            let (holding, wanting) = (demand(holding), demand(wanting));
            let provocation = Provocation { holding, wanting, times, settings, timeout, deadlock_timeout };
            Ok((Conninfo::resolve(dsn, &SystemEnvironment)?, provocation))
        };
        let (conninfo, provocation) = read().map_err(|error| errors::to_python(py, &error))?;
        let started = Opponent::start(conninfo, provocation.clone());
        let mut opponent = started.map_err(|error| errors::to_python(py, &error))?;
        loop {
            match py.detach(|| opponent.progress(SLICE)) {
                Progress::Ready => break,
                Progress::Pending => {
                    if let Err(interrupted) = py.check_signals() {
                        py.detach(|| drop(opponent));
                        return Err(interrupted);
                    }
                }
                Progress::Over => {
                    let error = match py.detach(|| opponent.join()) {
                        Some(Err(error)) => error,
                        _ => Error::Bug { what: "an opponent that ended before it began".to_owned() },
                    };
                    return Err(errors::to_python(py, &error));
                }
            }
        }
        Ok(Self { provocation, state: Mutex::new(State { opponent: Some(opponent), tally: None }) })
    }

    /// Take in a connection of the code under test; ``None`` when the opponent is over.
    fn admit(&self, py: Python<'_>) -> PyResult<Option<PyGate>> {
        let Some(mut gate) = self.state().opponent.as_ref().map(Opponent::admit) else { return Ok(None) };
        loop {
            let coming = &mut gate;
            match py.detach(move || coming.recv_timeout(SLICE)) {
                Ok(gate) => return Ok(Some(gate.into())),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            }
        }
    }

    /// Have it let go of everything, and wait until its connections are closed. Signals are looked at. Safe to call again.
    fn dismiss(&self, py: Python<'_>) -> PyResult<()> {
        let Some(mut opponent) = self.state().opponent.take() else { return Ok(()) };
        opponent.dismiss();
        let deadline = Instant::now() + PATIENCE;
        let mut interrupted = None;
        while let Progress::Pending = py.detach(|| opponent.progress(SLICE)) {
            if let Err(signal) = py.check_signals() {
                interrupted.get_or_insert(signal);
            }
            if interrupted.is_some() || Instant::now() >= deadline {
                opponent.cut();
            }
        }
        let ended = py.detach(|| opponent.join());
        match (interrupted, ended) {
            (Some(signal), _) => Err(signal),
            // Nobody but we has ended it.
            (None, Some(Err(Error::Halted))) => {
                let doing = "the opponent stepped aside".to_owned();
                Err(errors::to_python(py, &Error::Timeout { doing }))
            }
            (None, Some(Err(error))) => Err(errors::to_python(py, &error)),
            (None, ended) => {
                self.state().tally = ended.transpose().ok().flatten();
                Ok(())
            }
        }
    }

    /// Return the report, how often the code was aborted with 40P01, how often it asked, and the names of the findings.
    /// ``raised`` is the exception that left the code, ``happened`` how often that had happened which must happen once.
    #[pyo3(signature = (raised, *, raised_deadlock, raised_aborted, happened))]
    fn verdict(
        &self,
        py: Python<'_>,
        raised: Option<String>,
        raised_deadlock: bool,
        raised_aborted: bool,
        happened: Option<i64>,
    ) -> PyResult<(PyReport, u32, u32, Vec<&'static str>)> {
        let tally = self.state().tally.clone();
        let tally = tally.ok_or_else(|| {
            errors::to_python(py, &Error::Bug { what: "a verdict on an opponent that is not over".to_owned() })
        })?;
        let (deadlocks, attempts) = (tally.deadlocks, tally.attempts);
        let (findings, report) =
            verdict(&self.provocation, tally, &Afterwards { raised, raised_deadlock, raised_aborted, happened });
        Ok((report.into(), deadlocks, attempts, findings.into_iter().map(Finding::as_str).collect()))
    }
}

impl PyOpponent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn demand((name, sql, rows): (String, String, bool)) -> Demand {
    Demand { name, sql, rows }
}
