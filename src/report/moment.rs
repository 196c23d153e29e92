//! A moment of a run, as every face of a report says it.

/// `0.250 s`; nothing where it is not known, as in a server log that does not tell since when somebody waited.
pub(crate) fn moment(at: f64) -> String {
    if at > 0.0 { format!("{at:.3} s") } else { String::new() }
}
