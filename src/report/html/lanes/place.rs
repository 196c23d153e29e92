//! Where things stand in the swim-lanes, in pixels.

use crate::report::html::px;

/// The times stand in this many pixels, …
pub(super) const GUTTER: i32 = 66;
/// … a session in as many at least, …
const COLUMN: i32 = 146;
/// … and as much is left at the right, for capitals are wider than characters usually are; …
pub(super) const EDGE: i32 = 16;
/// … its name in this height.
pub(super) const HEAD: i32 = 40;
/// From one event to the next.
pub(super) const ROW: i32 = 30;
/// Bars of one session stand so far apart; after so many, they begin again at the left.
pub(super) const APART: i32 = 13;
pub(super) const ABREAST: usize = 5;

/// A pixel more than the width of a character of a label, and of a name.
const CHARACTER: i32 = 7;
const CAPITAL: i32 = 9;
/// A label's place beside two bars.
const BESIDE: i32 = 46;

/// How wide a session's column is.
#[derive(Clone, Copy)]
pub(super) struct Places(i32);

impl Places {
    /// Room for so many sessions, whose names and labels have so many characters: as much as they need, if there is so
    /// much.
    pub(super) fn of(sessions: usize, name: usize, label: usize) -> Self {
        let most = match sessions {
            0..=2 => 250,
            3 => 192,
            _ => COLUMN,
        };
        let needed = (px(name) * CAPITAL + 8).max(px(label) * CHARACTER + BESIDE);
        Self(needed.clamp(COLUMN, most))
    }

    /// Whether it is wider than usual.
    pub(super) fn is_wide(self) -> bool {
        self.0 > COLUMN
    }

    /// Where a session's column begins.
    pub(super) fn column(self, place: usize) -> i32 {
        GUTTER + self.0 * px(place)
    }

    /// Where a session's bar stands.
    pub(super) fn slot(self, place: usize, slot: usize) -> i32 {
        self.column(place) + 13 + APART * px(slot % ABREAST)
    }

    /// How many characters of a label there is room for in a session's column, from there on.
    pub(super) fn room(self, place: usize, from: i32) -> usize {
        usize::try_from((self.column(place + 1) - from - 4) / CHARACTER).unwrap_or_default()
    }

    /// How many characters of its name.
    pub(super) fn room_of_name(self) -> usize {
        usize::try_from((self.0 - 8) / CAPITAL).unwrap_or_default()
    }
}
