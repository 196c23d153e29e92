//! `read_log`.

use pyo3::prelude::*;

use super::catalogue::PyScenario;
use super::report::PyReport;
use crate::report::Album;
use crate::scenario::catalogue::Scenario;
use crate::server_log::{nearest, read};

/// The deadlocks of a PostgreSQL server log, each with the scenario that is most like it. The stub documents it.
#[pyfunction]
#[pyo3(signature = (log, catalogue = Vec::new()))]
#[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
pub(super) fn read_log(
    py: Python<'_>,
    log: &str,
    catalogue: Vec<PyRef<'_, PyScenario>>,
) -> (&'static str, usize, Vec<(PyReport, Option<String>)>) {
    let catalogue: Vec<Scenario> = catalogue.iter().map(|scenario| scenario.as_scenario().clone()).collect();
    py.detach(|| {
        let found = read(log);
        let told = found.reports.into_iter().map(|mut report| {
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
        (found.format.as_str(), found.entries, told.collect())
    })
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
