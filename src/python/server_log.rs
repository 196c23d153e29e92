//! `read_log`.

use std::io::{self, Cursor, Read};

use pyo3::prelude::*;

use super::catalogue::PyScenario;
use super::report::PyReport;
use crate::report::Album;
use crate::scenario::catalogue::Scenario;
use crate::server_log::{Found, nearest, read};

/// A Python file that was opened for reading bytes.
struct PyReader(Py<PyAny>);

impl Read for PyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |py: Python<'_>| -> PyResult<usize> {
            // Ctrl-C ends the reading of a long log, and the waiting for one that comes by a pipe.
            py.check_signals()?;
            let bytes = self.0.call_method1(py, "read", (buffer.len(),))?;
            let bytes: &[u8] = bytes.extract(py)?;
            let count = bytes.len().min(buffer.len());
            buffer.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
            Ok(count)
        };
        Python::attach(read).map_err(io::Error::other)
    }
}

/// A deadlock, and the scenario that is most like it.
type Told = (PyReport, Option<String>);

/// The deadlocks of a PostgreSQL server log, each with the scenario that is most like it. The stub documents it.
#[pyfunction]
#[pyo3(signature = (log, catalogue = Vec::new()))]
#[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
pub(super) fn read_log(
    py: Python<'_>,
    log: &Bound<'_, PyAny>,
    catalogue: Vec<PyRef<'_, PyScenario>>,
) -> PyResult<(&'static str, usize, Vec<Told>)> {
    let catalogue: Vec<Scenario> = catalogue.iter().map(|scenario| scenario.as_scenario().clone()).collect();
    let found = if let Ok(text) = log.extract::<String>() {
        py.detach(|| read(Cursor::new(text)))
    } else {
        let reader = PyReader(log.clone().unbind());
        py.detach(|| read(reader))
    };
    // What the file raised comes out of it as it was.
    let Found { format, entries, reports } = found?;
    let told = reports.into_iter().map(|mut report| {
        let scenario = nearest(&report, &catalogue);
        report.notes.extend(scenario.map(|scenario| {
            format!(
                "The nearest scenario of the catalogue: {} ({}). To see it happen: manage.py deadlock_test --scenario {0}",
                scenario.name, scenario.title
            )
        }));
        let name = scenario.map(|scenario| scenario.name.clone());
        (report.into(), name)
    });
    Ok((format.as_str(), entries, told.collect()))
}

/// One HTML page of several reports, each under its heading. The stub documents it.
#[pyfunction]
#[pyo3(signature = (title, chapters, *, lead = Vec::new(), facts = Vec::new(), calm = false))]
#[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
pub(super) fn html_of_many(
    title: &str,
    chapters: Vec<(String, PyRef<'_, PyReport>)>,
    lead: Vec<String>,
    facts: Vec<(String, String)>,
    calm: bool,
) -> String {
    let mut album = Album::new(title, &lead, calm);
    for (name, value) in &facts {
        album = album.fact(name, value);
    }
    for (heading, report) in &chapters {
        album = album.add(heading, report.as_report());
    }
    album.to_html()
}
