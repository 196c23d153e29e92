//! Running scenarios for the matrix: each under every isolation level, as it is and with every what-if.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::options::{Ground, SpecOptions};
use super::{SpecReport, perform, probe};
use crate::connection::Leash;
use crate::connection::conninfo::Conninfo;
use crate::engine::caller::Line;
use crate::engine::{Caller, supervise};
use crate::error::Error;
use crate::scenario::catalogue::Scenario;
use crate::scenario::lock::Isolation;
use crate::scenario::matrix::{AS_IT_IS, Cell, Matrix, Row};
use crate::scenario::spec::{Permutation, Spec};
use crate::scenario::what_if::WhatIf;

/// What a cell says where no step of the permutation has a locking clause to change.
const NO_CLAUSE: &str = "no clause";
/// How long a step may take. A what-if can keep a lock that the order of the steps counts on.
const STEP_TIMEOUT: Duration = Duration::from_secs(3);

/// How the matrix is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixOptions {
    /// For the whole call.
    pub timeout: Duration,
    /// The sessions' `deadlock_timeout`, if the role may set it; `None`: a short one.
    pub deadlock_timeout: Option<Duration>,
}

impl From<SpecOptions> for MatrixOptions {
    fn from(options: SpecOptions) -> Self {
        let deadlock_timeout = match options.ground {
            Ground::Scratch { deadlock_timeout, .. } => deadlock_timeout,
            Ground::Database => None,
        };
        Self { timeout: options.timeout, deadlock_timeout }
    }
}

/// Runs the permutations of these scenarios that show a problem, under every isolation level, as they are and with every
/// what-if. Blocks the calling thread; the caller is told of each run by its title and its number.
pub fn run_matrix(
    conninfo: Conninfo,
    scenarios: &[Scenario],
    options: &MatrixOptions,
    caller: &mut dyn Caller,
) -> Result<Matrix, Error> {
    let leash = Leash::new(Some(Instant::now() + options.timeout));
    supervise(caller, &leash, |line| {
        let conninfo = Arc::new(conninfo);
        let (first, facts) = probe(&conninfo, &leash)?;
        drop(first);
        line.start(&facts.server).map_err(|_| Error::Halted)?;
        let columns = std::iter::once(AS_IT_IS).chain(WhatIf::ALL.iter().map(|(name, _)| *name)).collect();
        let matrix = Matrix { columns, rows: Vec::new(), notes: Vec::new(), server: facts.server };
        let mut maker = Maker { conninfo, options, line, leash: &leash, number: 0, matrix };
        for scenario in scenarios {
            maker.scenario(scenario)?;
        }
        Ok(maker.matrix)
    })
}

struct Maker<'a> {
    conninfo: Arc<Conninfo>,
    options: &'a MatrixOptions,
    line: &'a Line,
    leash: &'a Leash,
    number: usize,
    matrix: Matrix,
}

impl Maker<'_> {
    fn scenario(&mut self, scenario: &Scenario) -> Result<(), Error> {
        let shows_problem = |(number, _): &(usize, _)| scenario.expectations.get(*number).is_none_or(|one| !one.fixed);
        let orders: Vec<(usize, &Permutation)> =
            scenario.spec.permutations.iter().enumerate().filter(shows_problem).collect();
        let mut rows = Vec::new();
        for (name, isolation) in Isolation::ALL {
            let first = rows.len();
            rows.extend(orders.iter().map(|(number, order)| Row {
                scenario: scenario.name.clone(),
                permutation: number + 1,
                order: order.to_string(),
                isolation: name,
                cells: Vec::new(),
            }));
            for what_if in std::iter::once(None).chain(WhatIf::ALL.map(|(_, what_if)| Some(what_if))) {
                let cells = self.cells(scenario, &orders, (name, isolation), what_if)?;
                rows[first..].iter_mut().zip(cells).for_each(|(row, cell)| row.cells.push(cell));
            }
        }
        rows.sort_by_key(|row| row.permutation);
        self.matrix.rows.extend(rows);
        Ok(())
    }

    /// A cell for each of these permutations.
    fn cells(
        &mut self,
        scenario: &Scenario,
        orders: &[(usize, &Permutation)],
        (level, isolation): (&str, Isolation),
        what_if: Option<WhatIf>,
    ) -> Result<Vec<Cell>, Error> {
        let column = WhatIf::ALL.iter().find(|(_, one)| Some(*one) == what_if).map_or(AS_IT_IS, |(name, _)| name);
        self.number += 1;
        self.line.chapter(&format!("{}, {level}, {column}", scenario.name), self.number).map_err(|_| Error::Halted)?;
        let changed = what_if.map_or_else(|| Some(scenario.spec.clone()), |change| change.applied(&scenario.spec));
        let Some(spec) = changed else { return Ok(vec![Cell::without(NO_CLAUSE); orders.len()]) };
        let applies = |order: &Permutation| {
            matches!(what_if, None | Some(WhatIf::LockTimeout)) || is_changed(order, &scenario.spec, &spec)
        };
        let wanted: Vec<usize> = orders.iter().filter(|(_, order)| applies(order)).map(|(number, _)| *number).collect();
        let mut cells = Vec::new();
        for (number, _) in orders {
            cells.push(if wanted.contains(number) {
                self.cell(&spec, *number, isolation, what_if)?
            } else {
                Cell::without(NO_CLAUSE)
            });
        }
        Ok(cells)
    }

    /// One permutation on connections of its own: if it does not come to its end, the others still do.
    fn cell(
        &mut self,
        spec: &Spec,
        number: usize,
        isolation: Isolation,
        what_if: Option<WhatIf>,
    ) -> Result<Cell, Error> {
        let options = SpecOptions {
            timeout: self.options.timeout,
            step_timeout: STEP_TIMEOUT,
            isolation: Some(isolation),
            ground: Ground::Scratch { deadlock_timeout: self.options.deadlock_timeout, what_if },
            only: Some(vec![number]),
            tells_permutations: false,
            ..SpecOptions::default()
        };
        let (backend, facts) = probe(&self.conninfo, self.leash)?;
        let report = perform(&self.conninfo, backend, &facts, spec, &options, self.line, self.leash)?;
        self.note(&report);
        if self.leash.is_over() {
            return Err(Error::Timeout { doing: "making the matrix".to_owned() });
        }
        let Some(done) = report.permutations.into_iter().next() else { return Ok(Cell::without(NO_CLAUSE)) };
        Ok(match report.failure {
            None if !done.cancelled.is_empty() => Cell::without("does not end"),
            None => Cell::of(done.effect, done.report.elapsed),
            Some(why) => Cell::without(why.lines().next().unwrap_or_default()),
        })
    }

    fn note(&mut self, report: &SpecReport) {
        for note in &report.notes {
            if !self.matrix.notes.contains(note) {
                self.matrix.notes.push(note.clone());
            }
        }
    }
}

/// Whether a step of this order is another in the other spec.
fn is_changed(order: &Permutation, spec: &Spec, other: &Spec) -> bool {
    let sql = |spec: &Spec, name: &str| {
        spec.place(name).and_then(|(session, step)| Some(spec.sessions.get(session)?.steps.get(step)?.sql.clone()))
    };
    order.steps.iter().any(|step| sql(spec, &step.name) != sql(other, &step.name))
}
