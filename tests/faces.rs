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
fn an_exploration_has_every_face() {
    for (name, told) in [("exploration", stories::exploration()), ("nothing_found", stories::nothing_found())] {
        for columns in [60, 100, 160] {
            assert_snapshot!(format!("text_{columns}_{name}"), told.to_text(1, columns));
        }
        assert_snapshot!(format!("summary_{name}"), told.to_text(0, 100));
        assert_snapshot!(format!("html_{name}"), told.to_html());
        assert_snapshot!(format!("mermaid_{name}"), told.to_mermaid());
        assert_snapshot!(format!("markdown_{name}"), told.to_markdown());
        assert_snapshot!(format!("exploration_json_{name}"), told.to_json());
    }
}

#[test]
fn a_matrix_has_every_face() {
    let told = stories::matrix();
    assert_snapshot!("html_matrix", told.to_html());
    assert_snapshot!("markdown_matrix", told.to_markdown());
    for columns in [60, 80, 100, 160] {
        assert_snapshot!(format!("text_{columns}_matrix"), told.to_text(columns));
    }
    assert_snapshot!("matrix_json_matrix", told.to_json());
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
