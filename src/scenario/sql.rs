//! SQL as far as scenarios need to know it: where its words are, outside of strings, comments and quoted names.
//!
//! Source: the PostgreSQL manual, "Lexical Structure".

use std::ops::Range;

/// A word that is a keyword or a plain name, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// In capitals; anything else but a word is the text as it stands.
    pub(crate) text: String,
    pub(crate) place: Range<usize>,
}

/// The words and signs of some SQL in their order, without white space and comments. A string or a quoted name is one
/// token that begins with its quote.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = sql.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = &sql[at..];
        let length = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if rest.starts_with("/*") {
            at += comment(rest);
            continue;
        } else if first == '\'' {
            quoted(rest, 0, '\'', false)
        } else if first == '"' {
            quoted(rest, 0, '"', false)
        } else if first.eq_ignore_ascii_case(&'e') && rest[1..].starts_with('\'') {
            quoted(rest, 1, '\'', true)
        } else if first == '$' {
            dollar_quoted(rest).unwrap_or(1)
        } else if is_word_start(first) {
            rest.find(|other: char| !is_word_part(other)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let place = at..at + length;
        let text = &sql[place.clone()];
        let word = is_word_start(first) && text.chars().all(is_word_part);
        tokens.push(Token { text: if word { text.to_uppercase() } else { text.to_owned() }, place });
        at += length;
    }
    tokens
}

/// Whether there is no statement in it at all; the server then answers that the query was empty.
#[must_use]
pub fn is_empty(sql: &str) -> bool {
    tokens(sql).iter().all(|token| token.text == ";")
}

/// How some SQL ends its session's transaction, if that is all it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// COMMIT, or END.
    Commit,
    /// ROLLBACK, or ABORT; not ROLLBACK TO.
    Rollback,
}

/// Whether a step is a COMMIT or a ROLLBACK and nothing else.
#[must_use]
pub fn end_of_transaction(sql: &str) -> Option<End> {
    let tokens = tokens(sql);
    let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).filter(|text| *text != ";").collect();
    let end = match words.first()? {
        &"COMMIT" | &"END" => End::Commit,
        &"ROLLBACK" | &"ABORT" => End::Rollback,
        _ => return None,
    };
    matches!(words[1..], [] | ["WORK" | "TRANSACTION"]).then_some(end)
}

/// Whether a step begins a transaction, and does nothing more than set it up.
#[must_use]
pub fn begins_transaction(sql: &str) -> bool {
    let tokens = tokens(sql);
    let mut statements = tokens.split(|token| token.text == ";").filter(|statement| !statement.is_empty());
    let word = |statement: &[Token], at: usize| statement.get(at).map_or(String::new(), |token| token.text.clone());
    let begins = |one: &[Token]| word(one, 0) == "BEGIN" || word(one, 0) == "START" && word(one, 1) == "TRANSACTION";
    statements.next().is_some_and(begins) && statements.all(|statement| word(statement, 0) == "SET")
}

/// The settings that some SQL sets: `SET [SESSION | LOCAL] name`, in small letters.
#[must_use]
pub fn settings(sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    // At the beginning of a statement; UPDATE … SET is another thing.
    let sets = (0..tokens.len()).filter(|&index| is(index, "SET") && (index == 0 || is(index - 1, ";")));
    let names = sets.filter_map(|set| {
        let name = if is(set + 1, "LOCAL") || is(set + 1, "SESSION") { set + 2 } else { set + 1 };
        (is(name + 1, "=") || is(name + 1, "TO")).then(|| tokens[name].text.to_lowercase())
    });
    names.collect()
}

fn is_word_start(first: char) -> bool {
    first.is_ascii_alphabetic() || first == '_' || !first.is_ascii()
}

fn is_word_part(other: char) -> bool {
    is_word_start(other) || other.is_ascii_digit() || other == '$'
}

/// The length of a comment, nested ones in it.
fn comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a string or quoted name whose opening quote is at `start`; a doubled quote does not end it.
fn quoted(text: &str, start: usize, quote: char, escapes: bool) -> usize {
    let mut characters = text[start + 1..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return start + 1 + at + 1;
        }
    }
    text.len()
}

/// The length of a string like `$tag$ … $tag$`, if it is one.
fn dollar_quoted(text: &str) -> Option<usize> {
    let tag = 1 + text[1..].find('$')?;
    let name = &text[1..tag];
    let well_named = !name.starts_with(|first: char| first.is_ascii_digit()) && name.chars().all(is_word_part);
    if !well_named {
        return None;
    }
    let mark = &text[..=tag];
    Some(text[mark.len()..].find(mark).map_or(text.len(), |end| mark.len() + end + mark.len()))
}

#[cfg(test)]
mod tests {
    use super::{End, begins_transaction, end_of_transaction, settings, tokens};

    fn texts(sql: &str) -> Vec<String> {
        tokens(sql).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_are_found_outside_of_strings_and_comments() {
        assert_eq!(texts("select 1, a$b -- for update\n/* for /* no */ key */ x"), ["SELECT", "1", ",", "A$B", "X"]);
        assert_eq!(texts("'for ''update' E'\\' for' \"fo\"\"r\""), ["'for ''update'", "E'\\' for'", "\"fo\"\"r\""]);
        assert_eq!(texts("$$for$$ $a$ $$ $a$ $1"), ["$$for$$", "$a$ $$ $a$", "$", "1"]);
    }

    #[test]
    fn what_is_not_closed_goes_to_the_end() {
        for open in ["'for update", "/* for /* update */", "$$ for update", "\"for", "E'\\"] {
            assert!(texts(open).len() <= 1, "{open}");
        }
    }

    #[test]
    fn settings_are_those_of_set_statements() {
        let sql = "BEGIN; SET LOCAL Deadlock_Timeout = '1s'; set lock_timeout to 5; UPDATE a SET b = 1; SET ROLE x";
        assert_eq!(settings(sql), ["deadlock_timeout", "lock_timeout"]);
        assert_eq!(settings("SET"), [""; 0]);
        assert_eq!(settings("-- SET a = 1\nSELECT 'SET b = 2'"), [""; 0]);
    }

    #[test]
    fn a_transaction_begins_with_begin_and_nothing_else() {
        for sql in ["begin", "BEGIN; ", "START TRANSACTION READ ONLY", "BEGIN; SET LOCAL a = 1; SET b = 2;"] {
            assert!(begins_transaction(sql), "{sql}");
        }
        for other in ["", ";", "START", "SET a = 1; BEGIN", "BEGIN; SELECT 1", "BEGIN; COMMIT", "SELECT 'BEGIN'"] {
            assert!(!begins_transaction(other), "{other}");
        }
    }

    #[test]
    fn a_commit_is_a_commit_however_it_is_written() {
        assert_eq!(end_of_transaction(" commit ;\n"), Some(End::Commit));
        assert_eq!(end_of_transaction("END TRANSACTION; -- done"), Some(End::Commit));
        assert_eq!(end_of_transaction("ROLLBACK WORK"), Some(End::Rollback));
        for other in ["", "ROLLBACK TO SAVEPOINT a;", "COMMIT; SELECT 1", "COMMIT PREPARED 'a'", "SELECT 'COMMIT'"] {
            assert_eq!(end_of_transaction(other), None, "{other}");
        }
    }
}
