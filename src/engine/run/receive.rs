//! Waiting for what sessions say: for the messages of those who are somewhere else, and for the sockets of those whose steps
//! are looked after here.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Run;
use crate::connection::Broken;
use crate::engine::handed::Handed;
use crate::engine::member::{Member, Phase};
use crate::engine::session::Message;
use crate::engine::step::StepKind;
use crate::error::Error;

impl Run<'_> {
    /// What is said next, if that is within `patience`.
    pub(super) fn receive(&mut self, patience: Duration) -> Option<Message> {
        let until = Instant::now() + patience;
        loop {
            if let Ok(message) = self.inbox.try_recv() {
                return Some(message);
            }
            let patience = until.saturating_duration_since(Instant::now());
            if self.line.wants_events() || self.members.iter().any(is_elsewhere) {
                for member in &mut self.members {
                    carry_on(member);
                }
                return self.inbox.recv_timeout(patience).ok();
            }
            let handed = self.members.iter_mut().filter_map(|member| member.handed.as_mut());
            let mut here: Vec<&mut Handed> = handed.filter(|handed| handed.is_here()).collect();
            if here.is_empty() {
                return self.inbox.recv_timeout(patience).ok();
            }
            if !Handed::look_after(&mut here, patience) {
                return None;
            }
        }
    }

    /// Sends a session's released step, where nobody stands at its gate.
    pub(super) fn begin(&mut self, index: usize, kind: StepKind, sql: &str) {
        let Some(member) = self.members.get_mut(index) else { return };
        if let Some(handed) = &mut member.handed {
            let started = handed.begin(kind, sql);
            keep(member, started);
        }
    }
}

/// Whether something may be heard of a session at any time, but not on a socket that can be waited for here.
fn is_elsewhere(member: &Member) -> bool {
    match (&member.handed, &member.phase) {
        (Some(handed), Phase::Running { .. }) => !handed.is_here(),
        (Some(_), _) | (None, Phase::Left) => false,
        (None, _) => true,
    }
}

/// Has the session's own thread look after its step.
fn carry_on(member: &mut Member) {
    if let Some(handed) = &mut member.handed {
        let started = handed.carry_on();
        keep(member, started);
    }
}

/// Keeps the thread that has been started. Without one the step cannot go on.
fn keep(member: &mut Member, started: Result<Option<JoinHandle<()>>, Error>) {
    match started {
        Ok(Some(thread)) => {
            if let Some(driver) = &mut member.driver {
                driver.thread = Some(thread);
            }
        }
        Ok(None) => {}
        Err(error) => {
            if let Some(handed) = &mut member.handed {
                handed.break_off(Broken::Lost { why: error.to_string(), last_words: None });
            }
        }
    }
}
