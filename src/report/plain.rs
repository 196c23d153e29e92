//! Text that does no harm to a terminal, a document or a reader, whatever SQL or a message has in it.

use textwrap::{Options, WordSplitter};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The character itself, or U+FFFD for one that would steer a terminal (control characters), turn the direction of what
/// follows (Unicode's "Trojan source"), or may not be in XML or HTML at all (noncharacters).
fn harmless(character: char) -> char {
    let turns = matches!(character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_none =
        matches!(u32::from(character) & 0xffff, 0xfffe | 0xffff) || matches!(character, '\u{fdd0}'..='\u{fdef}');
    if character.is_control() || turns || is_none { '\u{fffd}' } else { character }
}

/// The text on one line, harmless.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(harmless));
    }
    line
}

/// The text, harmless, with its line breaks.
pub(crate) fn lines(text: &str) -> String {
    text.lines()
        .map(|line| line.replace('\t', "    ").chars().map(harmless).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many columns of a terminal it takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of the text that fits into so many columns; an ellipsis says that there is more.
pub(crate) fn shortened(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or_default();
        if used > columns {
            break;
        }
        short.push(character);
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// A sentence on lines of at most `columns`; a word is never broken, for it may be a name or SQL.
pub(crate) fn wrapped(sentence: &str, columns: usize, indent: &str) -> String {
    textwrap::fill(sentence, options(columns).subsequent_indent(indent))
}

/// The same, but no line is longer than that: a word that is, is broken.
pub(crate) fn broken(sentence: &str, columns: usize, indent: &str) -> Vec<String> {
    let options = options(columns).subsequent_indent(indent).break_words(true);
    textwrap::wrap(sentence, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

fn options(columns: usize) -> Options<'static> {
    Options::new(columns).break_words(false).word_splitter(WordSplitter::NoHyphenation)
}

#[cfg(test)]
mod tests {
    use super::{broken, lines, one_line, shortened, width, wrapped};

    #[test]
    fn sentences_are_wrapped_between_words() {
        let text = "Note: a quite-hyphenated sentence with no arrow";
        assert_eq!(wrapped(text, 24, "      "), "Note: a quite-hyphenated\n      sentence with no\n      arrow");
        assert_eq!(wrapped("statement_timeout", 5, ""), "statement_timeout");
        assert_eq!(wrapped("no width at all", 0, ""), "no\nwidth\nat\nall");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("SELECT\n\t1 \u{7}"), "SELECT 1 \u{fffd}");
        assert_eq!(one_line("\u{1b}[31mred\u{9b}0m"), "\u{fffd}[31mred\u{fffd}0m");
        assert_eq!(one_line("a\u{202e}b\u{2066}c\u{fffe}d\u{2028}e"), "a\u{fffd}b\u{fffd}c\u{fffd}d e");
        assert_eq!(lines("a\r\n\tb\0"), "a\n    b\u{fffd}");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(width("鎖🔒a"), 5);
        assert_eq!(shortened("鎖鎖鎖鎖", 6), "鎖鎖…");
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("a longer one", 3), "a…");
        assert!(broken("鎖鎖鎖鎖鎖 acct", 6, "").iter().all(|line| width(line) <= 6));
    }
}
