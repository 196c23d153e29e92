//! Every face of a report, as it is to look: a change of a face is a change of its snapshot.

#[path = "support/stories.rs"]
mod stories;

use insta::assert_snapshot;

#[test]
fn text_is_wide_or_narrow() {
    for (name, report) in stories::all() {
        for columns in [60, 100, 160] {
            assert_snapshot!(format!("text_{columns}_{name}"), report.to_text_within(1, columns));
        }
    }
}

#[test]
fn text_tells_every_statement_and_lock() {
    assert_snapshot!("text_verbose_two_sessions", stories::two_sessions().to_text_within(3, 100));
}

#[test]
fn mermaid() {
    for (name, report) in stories::all() {
        assert_snapshot!(format!("mermaid_{name}"), report.to_mermaid());
    }
}

#[test]
fn json() {
    for (name, report) in stories::all() {
        assert_snapshot!(format!("json_{name}"), report.to_json());
    }
}

#[test]
fn html() {
    for (name, report) in stories::all() {
        assert_snapshot!(format!("html_{name}"), report.to_html());
    }
}
