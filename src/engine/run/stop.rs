//! Ending a run early.

use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use crate::connection::{CancelHandle, Leash, cancel_all};
use crate::engine::handed::Handed;
use crate::engine::journal::event;
use crate::engine::member::{Member, Phase};
use crate::engine::observer::Signal;
use crate::report::EventKind;

/// How long sessions that are being stopped have to end by themselves before they are cut off.
const STOP_PATIENCE: Duration = Duration::from_millis(150);
/// A cancel request is racy, so it is sent again this often.
const CANCEL_AGAIN: Duration = Duration::from_millis(10);

impl<'a> Run<'a> {
    /// Ends whatever still goes on: closes the gates, cancels what runs, and in the end cuts off what does not answer.
    pub fn stop(&mut self) {
        for member in &mut self.members {
            member.permits = None;
        }
        self.dismiss_all();
        self.cancel_until(|run| run.board().is_over());
        for member in &self.members {
            if let Some(driver) = &member.driver
                && !matches!(member.phase, Phase::Left)
            {
                driver.leash.cut();
            }
        }
        self.signal_foreign(Signal::Terminate, |member| match member.phase {
            Phase::Left => Vec::new(),
            _ => member.backends.clone(),
        });
        // The last words of those that were cut off.
        while !self.board().is_over() {
            match self.inbox.recv_timeout(STOP_PATIENCE) {
                Ok(message) => self.hear(message),
                Err(_) => break,
            }
        }
    }

    /// Lets go of every session that is handed its steps; of all at once, for each may have to roll back on a server that does
    /// not answer.
    fn dismiss_all(&mut self) {
        let mut handed: Vec<Handed> = self.members.iter_mut().filter_map(|member| member.handed.take()).collect();
        let last = handed.pop();
        thread::scope(|scope| {
            for one in handed {
                // Where there is no thread to be had, it is dropped here.
                let _ = thread::Builder::new().spawn_scoped(scope, move || drop(one));
            }
            drop(last);
        });
    }

    /// Cancels whatever still goes on. The sessions stay, and can take more steps under [`Run::go_on_under`].
    pub fn call_off(&mut self) {
        self.cancel_until(|run| !run.members.iter().any(|member| matches!(member.phase, Phase::Running { .. })));
    }

    /// Lets the sessions take steps under another leash when the run's own has ended. The caller is told of nothing more.
    pub fn go_on_under(&mut self, leash: &'a Leash) {
        self.leash = leash;
        self.journal.close_to_caller();
    }

    /// Cancels what runs, again and again, until `is_done`, but not for long.
    fn cancel_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + STOP_PATIENCE;
        for index in 0..self.members.len() {
            let seconds = self.journal.seconds(Instant::now());
            let member = &mut self.members[index];
            member.cancelled = !matches!(member.phase, Phase::Left);
            if let Phase::Running { step, .. } = &member.phase {
                let cancel = event(seconds, &member.name, member.backend_pid, EventKind::Cancel, &step.name);
                self.journal.record(cancel);
            }
        }
        while !is_done(self) && Instant::now() < deadline {
            let running: Vec<CancelHandle> = self
                .members
                .iter()
                .filter(|member| matches!(member.phase, Phase::Running { .. }))
                .filter_map(|member| member.driver.as_ref()?.cancel.clone())
                .collect();
            if !running.is_empty() {
                cancel_all(&running, deadline.saturating_duration_since(Instant::now()));
            }
            self.signal_foreign(Signal::Cancel, |member| member.running_pid().into_iter().collect());
            let again = Instant::now() + CANCEL_AGAIN;
            while !is_done(self) {
                match self.inbox.recv_timeout(again.saturating_duration_since(Instant::now())) {
                    Ok(message) => self.hear(message),
                    Err(_) => break,
                }
            }
        }
    }

    /// Has the observer signal backends of sessions whose connections are not ours.
    fn signal_foreign(&mut self, signal: Signal, of: impl Fn(&Member) -> Vec<i32>) {
        let foreign = |member: &&Member| member.driver.as_ref().is_some_and(|driver| driver.cancel.is_none());
        let pids: Vec<i32> = self.members.iter().filter(foreign).flat_map(of).collect();
        if !pids.is_empty() {
            self.observer.signal(signal, &pids, &Leash::lasting(STOP_PATIENCE));
        }
    }
}
