//! The thread that called us, and how it stays in charge while a run goes on.
//!
//! The work is done on a thread of its own, the *conductor*. The calling thread meanwhile looks every few milliseconds
//! whether it should stop (Python's signals), and hands each event to the caller's callback: never from a worker, and
//! the conductor waits until the callback has returned, so what the callback does happens *between* two steps.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::Leash;
use crate::error::Error;
use crate::report::{Event, Report, Server};

/// How long the calling thread waits at most before it looks for signals again.
const SLICE: Duration = Duration::from_millis(10);

/// The caller wants the call to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt;

/// A backend of the calling process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBackend {
    /// Its process.
    pub pid: i32,
    /// Whether it is the calling thread's: then it cannot let go of anything before the call returns.
    pub calling: bool,
    /// `file:line` of where the code of its thread is.
    pub place: Option<String>,
}

/// What the threads of the calling process are at, seen in one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// For each session, where its code waits for another thread without any limit; `None` where it does not.
    pub held_up: Vec<Option<String>>,
    /// Whether a thread that is no session's may do something by itself.
    pub acting: bool,
    /// The backends that threads which are no session's have statements on: unless these wait for a lock, such a thread may
    /// do something as well.
    pub asking: Vec<OwnBackend>,
}

/// Who called. Every method runs in the calling thread.
pub trait Caller {
    /// The server is known and everything is prepared; the first session is about to begin.
    fn start(&mut self, _: &Server) -> Result<(), Halt> {
        Ok(())
    }
    /// A part of the run begins: its title, and its number from 1.
    fn chapter(&mut self, _title: &str, _number: usize) -> Result<(), Halt> {
        Ok(())
    }
    /// A part of the run is through: what happened, and its verdict in a line.
    fn through(&mut self, _report: &Report, _verdict: &str) -> Result<(), Halt> {
        Ok(())
    }
    /// Whether [`Caller::event`] and [`Caller::through`] are of any use.
    fn wants_events(&self) -> bool;
    /// Something happened.
    fn event(&mut self, event: &Event) -> Result<(), Halt>;
    /// One of many runs is through.
    fn report(&mut self, _: Report) -> Result<(), Halt> {
        Ok(())
    }
    /// A few milliseconds have passed: is there a signal?
    fn poll(&mut self) -> Result<(), Halt>;
    /// A run is about to be ended before its sessions have: their gates close next.
    fn stopping(&mut self) {}
    /// A sentence about the run that belongs to no event: what takes so long, for example.
    fn note(&mut self, _sentence: &str) -> Result<(), Halt> {
        Ok(())
    }
    /// The call ends early, and this could not be removed from the server. Told also to who wants the call to end.
    fn left(&mut self, _what: &str) {}
    /// The backends of the connections that the calling process itself has open, so that a wait for them is not waited out.
    fn own_backends(&mut self) -> Vec<OwnBackend>;
    /// What the threads of the calling process are at; `None` where that cannot be told.
    fn threads(&mut self) -> Option<Threads> {
        None
    }
}

/// A caller that listens to nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Caller for Silent {
    fn wants_events(&self) -> bool {
        false
    }
    fn event(&mut self, _: &Event) -> Result<(), Halt> {
        Ok(())
    }
    fn poll(&mut self) -> Result<(), Halt> {
        Ok(())
    }
    fn own_backends(&mut self) -> Vec<OwnBackend> {
        Vec::new()
    }
}

enum Call {
    Start(Box<Server>),
    Chapter { title: String, number: usize },
    Event(Box<Event>),
    Report(Box<Report>),
    Through { report: Box<Report>, verdict: String },
    OwnBackends,
    Threads,
    Stopping,
    Left(String),
    Note(String),
}

enum Answer {
    GoOn,
    Halt,
    Backends(Vec<OwnBackend>),
    Threads(Option<Threads>),
}

impl From<Result<(), Halt>> for Answer {
    fn from(seen: Result<(), Halt>) -> Self {
        seen.map_or(Self::Halt, |()| Self::GoOn)
    }
}

/// A conductor's line to the calling thread.
pub struct Line {
    calls: Sender<(Call, Sender<Answer>)>,
    replies: Sender<Answer>,
    answers: Receiver<Answer>,
    wants_events: bool,
    /// A report is on its way whose answer nobody has waited for yet.
    reporting: Cell<bool>,
}

impl Line {
    /// A line to nobody, for a run that goes on beside its caller.
    #[must_use]
    pub fn to_nobody() -> Self {
        let (calls, _) = channel();
        Self::new(calls, false)
    }

    fn new(calls: Sender<(Call, Sender<Answer>)>, wants_events: bool) -> Self {
        let (replies, answers) = channel();
        Self { calls, replies, answers, wants_events, reporting: Cell::new(false) }
    }

    /// A line for another thread.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.calls.clone(), self.wants_events)
    }

    /// Hands the report of one of many runs to the caller. Waits until it has seen the *previous* one: the next run goes
    /// on meanwhile, and no queue grows.
    pub fn report(&self, report: Report) -> Result<(), Halt> {
        let seen = self.seen_report();
        if self.calls.send((Call::Report(Box::new(report)), self.replies.clone())).is_ok() {
            self.reporting.set(true);
        }
        seen
    }

    /// Waits until the caller has seen the last report.
    pub fn seen_report(&self) -> Result<(), Halt> {
        if !self.reporting.replace(false) {
            return Ok(());
        }
        match self.answers.recv() {
            Ok(Answer::Halt) => Err(Halt),
            _ => Ok(()),
        }
    }

    /// Tells the caller where the run takes place, and waits until it has seen it.
    pub fn start(&self, server: &Server) -> Result<(), Halt> {
        match self.ask(Call::Start(Box::new(server.clone()))) {
            Some(Answer::Halt) => Err(Halt),
            _ => Ok(()),
        }
    }

    /// Tells the caller that a part of the run begins, and waits until it has seen it.
    pub fn chapter(&self, title: &str, number: usize) -> Result<(), Halt> {
        match self.ask(Call::Chapter { title: title.to_owned(), number }) {
            Some(Answer::Halt) => Err(Halt),
            _ => Ok(()),
        }
    }

    /// Hands an event to the caller and waits until it has seen it.
    pub fn event(&self, event: &Event) -> Result<(), Halt> {
        if !self.wants_events {
            return Ok(());
        }
        match self.ask(Call::Event(Box::new(event.clone()))) {
            Some(Answer::Halt) => Err(Halt),
            _ => Ok(()),
        }
    }

    /// Hands the report of a part that is through to the caller and waits until it has seen it.
    pub fn through(&self, report: &Report, verdict: &str) -> Result<(), Halt> {
        if !self.wants_events {
            return Ok(());
        }
        match self.ask(Call::Through { report: Box::new(report.clone()), verdict: verdict.to_owned() }) {
            Some(Answer::Halt) => Err(Halt),
            _ => Ok(()),
        }
    }

    /// The backends of the calling process's own connections.
    #[must_use]
    pub fn own_backends(&self) -> Vec<OwnBackend> {
        match self.ask(Call::OwnBackends) {
            Some(Answer::Backends(pids)) => pids,
            _ => Vec::new(),
        }
    }

    /// What the calling process's threads are at.
    #[must_use]
    pub fn threads(&self) -> Option<Threads> {
        match self.ask(Call::Threads) {
            Some(Answer::Threads(threads)) => threads,
            _ => None,
        }
    }

    /// Tells the caller that the sessions' gates are about to be closed.
    pub fn stopping(&self) {
        self.ask(Call::Stopping);
    }

    /// Tells the caller a sentence about the run, and waits until it has seen it. Should it want the run to end, the leash says
    /// so.
    pub fn note(&self, sentence: &str) {
        self.ask(Call::Note(sentence.to_owned()));
    }

    /// Tells the caller what is left on the server, although the call ends.
    pub fn left(&self, what: &str) {
        self.ask(Call::Left(what.to_owned()));
    }

    fn ask(&self, call: Call) -> Option<Answer> {
        if self.seen_report().is_err() {
            return Some(Answer::Halt);
        }
        self.calls.send((call, self.replies.clone())).ok()?;
        self.answers.recv().ok()
    }
}

/// Runs `work` on a thread of its own while the calling thread looks after `caller`. When the caller wants to stop,
/// `leash` is cut; `work` then ends and cleans up. Returns only when that thread has ended.
pub fn supervise<T: Send>(
    caller: &mut dyn Caller,
    leash: &Leash,
    work: impl FnOnce(&Line) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let (calls, inbox) = channel();
    let line = Line::new(calls, caller.wants_events());
    thread::scope(|scope| {
        let conductor = thread::Builder::new()
            .name("lockstep".to_owned())
            .spawn_scoped(scope, move || work(&line))
            .map_err(|error| Error::Bug { what: format!("no thread for the run: {error}") })?;
        let mut halted = false;
        let mut polled = Instant::now();
        loop {
            match inbox.recv_timeout(SLICE) {
                Ok((call, replies)) => {
                    let answer = match call {
                        Call::OwnBackends => Answer::Backends(caller.own_backends()),
                        Call::Threads => Answer::Threads(caller.threads()),
                        Call::Stopping => {
                            caller.stopping();
                            Answer::GoOn
                        }
                        Call::Left(what) => {
                            caller.left(&what);
                            Answer::GoOn
                        }
                        _ if halted => Answer::Halt,
                        Call::Note(sentence) => Answer::from(caller.note(&sentence)),
                        Call::Start(server) => Answer::from(caller.start(&server)),
                        Call::Chapter { title, number } => Answer::from(caller.chapter(&title, number)),
                        Call::Event(event) => Answer::from(caller.event(&event)),
                        Call::Report(report) => Answer::from(caller.report(*report)),
                        Call::Through { report, verdict } => Answer::from(caller.through(&report, &verdict)),
                    };
                    halted = halted || matches!(answer, Answer::Halt);
                    let _ = replies.send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // However fast the calls come, there may be a signal.
            if polled.elapsed() >= SLICE {
                halted = halted || caller.poll().is_err();
                polled = Instant::now();
            }
            if halted {
                leash.cut();
            }
        }
        // A panic of the conductor is ours; it must not be swallowed.
        let result = conductor.join().unwrap_or_else(|panic| resume_unwind(panic));
        if halted { Err(Error::Halted) } else { result }
    })
}
