//! [`Spec`] back to text: what is printed parses to the same spec.

use std::fmt;

use super::{Blocker, Permutation, PermutationStep, Spec};

const KEYWORDS: [&str; 6] = ["setup", "teardown", "session", "step", "permutation", "notices"];

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setup in &self.setups {
            writeln!(f, "setup {{ {setup} }}")?;
        }
        if let Some(teardown) = &self.teardown {
            writeln!(f, "teardown {{ {teardown} }}")?;
        }
        for session in &self.sessions {
            writeln!(f, "\nsession {}", name(&session.name))?;
            if let Some(setup) = &session.setup {
                writeln!(f, "setup {{ {setup} }}")?;
            }
            for step in &session.steps {
                writeln!(f, "step {} {{ {} }}", name(&step.name), step.sql)?;
            }
            if let Some(teardown) = &session.teardown {
                writeln!(f, "teardown {{ {teardown} }}")?;
            }
        }
        for permutation in &self.permutations {
            writeln!(f, "\npermutation {permutation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Permutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(&steps.join(" "))
    }
}

impl fmt::Display for PermutationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(&self.name))?;
        let blockers: Vec<String> = self.blockers.iter().map(ToString::to_string).collect();
        if blockers.is_empty() { Ok(()) } else { write!(f, "({})", blockers.join(", ")) }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => f.write_str("*"),
            Self::Step(step) => f.write_str(&name(step)),
            Self::Notices { step, count } => write!(f, "{} notices {count}", name(step)),
        }
    }
}

/// A name as it has to be written: quoted unless it is a plain word.
fn name(name: &str) -> String {
    let plain = name
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || !first.is_ascii())
        && name.chars().all(|other| other.is_ascii_alphanumeric() || matches!(other, '_' | '$') || !other.is_ascii());
    if plain && !KEYWORDS.contains(&name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    const SPEC: &str = r#"
# a comment
setup { CREATE TABLE a (b int); } setup{}
teardown   {
  DROP TABLE a;
}
session "s 1" setup { BEGIN; }
step s1 { SELECT '#no comment'; }   # a comment
step "q""d" { COMMIT; }
teardown { ROLLBACK; }
session notes step notice {	SELECT 1;	}
permutation s1 (*) notice ( "q""d" , s1 notices 2 ) "q""d"
permutation notice"#;

    #[test]
    fn what_is_printed_parses_to_the_same() {
        let spec = parse(SPEC).unwrap();
        assert_eq!(parse(&spec.to_string()).unwrap(), spec);
        assert_eq!(spec.setups, ["CREATE TABLE a (b int);", ""]);
        assert_eq!(spec.teardown.as_deref(), Some("\n  DROP TABLE a;\n"));
        assert_eq!(spec.sessions[0].steps[1].name, "q\"d");
        assert_eq!(spec.sessions[1].steps[0].sql, "SELECT 1;");
        assert_eq!(spec.permutations[0].steps[1].blockers.len(), 2);
    }

    #[test]
    fn errors_say_where_and_what() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("session s1\n"), "line 2, column 1: expected setup { SQL } or step NAME { SQL }");
        assert_eq!(error(""), "line 1, column 1: expected setup { SQL } or session NAME");
        assert_eq!(error("session s\nstep a { é\0 }"), "line 2, column 11: a NUL character, which no SQL can have");
        assert_eq!(error("session s step a { SELECT"), "line 1, column 18: expected { SQL }, closed by }");
        assert_eq!(error("session s step a {} step a {}"), "line 1, column 21: duplicate step name: a");
        assert_eq!(
            error("session s step a {}\npermutation a b"),
            "line 2, column 15: undefined step \"b\" specified in permutation"
        );
    }
}
