//! Our errors as the exceptions of `django_lockstep.exceptions`, with their causes chained.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{Error, ServerError};

/// The exception for an error. If the exception itself cannot be made, that failure is what Python sees.
pub(super) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Usage { .. } => "UsageError",
        Error::Conninfo { .. } | Error::Connect { .. } => "ConnectionFailed",
        Error::Refused { .. } => "Refused",
        Error::Server { .. } => "ServerError",
        Error::Lost { .. } => "ConnectionLost",
        Error::Timeout { .. } => "CallTimeout",
        Error::Halted | Error::Bug { .. } => "LockstepError",
    };
    let made = make(py, class, &sentences(error), error.sqlstate(), error.detail(), error.hint());
    let exception = made.unwrap_or_else(|failure| failure);
    exception.set_cause(py, cause(py, error));
    exception
}

/// One sentence for what happened, one for what to do.
fn sentences(error: &Error) -> String {
    let what = error.to_string();
    let what = what.trim_end_matches('.');
    let first_word = what.split(' ').next().unwrap_or_default();
    let mut letters = what.chars();
    // The name of a keyword or of a file stays as it is written.
    let is_name = first_word.contains(['_', '=', '.', '/']) || what[first_word.len()..].starts_with(" cannot be ");
    let what: String = if is_name {
        what.to_owned()
    } else {
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
    };
    error.hint().map_or_else(|| format!("{what}."), |hint| format!("{what}. {hint}"))
}

fn cause(py: Python<'_>, error: &Error) -> Option<PyErr> {
    if let Some(server) = error.server() {
        return Some(of_server(py, server));
    }
    let mut source = std::error::Error::source(error)?;
    if let Some(io) = source.downcast_ref::<std::io::Error>() {
        return Some(match io.raw_os_error() {
            // Python puts the number in front itself.
            Some(code) => PyOSError::new_err((code, io.to_string().replace(&format!(" (os error {code})"), ""))),
            None => PyOSError::new_err(io.to_string()),
        });
    }
    let mut text = source.to_string();
    while let Some(inner) = source.source() {
        text = format!("{text}: {inner}");
        source = inner;
    }
    Some(make(py, "LockstepError", &text, None, None, None).unwrap_or_else(|failure| failure))
}

fn of_server(py: Python<'_>, server: &ServerError) -> PyErr {
    let text = format!("{}:  {}", server.severity, server.message);
    make(py, "ServerError", &text, Some(&server.sqlstate), server.detail.as_deref(), server.hint.as_deref())
        .unwrap_or_else(|failure| failure)
}

fn make(
    py: Python<'_>,
    class: &str,
    message: &str,
    sqlstate: Option<&str>,
    detail: Option<&str>,
    hint: Option<&str>,
) -> PyResult<PyErr> {
    let class = py.import("django_lockstep.exceptions")?.getattr(class)?;
    let fields = PyDict::new(py);
    fields.set_item("sqlstate", sqlstate)?;
    fields.set_item("detail", detail)?;
    fields.set_item("hint", hint)?;
    Ok(PyErr::from_value(class.call((message,), Some(&fields))?))
}
