//! The Python face: the only place that imports `pyo3`.

use pyo3::prelude::*;

#[pymodule]
mod _core {}
