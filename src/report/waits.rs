//! Who waits for whom at a moment of the story, and the cycles in it.

use super::{Edge, Event, EventKind, Report, cycle_through};

/// One session waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) waiter: String,
    pub(crate) holder: String,
    /// What is waited for, as the step is called.
    pub(crate) step: String,
    /// The lock, in PostgreSQL's words.
    pub(crate) lock: Option<String>,
    /// Whether it is part of a cycle that PostgreSQL broke.
    pub(crate) in_cycle: bool,
}

/// The waits of this moment, while events go by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Vec<Wait>);

impl Waits {
    /// Takes an event down.
    pub(crate) fn hear(&mut self, event: &Event) {
        self.0.retain(|wait| wait.waiter != event.session);
        if event.kind == EventKind::Waiting {
            self.0.extend(event.blocked_by.iter().map(|holder| Wait {
                waiter: event.session.clone(),
                holder: holder.clone(),
                step: event.step.clone(),
                lock: event.lock.clone(),
                in_cycle: false,
            }));
        }
    }

    /// The shortest cycle through that session, or nothing.
    pub(crate) fn cycle(&self, start: &str) -> Vec<String> {
        let mut names: Vec<&str> = vec![start];
        for name in self.0.iter().flat_map(|wait| [wait.waiter.as_str(), wait.holder.as_str()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let place = |name: &str| names.iter().position(|other| *other == name).and_then(|place| place.try_into().ok());
        let edges: Vec<Edge> = self
            .0
            .iter()
            .filter_map(|wait| Some(Edge { waiter: place(&wait.waiter)?, holder: place(&wait.holder)? }))
            .collect();
        let cycle = cycle_through(0, &edges);
        cycle
            .iter()
            .filter_map(|&place| names.get(usize::try_from(place).ok()?).map(|name| (*name).to_owned()))
            .collect()
    }
}

/// The wait-for graph of a report: as it was whenever PostgreSQL aborted a session; without a deadlock, every wait.
pub(crate) fn wait_for_graph(report: &Report) -> Vec<Wait> {
    let mut now = Waits::default();
    let mut graph: Vec<Wait> = Vec::new();
    for event in &report.events {
        let is_deadlock = event.sqlstate.as_deref() == Some("40P01");
        if is_deadlock {
            let mut cycle = now.cycle(&event.session);
            if cycle.is_empty() && report.cycle.first() == Some(&event.session) {
                cycle.clone_from(&report.cycle);
            }
            let next = |name: &String| cycle.iter().cycle().skip_while(|other| *other != name).nth(1);
            for wait in &now.0 {
                let in_cycle = cycle.contains(&wait.waiter) && next(&wait.waiter) == Some(&wait.holder);
                add(&mut graph, Wait { in_cycle, ..wait.clone() });
            }
        }
        now.hear(event);
        if !report.deadlocked() && event.kind == EventKind::Waiting {
            now.0.iter().filter(|wait| wait.waiter == event.session).for_each(|wait| add(&mut graph, wait.clone()));
        }
    }
    graph
}

fn add(graph: &mut Vec<Wait>, wait: Wait) {
    match graph.iter_mut().find(|known| known.waiter == wait.waiter && known.holder == wait.holder) {
        Some(known) => known.in_cycle |= wait.in_cycle,
        None => graph.push(wait),
    }
}
