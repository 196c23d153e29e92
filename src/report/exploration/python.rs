//! A text as Python's source has it.

use std::fmt::Write;

/// The text as a string literal, on one line and of printable characters, whatever is in it.
pub(super) fn literal(text: &str) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut literal = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => literal.push_str("\\\\"),
            _ if character == quote => literal.extend(['\\', quote]),
            // What is not printable steers a terminal, or does not survive being copied.
            ' '..='~' => literal.push(character),
            _ if character.is_alphanumeric() => literal.push(character),
            // Writing to a String cannot fail.
            _ => {
                let _ = write!(literal, "\\U{:08x}", u32::from(character));
            }
        }
    }
    literal.push(quote);
    literal
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_schedule_is_pasted_as_it_was() {
        assert_eq!(literal("A B A B"), "\"A B A B\"");
        assert_eq!(literal("lock:public.t:{\"id\":1} A B free"), "'lock:public.t:{\"id\":1} A B free'");
        assert_eq!(literal("lock:t:{\"name\":\"a\\u0020'b\"}"), "\"lock:t:{\\\"name\\\":\\\"a\\\\u0020'b\\\"}\"");
        assert_eq!(literal("lock:täg:\u{1b}\u{202e}"), "\"lock:täg:\\U0000001b\\U0000202e\"");
    }
}
