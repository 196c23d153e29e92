//! A block of SQL that is not closed goes on to the end of the next one. The error comes much later, if at all.

/// What begins a part of a file, at the beginning of a line.
const PARTS: [&str; 5] = ["setup", "teardown", "session", "step", "permutation"];

/// Says which block has not been closed where it was to be, if one looks so that begins before this place (line and column,
/// from 1).
pub(super) fn block(text: &str, before: (usize, usize)) -> Option<String> {
    let mut rest = text.char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        match character {
            '#' => while rest.next_if(|(_, next)| *next != '\n').is_some() {},
            '"' => while rest.next_if(|(_, next)| !matches!(next, '"' | '\n')).is_some() {},
            '{' => {
                while rest.next_if(|(_, next)| *next != '}').is_some() {}
                let end = rest.peek().map_or(text.len(), |(end, _)| *end);
                let begins = place(text, at);
                if begins >= before {
                    return None;
                }
                if let Some(swallowed) = text[at + 1..end].lines().skip(1).find_map(part) {
                    let ((line, column), (closed, _)) = (begins, place(text, end));
                    return Some(format!(
                        "the block that begins in line {line}, column {column} is not closed before \"{swallowed}\", but in \
                         line {closed}"
                    ));
                }
            }
            _ => {}
        }
    }
    None
}

/// The part of a file that this line begins, if it does.
fn part(line: &str) -> Option<&str> {
    let line = line.trim();
    let word = line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').next()?;
    let is_block = matches!(word, "setup" | "teardown" | "step") && line.contains('{');
    let begins = PARTS.contains(&word) && (is_block || matches!(word, "session" | "permutation"));
    begins.then(|| line.split('{').next().unwrap_or(line).trim_end())
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_begins = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_begins..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn told(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_block_that_is_not_closed_is_named() {
        let text = "session s\nstep a { SELECT 1;\nstep b { SELECT 2; }\npermutation a b";
        assert_eq!(
            told(text),
            "line 4, column 15: undefined step \"b\" specified in permutation; the block that begins in line 2, column 8 is \
             not closed before \"step b\", but in line 3"
        );
        assert!(told("session s\nsetup { BEGIN;\nstep a { SELECT 1; }\nsession t step b {}").contains(
            "expected step NAME { SQL }; the block that begins in line 2, column 7 is not closed before \"step a\", but in line 3"
        ));
    }

    #[test]
    fn the_last_block_is_not_closed_at_all() {
        let text = "session s step a {} # {\nstep \"{\" {}\nstep b {\n SELECT 1;\npermutation a b";
        assert!(told(text).starts_with("line 3, column 8: expected { SQL }, closed by }"), "{}", told(text));
    }

    #[test]
    fn an_error_with_another_reason_has_no_such_hint() {
        assert!(!told("session s step a { SELECT 1;\n step }\npermutation c").contains("not closed"));
        assert!(!told("session s step a {} step a {}").contains("not closed"));
        assert!(!told("session s step a (\nsetup {\n step b { }").contains("not closed"));
    }
}
