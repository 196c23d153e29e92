//! What the ways to search have in common.

use super::trace::{Event, Trace};

/// A choice: some sessions stand at their gates.
#[derive(Clone, Debug)]
pub(crate) struct Point<'a> {
    /// How many steps were released before.
    pub(crate) depth: usize,
    /// Who stands at a gate, in order; at least one does.
    pub(crate) enabled: &'a [usize],
    /// Whose step was released last.
    pub(crate) last: Option<usize>,
}

impl Point<'_> {
    /// Who goes on when nothing speaks against it: the session that ran last, else the first.
    pub(crate) fn natural(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let last = self.last.filter(|last| self.enabled.contains(last) && may(*last));
        last.or_else(|| self.enabled.iter().copied().find(|&session| may(session)))
    }

    /// Whether releasing this session's step interrupts another session.
    pub(crate) fn preempts(&self, session: usize) -> bool {
        self.last.is_some_and(|last| last != session && self.enabled.contains(&last))
    }
}

/// Decides which schedules are run.
pub(crate) trait Strategy: Send {
    /// Whether there is another schedule to run; it begins now.
    fn begin(&mut self) -> bool;
    /// The schedule that has begun begins again: what was learnt of this run is forgotten.
    fn again(&mut self);
    /// Whose step is released next.
    fn choose(&mut self, point: &Point<'_>, so_far: &Trace) -> usize;
    /// What came of it.
    fn observe(&mut self, event: &Event);
    /// The schedule has come to its end.
    fn end(&mut self, trace: &Trace);
    /// Whether, when `begin` has said no, every inequivalent schedule was run.
    fn is_complete(&self) -> bool;
}
