//! Texts that say nothing to a Markdown parser, nor to the HTML that it makes.

use super::plain::one_line;

/// A text on one line, as a sentence or as a table's cell.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in one_line(text).chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A text as a code span of a table's cell.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", one_line(text).replace('`', "'").replace('|', "\\|"))
}

/// A text inside a tag of HTML.
pub(crate) fn inside_html(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{code, escaped, inside_html};

    #[test]
    fn texts_say_nothing_to_markdown() {
        assert_eq!(escaped("a|b *c*\n`d` <script> & [e](f)"), r"a\|b \*c\* \`d\` &lt;script> &amp; \[e\](f)");
        assert_eq!(code("a`b|c"), r"`a'b\|c`");
        assert_eq!(inside_html("</summary>&"), "&lt;/summary&gt;&amp;");
    }
}
