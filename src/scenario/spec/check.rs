//! What the grammar cannot say: names that are used must be there, once.

use super::{Blocker, Spec, SpecError};

/// Where things stand in the text, line and column from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Every step's name and place.
    pub(super) steps: Vec<(String, (usize, usize))>,
    /// The place of each step of each permutation.
    pub(super) permutations: Vec<Vec<(usize, usize)>>,
}

/// Checks a spec that was not read from a text; the errors then have no place (line 0).
pub fn check(spec: &Spec) -> Result<(), SpecError> {
    let steps = spec.sessions.iter().flat_map(|session| &session.steps).map(|step| (step.name.clone(), (0, 0)));
    let permutations = spec.permutations.iter().map(|order| vec![(0, 0); order.steps.len()]);
    checked(spec, &Places { steps: steps.collect(), permutations: permutations.collect() })
}

pub(super) fn checked(spec: &Spec, places: &Places) -> Result<(), SpecError> {
    for (index, (name, place)) in places.steps.iter().enumerate() {
        if places.steps.iter().take(index).any(|(other, _)| other == name) {
            return Err(wrong(*place, format!("duplicate step name: {name}")));
        }
    }
    for (order, at) in spec.permutations.iter().zip(&places.permutations) {
        for (step, place) in order.steps.iter().zip(at) {
            let Some((session, _)) = spec.place(&step.name) else {
                return Err(wrong(*place, format!("undefined step \"{}\" specified in permutation", step.name)));
            };
            for blocker in &step.blockers {
                let (Blocker::Step(other) | Blocker::Notices { step: other, .. }) = blocker else { continue };
                // A step that is not in the same permutation cannot be on its way.
                let others = spec.place(other).filter(|_| order.steps.iter().any(|step| step.name == *other));
                let Some((others, _)) = others else {
                    let what =
                        format!("undefined blocking step \"{other}\" referenced in permutation step \"{}\"", step.name);
                    return Err(wrong(*place, what));
                };
                if others == session {
                    let what = format!("permutation step \"{}\" cannot block on its own session", step.name);
                    return Err(wrong(*place, what));
                }
            }
        }
    }
    Ok(())
}

fn wrong((line, column): (usize, usize), message: String) -> SpecError {
    SpecError { line, column, message }
}
