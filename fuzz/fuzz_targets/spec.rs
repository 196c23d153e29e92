//! Any text is read as a spec or refused with its place, and what is printed is read back as the same: `make fuzz`.

#![no_main]

use django_lockstep::scenario::catalogue::Scenario;
use django_lockstep::scenario::spec::parse;
use django_lockstep::scenario::sql::{end_of_transaction, settings};
use django_lockstep::scenario::what_if::WhatIf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(spec) => {
            assert_eq!(parse(&spec.to_string()), Ok(spec.clone()));
            for (_, what_if) in WhatIf::ALL {
                let _ = what_if.applied(&spec);
            }
        }
        Err(error) => assert!(error.line > 0 && error.column > 0 && !error.message.is_empty()),
    }
    let _ = Scenario::parse(text);
    let _ = (settings(text), end_of_transaction(text));
});
