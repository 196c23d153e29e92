//! Text to [`Spec`], by the grammar in `grammar.pest`.

use pest::error::{Error, ErrorVariant, LineColLocation};
use pest::iterators::{Pair, Pairs};
use pest::{Parser, Position};
use pest_derive::Parser;

use super::{Blocker, Permutation, PermutationStep, Session, Spec, SpecError, Step, check, unclosed};

#[derive(Parser)]
#[grammar = "scenario/spec/grammar.pest"]
struct Grammar;

/// Reads a file and checks it. An error says where, and what was expected.
pub fn parse(text: &str) -> Result<Spec, SpecError> {
    read(text).map_err(|error| match unclosed::block(text, (error.line, error.column)) {
        Some(unclosed) => SpecError { message: format!("{}; {unclosed}", error.message), ..error },
        None => error,
    })
}

fn read(text: &str) -> Result<Spec, SpecError> {
    if let Some(at) = text.find('\0') {
        let (line, column) = Position::new(text, at).map_or((1, 1), |place| place.line_col());
        return Err(SpecError { line, column, message: "a NUL character, which no SQL can have".to_owned() });
    }
    let mut pairs = Grammar::parse(Rule::spec, text).map_err(|error| told(&error))?;
    let mut spec = Spec::default();
    let mut places = check::Places::default();
    for pair in pairs.next().into_iter().flat_map(Pair::into_inner) {
        match pair.as_rule() {
            Rule::setup => spec.setups.push(block(pair)),
            Rule::teardown => spec.teardown = Some(block(pair)),
            Rule::session => spec.sessions.push(session(pair, &mut places)),
            Rule::permutation => spec.permutations.push(permutation(pair, &mut places)?),
            _ => {}
        }
    }
    check::checked(&spec, &places)?;
    Ok(spec)
}

fn session(pair: Pair<'_, Rule>, places: &mut check::Places) -> Session {
    let mut session = Session::default();
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::name => session.name = name(part),
            Rule::session_setup => session.setup = Some(block(part)),
            Rule::teardown => session.teardown = Some(block(part)),
            Rule::step => {
                let place = part.line_col();
                let mut inner = part.into_inner();
                let step = Step { name: next_name(&mut inner), sql: next_sql(inner) };
                places.steps.push((step.name.clone(), place));
                session.steps.push(step);
            }
            _ => {}
        }
    }
    session
}

fn permutation(pair: Pair<'_, Rule>, places: &mut check::Places) -> Result<Permutation, SpecError> {
    let mut permutation = Permutation::default();
    let mut at = Vec::new();
    for part in pair.into_inner().filter(|part| part.as_rule() == Rule::permutation_step) {
        at.push(part.line_col());
        let mut inner = part.into_inner();
        let name = next_name(&mut inner);
        let blockers = inner.filter(|part| part.as_rule() == Rule::blocker).map(blocker).collect::<Result<_, _>>()?;
        permutation.steps.push(PermutationStep { name, blockers });
    }
    places.permutations.push(at);
    Ok(permutation)
}

fn blocker(pair: Pair<'_, Rule>) -> Result<Blocker, SpecError> {
    let (line, column) = pair.line_col();
    let Some(inner) = pair.into_inner().next() else { return Ok(Blocker::Once) };
    match inner.as_rule() {
        Rule::notices => {
            let mut parts = inner.into_inner();
            let step = next_name(&mut parts);
            let number = parts.find(|part| part.as_rule() == Rule::number).map_or("", |part| part.as_str());
            let count = number.parse().map_err(|_| SpecError {
                line,
                column,
                message: format!("{number} notices are more than can be counted"),
            })?;
            Ok(Blocker::Notices { step, count })
        }
        Rule::name => Ok(Blocker::Step(name(inner))),
        _ => Ok(Blocker::Once),
    }
}

fn next_name(pairs: &mut Pairs<'_, Rule>) -> String {
    pairs.find(|part| part.as_rule() == Rule::name).map(name).unwrap_or_default()
}

fn name(pair: Pair<'_, Rule>) -> String {
    let Some(inner) = pair.into_inner().next() else { return String::new() };
    match inner.as_rule() {
        Rule::quoted_name => inner.into_inner().next().map_or("", |text| text.as_str()).replace("\"\"", "\""),
        _ => inner.as_str().to_owned(),
    }
}

fn block(pair: Pair<'_, Rule>) -> String {
    next_sql(pair.into_inner())
}

fn next_sql(pairs: Pairs<'_, Rule>) -> String {
    let block = pairs.into_iter().find(|part| part.as_rule() == Rule::block);
    block.and_then(|block| block.into_inner().next()).map_or("", |sql| sql.as_str()).to_owned()
}

fn told(error: &Error<Rule>) -> SpecError {
    let (line, column) = match error.line_col {
        LineColLocation::Pos(place) | LineColLocation::Span(place, _) => place,
    };
    let message = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => {
            let mut expected: Vec<&str> = positives.iter().map(|rule| called(*rule)).collect();
            expected.sort_unstable();
            expected.dedup();
            format!("expected {}", expected.join(" or "))
        }
        ErrorVariant::CustomError { message } => message.clone(),
    };
    SpecError { line, column, message }
}

/// What a reader calls a part of the grammar.
fn called(rule: Rule) -> &'static str {
    match rule {
        Rule::spec => "setup { SQL } or session NAME",
        Rule::setup | Rule::session_setup | Rule::kw_setup => "setup { SQL }",
        Rule::teardown | Rule::kw_teardown => "teardown { SQL }",
        Rule::session | Rule::kw_session => "session NAME",
        Rule::step | Rule::kw_step => "step NAME { SQL }",
        Rule::permutation | Rule::kw_permutation => "permutation STEP …",
        Rule::name | Rule::plain_name | Rule::permutation_step => "a name",
        Rule::quoted_name | Rule::quoted_text => "a name that ends with \" on the same line",
        Rule::blocker | Rule::once => "* or the name of a step",
        Rule::notices | Rule::kw_notices => "notices",
        Rule::number => "a number",
        Rule::block | Rule::sql => "{ SQL }, closed by }",
        Rule::EOI => "the end of the file",
        _ => "something else",
    }
}
