//! What holds for any text at all.

use proptest::prelude::*;

use super::super::keywords::KEYWORDS;
use super::super::parameters::Parameters;
use super::super::{Conninfo, pair};
use super::World;

/// Text with more of what the two forms find special than chance would give.
fn dsn() -> impl Strategy<Value = String> {
    let keyword = prop::sample::select(KEYWORDS).prop_map(|keyword| keyword.name.to_owned());
    let special = prop::sample::select(vec![
        "=", "'", "\\", " ", "\n", "/", "@", ":", ",", "?", "&", "%", "%41", "[", "]", "é", "1", "system", "require",
    ])
    .prop_map(str::to_owned);
    let prefix = prop::sample::select(vec!["", "postgresql://", "postgres://"]);
    (prefix, prop::collection::vec(prop_oneof![keyword, special, "\\PC{0,3}"], 0..12))
        .prop_map(|(prefix, parts)| prefix.to_owned() + &parts.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in dsn()) {
        let world = World::new();
        match Conninfo::resolve(&text, &world) {
            Ok(conninfo) => prop_assert!(!conninfo.targets().is_empty()),
            Err(error) => prop_assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        values in prop::collection::btree_map(0..KEYWORDS.len(), "[^\0]*", 0..8)
    ) {
        let pairs: Vec<_> = values.iter().map(|(&index, value)| (KEYWORDS[index].name, value.as_str())).collect();
        let text = pairs.iter().map(|(keyword, value)| pair(keyword, value)).collect::<Vec<_>>().join(" ");
        let read = Parameters::parse(&text).unwrap();
        let back: Vec<_> = read.iter().map(|(keyword, parameter)| (keyword.name, parameter.value.as_str())).collect();
        prop_assert_eq!(pairs, back);
    }

    #[test]
    fn a_redacted_string_resolves_to_itself(text in dsn()) {
        let world = World::new();
        if let Ok(conninfo) = world.resolve(&text) {
            prop_assert_eq!(world.resolved(&conninfo.redacted()).redacted(), conninfo.redacted());
        }
    }
}
