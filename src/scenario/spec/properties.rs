//! What holds for any text, and for any spec.

use proptest::prelude::*;

use super::{Blocker, Permutation, PermutationStep, Session, Spec, Step, check, parse};

/// Text with more of what the language finds special than chance would give.
fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "setup",
        "teardown",
        "session",
        "step",
        "permutation",
        "notices",
        "{",
        "}",
        "(",
        ")",
        ",",
        "*",
        "\"",
        "\"\"",
        "#",
        "\n",
        "\r",
        "\t",
        " ",
        "\x0c",
        "\x0b",
        "a",
        "b",
        "s1",
        "_$",
        "7",
        "4294967296",
        "é",
        "{ SELECT 1; }",
        "\0",
    ])
    .prop_map(str::to_owned);
    let piece = prop_oneof![4 => special, 1 => "\\PC{0,3}".prop_map(|text| text)];
    prop::collection::vec((piece, prop::bool::ANY), 0..40)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, blank)| if blank { piece + " " } else { piece }).collect())
}

/// A name as it may stand in a file, quoted or not.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,2}", "[a-zé \"#{}]{0,4}", Just("session".to_owned()), Just("notices".to_owned())]
}

/// SQL as it is between the braces: no closing one in it, no blanks at its ends.
fn sql() -> impl Strategy<Value = String> {
    "[a-z '\"{#\n\t;é]{0,12}".prop_map(|sql| sql.trim_matches([' ', '\t', '\r', '\x0c']).to_owned())
}

fn session() -> impl Strategy<Value = Session> {
    let steps = prop::collection::vec((name(), sql()), 1..4);
    (name(), prop::option::of(sql()), steps, prop::option::of(sql())).prop_map(|(name, setup, steps, teardown)| {
        Session { name, setup, steps: steps.into_iter().map(|(name, sql)| Step { name, sql }).collect(), teardown }
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    let orders = prop::collection::vec(prop::collection::vec((0..9_usize, 0..4_u32, 0..9_usize), 1..5), 0..3);
    let setups = prop::collection::vec(sql(), 0..3);
    let sessions = prop::collection::vec(session(), 1..4);
    (setups, prop::option::of(sql()), sessions, orders).prop_map(|(setups, teardown, sessions, orders)| {
        let mut spec = Spec { setups, teardown, sessions, permutations: Vec::new() };
        let names: Vec<String> =
            spec.sessions.iter().flat_map(|session| &session.steps).map(|step| step.name.clone()).collect();
        let pick = |index: usize| names[index % names.len()].clone();
        let step = |(own, kind, other): (usize, u32, usize)| PermutationStep {
            name: pick(own),
            blockers: match kind {
                0 => Vec::new(),
                1 => vec![Blocker::Once],
                2 => vec![Blocker::Step(pick(other))],
                _ => vec![Blocker::Once, Blocker::Notices { step: pick(other), count: kind }],
            },
        };
        let orders = orders.into_iter().map(|steps| Permutation { steps: steps.into_iter().map(step).collect() });
        spec.permutations = orders.collect();
        spec
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused_with_its_place(text in text()) {
        match parse(&text) {
            Ok(spec) => prop_assert_eq!(parse(&spec.to_string()), Ok(spec)),
            Err(error) => prop_assert!(error.line > 0 && error.column > 0 && !error.message.is_empty(), "{}", error),
        }
    }

    #[test]
    fn a_spec_that_is_printed_is_read_back(spec in spec()) {
        match check(&spec) {
            Ok(()) => prop_assert_eq!(parse(&spec.to_string()), Ok(spec)),
            Err(_) => prop_assert!(parse(&spec.to_string()).is_err()),
        }
    }
}

/// Whatever is not linear in the length of a text would not end here.
#[test]
fn long_texts_come_to_an_end() {
    let long = 200_000;
    for text in [
        format!("session s step a {{{}x}}", " ".repeat(long)),
        format!("session s step a {{x{}}}", " ".repeat(long)),
        format!("session s step a {{{}}}", "x ".repeat(long)),
        format!("session s step a {{{}", "{ ".repeat(long)),
        format!("session s step a {{}} permutation{}", " a".repeat(20_000)),
        format!("session \"{}\" step a {{}}", "\"\"".repeat(long)),
        "#\n".repeat(long),
    ] {
        let _ = parse(&text).map(|spec| spec.to_string());
    }
}
