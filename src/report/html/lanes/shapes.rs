//! What the swim-lanes are drawn of, in pixels.

/// A session's name above its column, and how it ended.
pub(super) struct Head {
    pub(super) x: i32,
    pub(super) name: String,
    pub(super) about: String,
    pub(super) class: &'static str,
}

/// A transaction, from its beginning to its end.
pub(super) struct Line {
    pub(super) x: i32,
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) class: &'static str,
}

/// A lock that was held or waited for.
pub(super) struct Bar {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) height: i32,
    pub(super) class: &'static str,
    pub(super) sentence: String,
}

/// What happened, beside its bar.
pub(super) struct Label {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) text: String,
    pub(super) class: &'static str,
    pub(super) sentence: String,
}

/// From whoever waits to whoever is in the way.
pub(super) struct Arrow {
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) y: i32,
    pub(super) in_cycle: bool,
    pub(super) sentence: String,
}

/// A moment at the left, or the length of a break.
pub(super) struct Tick {
    pub(super) y: i32,
    pub(super) text: String,
}
