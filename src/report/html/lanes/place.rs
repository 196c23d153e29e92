//! Where things stand in the swim-lanes, in pixels.

use crate::report::html::px;

/// The times stand in this many pixels, …
pub(super) const GUTTER: i32 = 66;
/// … a session in as many, …
pub(super) const COLUMN: i32 = 146;
/// … and as much is left at the right, for capitals are wider than characters usually are; …
pub(super) const EDGE: i32 = 16;
/// … its name in this height.
pub(super) const HEAD: i32 = 40;
/// From one event to the next.
pub(super) const ROW: i32 = 30;
/// Bars of one session stand so far apart; after so many, they begin again at the left.
pub(super) const APART: i32 = 13;
pub(super) const ABREAST: usize = 5;

/// Where a session's column begins.
pub(super) fn column(place: usize) -> i32 {
    GUTTER + COLUMN * px(place)
}

/// Where a session's bar stands.
pub(super) fn slot(place: usize, slot: usize) -> i32 {
    column(place) + 13 + APART * px(slot % ABREAST)
}
