//! A run that has left the way that its schedule was to go.

use crate::explore::{Diverged, Overtaken};

/// How it has left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strayed {
    /// The server has let in somebody out of turn.
    Overtaken(Overtaken),
    /// The sessions stand in another way than before.
    Diverged(Diverged),
}

impl Strayed {
    /// Whether it is the code that has gone another way, and not the server.
    #[must_use]
    pub fn is_of_the_code(&self) -> bool {
        matches!(self, Self::Diverged(Diverged { waits: false, .. }))
    }
}
