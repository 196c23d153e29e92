//! The form `host=localhost password='two words'` (libpq, "Keyword/Value Connection Strings").

use super::error::{ConninfoError, Name};
use super::keywords;
use super::parameters::{Parameters, unknown};

/// What C's `isspace` takes for white space.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// Reads a keyword/value string.
pub(super) fn parse(text: &str) -> Result<Parameters, ConninfoError> {
    let mut parameters = Parameters::default();
    let mut cursor = Cursor::new(text);
    let mut after_secret = false;
    loop {
        cursor.skip_spaces();
        if cursor.at_end() {
            return Ok(parameters);
        }
        let position = cursor.position + 1;
        let name = cursor.take_while(|character| character != '=' && !is_space(character));
        cursor.skip_spaces();
        if cursor.next() != Some('=') {
            return Err(ConninfoError::MissingEquals { name: Name::new(&name, position, after_secret) });
        }
        cursor.skip_spaces();
        let value = cursor.value()?;
        if !parameters.give(&name, &value) {
            return Err(unknown(&name, position, after_secret));
        }
        after_secret |= keywords::find(&name).is_some_and(|keyword| keyword.secret);
    }
}

/// Writes one `keyword=value`, quoted where it must be.
#[must_use]
pub fn pair(keyword: &str, value: &str) -> String {
    if !value.is_empty() && !value.chars().any(|c| is_space(c) || c == '\'' || c == '\\') {
        return format!("{keyword}={value}");
    }
    let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{keyword}='{escaped}'")
}

/// The rest of a string, by characters.
struct Cursor<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    position: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), position: 0 }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.position += usize::from(next.is_some());
        next
    }

    fn at_end(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(&character) = self.rest.peek() {
            if !wanted(character) {
                break;
            }
            taken.push(character);
            self.next();
        }
        taken
    }

    fn skip_spaces(&mut self) {
        self.take_while(is_space);
    }

    /// A value up to white space or the closing quote; a backslash makes the next character literal.
    fn value(&mut self) -> Result<String, ConninfoError> {
        let quoted = self.rest.peek() == Some(&'\'');
        if quoted {
            self.next();
        }
        let mut value = String::new();
        loop {
            match self.next() {
                None if quoted => return Err(ConninfoError::UnterminatedQuote),
                None => return Ok(value),
                Some('\'') if quoted => return Ok(value),
                Some(character) if !quoted && is_space(character) => return Ok(value),
                Some('\\') => value.extend(self.next()),
                Some(character) => value.push(character),
            }
        }
    }
}
