//! The Python face: the only place that imports `pyo3`. A function here converts, detaches from the interpreter, calls
//! the engine, and converts back.

mod arguments;
mod caller;
mod catalogue;
mod dsn;
mod errors;
mod event;
mod exploration;
mod explore;
mod gate;
mod opponent;
mod outcomes;
mod repeat;
mod report;
mod server_log;
mod session_report;
mod simulate;
mod spec;
mod timeline;
mod together;

use pyo3::prelude::*;

/// The native module `django_lockstep._core`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::arguments::milliseconds;
    #[pymodule_export]
    use super::catalogue::{PyMatrix, PyScenario, parse_scenario, run_matrix};
    #[pymodule_export]
    use super::dsn::{dsn_from_params, dsn_parts, dsn_resolved};
    #[pymodule_export]
    use super::event::PyEvent;
    #[pymodule_export]
    use super::exploration::PyExplorationFaces;
    #[pymodule_export]
    use super::explore::{PyRan, PySearch};
    #[pymodule_export]
    use super::gate::PyGate;
    #[pymodule_export]
    use super::opponent::PyOpponent;
    #[pymodule_export]
    use super::outcomes::PyOutcomes;
    #[pymodule_export]
    use super::repeat::repeat_deadlock;
    #[pymodule_export]
    use super::report::{PyReport, PyServer};
    #[pymodule_export]
    use super::server_log::{html_of_many, read_log};
    #[pymodule_export]
    use super::session_report::{PySessionReport, PyStatement};
    #[pymodule_export]
    use super::simulate::simulate_deadlock;
    #[pymodule_export]
    use super::spec::{PySpec, PySpecReport, parse_spec};
    #[pymodule_export]
    use super::timeline::PyTimeline;
    #[pymodule_export]
    use super::together::PyTogether;

    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", crate::version::version())?;
        module.add("LIBPQ_KEYWORDS", super::dsn::libpq_keywords())?;
        module.add("DRIVER_KEYWORDS", super::dsn::driver_keywords())?;
        module.add("OUTCOMES", crate::report::Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect::<Vec<_>>())
    }
}
