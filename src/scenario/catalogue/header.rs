//! The comment at the top of a file of the catalogue.

use super::{Expectation, Scenario};
use crate::scenario::effect::Effect;
use crate::scenario::lock::Isolation;
use crate::scenario::spec::{Spec, SpecError};

/// One entry of the header: its key, its text, and the line where it begins.
struct Entry<'a> {
    key: &'a str,
    text: String,
    line: usize,
}

/// How far the lines of a text that goes on are indented, behind the `#`.
const INDENT: &str = "   ";

pub(super) fn read(text: &str, spec: Spec) -> Result<Scenario, SpecError> {
    let mut lines = text.lines().enumerate().map_while(|(index, line)| Some((index + 1, line.strip_prefix('#')?)));
    let (name, title) = lines
        .next()
        .and_then(|(_, first)| first.trim().split_once(": "))
        .ok_or_else(|| wrong(1, "expected \"# NAME: title\" as the first line"))?;
    let entries = entries(lines)?;
    let the = |key: &str| {
        let found = entries.iter().find(|entry| entry.key == key).map(|entry| entry.text.clone());
        found.ok_or_else(|| wrong(1, &format!("the header has no \"{key}:\"")))
    };
    let teaches = the("Teaches")?.replace('\n', " ");
    let seen_in = the("Seen in")?.split(';').map(|issue| issue.trim().to_owned()).collect();
    let (django, fix) = (the("Django")?, the("Fix")?);
    let expectations = expectations(&entries, spec.permutations.len())?;
    Ok(Scenario { name: name.to_owned(), title: title.to_owned(), teaches, django, fix, seen_in, expectations, spec })
}

fn entries<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Result<Vec<Entry<'a>>, SpecError> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for (line, text) in lines {
        if text.trim().is_empty() {
            continue;
        }
        if let Some(more) = text.strip_prefix(INDENT) {
            let entry = entries.last_mut().ok_or_else(|| wrong(line, "expected \"# Teaches: …\""))?;
            entry.text.push('\n');
            entry.text.push_str(more.trim_end());
            continue;
        }
        let (key, first) =
            text.trim().split_once(": ").filter(|(key, _)| known(key)).ok_or_else(|| {
                wrong(line, "expected Teaches, Django, Fix, Seen in, Expect N or Fixed N, and a colon")
            })?;
        entries.push(Entry { key, text: first.to_owned(), line });
    }
    Ok(entries)
}

fn known(key: &str) -> bool {
    matches!(key, "Teaches" | "Django" | "Fix" | "Seen in") || numbered(key).is_some()
}

/// `Expect 1` or `Fixed 2`: whether it is fixed, and which permutation.
fn numbered(key: &str) -> Option<(bool, usize)> {
    let (word, number) = key.split_once(' ')?;
    let fixed = match word {
        "Expect" => false,
        "Fixed" => true,
        _ => return None,
    };
    Some((fixed, number.parse().ok()?))
}

fn expectations(entries: &[Entry<'_>], permutations: usize) -> Result<Vec<Expectation>, SpecError> {
    let mut expectations = Vec::new();
    for entry in entries {
        let Some((fixed, number)) = numbered(entry.key) else { continue };
        if number != expectations.len() + 1 || number > permutations {
            return Err(wrong(
                entry.line,
                &format!("there are {permutations} permutations, to be told in their order"),
            ));
        }
        let effects = effects(&entry.text).map_err(|what| wrong(entry.line, &what))?;
        expectations.push(Expectation { fixed, effects });
    }
    if expectations.len() < permutations {
        return Err(wrong(1, &format!("permutation {} has no expected outcome", expectations.len() + 1)));
    }
    Ok(expectations)
}

/// `40P01; serializable 40001`: that of READ COMMITTED, then of the levels that differ.
fn effects(text: &str) -> Result<[Effect; 3], String> {
    let mut parts = text.split(';').map(str::trim);
    let first: Effect = parts.next().unwrap_or_default().parse()?;
    let mut effects = [first.clone(), first.clone(), first];
    for part in parts {
        let level = Isolation::ALL.iter().position(|(name, _)| part.starts_with(&format!("{name} ")));
        let level = level.ok_or_else(|| format!("\"{part}\" does not begin with an isolation level"))?;
        effects[level] = part[Isolation::ALL[level].0.len()..].parse()?;
    }
    Ok(effects)
}

fn wrong(line: usize, message: &str) -> SpecError {
    SpecError { line, column: 1, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;

    const FILE: &str = "\
# s00-nothing: two sessions do nothing
#
# Teaches: One thing,
#   and another.
# Django: with nothing():
#       pass
# Fix: None.
# Seen in: a/b #1; c/d #2
# Expect 1: 40P01 at COMMIT; serializable 40001
# Fixed 2: none

session A step a { SELECT 1 }
permutation a
permutation a a
";

    #[test]
    fn the_header_is_read() {
        let scenario = Scenario::parse(FILE).unwrap();
        assert_eq!((scenario.name.as_str(), scenario.title.as_str()), ("s00-nothing", "two sessions do nothing"));
        assert_eq!(scenario.teaches, "One thing, and another.");
        assert_eq!(scenario.django, "with nothing():\n    pass");
        assert_eq!(scenario.seen_in, ["a/b #1", "c/d #2"]);
        let told = scenario.expectations.iter().map(|one| (one.fixed, one.effects.each_ref().map(ToString::to_string)));
        let at_commit = "40P01 at COMMIT".to_owned();
        let expected =
            [(false, [at_commit.clone(), at_commit, "40001".to_owned()]), (true, [(); 3].map(|()| "none".to_owned()))];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let error = |from: &str, to: &str| Scenario::parse(&FILE.replace(from, to)).unwrap_err().to_string();
        assert_eq!(error("none\n", "?\n"), {
            let what = "\"?\" is neither \"none\", \"waits\", nor a SQLSTATE, perhaps with \" at COMMIT\"";
            format!("line 10, column 1: {what}")
        });
        assert_eq!(
            error("Fixed 2", "Fixed 3"),
            "line 10, column 1: there are 2 permutations, to be told in their order"
        );
        assert_eq!(error("# Fixed 2: none\n", ""), "line 1, column 1: permutation 2 has no expected outcome");
        assert_eq!(error("# Fix: None.\n", ""), "line 1, column 1: the header has no \"Fix:\"");
        assert!(error("# Fix:", "# Fixes:").starts_with("line 7, column 1: expected Teaches, Django, Fix"));
        assert!(error("serializable 4", "chaos 4").contains("\"chaos 40001\" does not begin with an isolation level"));
    }
}
