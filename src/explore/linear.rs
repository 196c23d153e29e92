//! The same trace in another order: with the fewest preemptions; one session after the other, where that is possible.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::trace::Trace;

/// A trace has too many orders to look at when it would take more states than these; it is then left as it is.
const MOST_STATES: usize = 50_000;

/// An order of events, and how often it takes the turn from a session that could have gone on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Whose steps are released, in order.
    pub sessions: Vec<usize>,
    /// How many of them are preemptions.
    pub preemptions: usize,
}

/// One session's events, as places in the trace: those that it was released for, and those it took part in.
struct Lane {
    released: Vec<usize>,
    /// For each of its events, whether it could have gone on at once afterwards; and whether it could at the start.
    ready_after: Vec<bool>,
}

fn lanes(trace: &Trace) -> Vec<Lane> {
    (0..trace.sessions())
        .map(|session| {
            let part: Vec<usize> =
                (0..trace.events().len()).filter(|&place| trace.events()[place].involved.contains(&session)).collect();
            let released: Vec<usize> =
                part.iter().copied().filter(|&place| trace.events()[place].session == session).collect();
            let ready = |after: Option<usize>| {
                let next = part.iter().find(|&&place| after.is_none_or(|after| place > after));
                next.is_some_and(|&place| trace.events()[place].session == session)
            };
            let ready_after = released.iter().map(|&place| ready(Some(place))).collect();
            Lane { released, ready_after }
        })
        .collect()
}

/// The order of the event at `last` and all that happened before it (of all events, if there is none) that has the
/// fewest preemptions.
#[must_use]
pub fn fewest_preemptions(trace: &Trace, last: Option<usize>) -> Order {
    let lanes = lanes(trace);
    let goal: Vec<u32> = match last {
        Some(last) => trace.clocks()[last].clone(),
        None => lanes.iter().map(|lane| u32::try_from(lane.released.len()).unwrap_or(u32::MAX)).collect(),
    };
    let without = if last.is_none() { without_preemptions(trace, &lanes) } else { None };
    without.or_else(|| search(trace, &lanes, &goal, last)).unwrap_or_else(|| as_it_was(trace, &lanes, &goal))
}

/// Every session goes on as long as it can: then the next one that can. None if that takes the turn from one that could go
/// on later, for there may be a better order.
fn without_preemptions(trace: &Trace, lanes: &[Lane]) -> Option<Order> {
    let mut done = vec![0_u32; lanes.len()];
    let mut order = Order::default();
    let is_free = |session: usize, done: &[u32]| {
        let place = lanes[session].released.get(done[session] as usize).copied();
        let clock = place.map(|place| &trace.clocks()[place]);
        clock.is_some_and(|clock| (0..lanes.len()).all(|other| other == session || clock[other] <= done[other]))
    };
    while let Some(session) = (0..lanes.len()).find(|&session| is_free(session, &done)) {
        while is_free(session, &done) {
            done[session] += 1;
            order.sessions.push(session);
        }
        if could_go_on(&lanes[session], done[session]) && (done[session] as usize) < lanes[session].released.len() {
            return None;
        }
    }
    Some(order)
}

type State = (Vec<u32>, usize);

/// Dijkstra's algorithm over how far each session has come and who ran last.
fn search(trace: &Trace, lanes: &[Lane], goal: &[u32], last: Option<usize>) -> Option<Order> {
    let nobody = lanes.len();
    let start: State = (vec![0; lanes.len()], nobody);
    let mut from: HashMap<State, (State, usize)> = HashMap::new();
    let mut best: HashMap<State, usize> = HashMap::from([(start.clone(), 0)]);
    let mut queue = BinaryHeap::from([Reverse((0, start))]);
    while let Some(Reverse((preemptions, state))) = queue.pop() {
        if best.get(&state).is_some_and(|&known| known < preemptions) {
            continue;
        }
        let (done, in_turn) = &state;
        if done == goal && last.is_none_or(|last| trace.events()[last].session == *in_turn) {
            return Some(trail(&from, state.clone(), preemptions));
        }
        if best.len() > MOST_STATES {
            return None;
        }
        for (session, lane) in lanes.iter().enumerate() {
            let place = lane.released.get(done[session] as usize).copied();
            let Some(place) = place.filter(|_| done[session] < goal[session]) else { continue };
            let clock = &trace.clocks()[place];
            if (0..lanes.len()).any(|other| other != session && clock[other] > done[other]) {
                continue;
            }
            let interrupts = *in_turn != nobody && *in_turn != session && could_go_on(&lanes[*in_turn], done[*in_turn]);
            let cost = preemptions + usize::from(interrupts);
            let mut then = done.clone();
            then[session] += 1;
            let next = (then, session);
            if best.get(&next).is_none_or(|&known| cost < known) {
                best.insert(next.clone(), cost);
                from.insert(next.clone(), (state.clone(), session));
                queue.push(Reverse((cost, next)));
            }
        }
    }
    None
}

fn could_go_on(lane: &Lane, done: u32) -> bool {
    (done as usize).checked_sub(1).is_none_or(|last| lane.ready_after.get(last).copied().unwrap_or(false))
}

fn trail(from: &HashMap<State, (State, usize)>, end: State, preemptions: usize) -> Order {
    let mut sessions = Vec::new();
    let mut state = end;
    while let Some((before, session)) = from.get(&state) {
        sessions.push(*session);
        state = before.clone();
    }
    sessions.reverse();
    Order { sessions, preemptions }
}

fn as_it_was(trace: &Trace, lanes: &[Lane], goal: &[u32]) -> Order {
    let mut done = vec![0; lanes.len()];
    let mut order = Order { sessions: Vec::new(), preemptions: 0 };
    for event in trace.events() {
        if done[event.session] >= goal[event.session] {
            continue;
        }
        let interrupted = order.sessions.last().filter(|&&last| last != event.session);
        order.preemptions += usize::from(interrupted.is_some_and(|&last| could_go_on(&lanes[last], done[last])));
        done[event.session] += 1;
        order.sessions.push(event.session);
    }
    order
}

/// Whether the trace is that of these sessions one after the other.
#[must_use]
pub fn is_serial(trace: &Trace, order: &[usize]) -> bool {
    let rank = |session: usize| order.iter().position(|&other| other == session);
    trace.events().iter().zip(trace.clocks()).all(|(event, clock)| {
        event.involved.len() == 1
            && clock.iter().enumerate().all(|(other, &count)| count == 0 || rank(other) <= rank(event.session))
    })
}
