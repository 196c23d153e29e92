//! Both forms of a connection string, and what is said of those that cannot be read.

use super::{World, value};

#[test]
fn keyword_value_strings() {
    let world = World::new();
    for (dsn, host, dbname) in [
        ("host=a dbname=b", "a", "b"),
        ("  host = a\n\tdbname\r=\u{b}b ", "a", "b"),
        ("host='a' dbname='b c'", "a", "b c"),
        (r"host='a'dbname=b\ c", "a", "b c"),
        (r"host=a dbname='it\'s \\'", "a", r"it's \"),
        ("host=x host=a dbname=b", "a", "b"),
    ] {
        let conninfo = world.resolved(dsn);
        assert_eq!(value(&conninfo, "host"), Some(host), "{dsn}");
        assert_eq!(conninfo.dbname(), dbname, "{dsn}");
    }
}

#[test]
fn uris() {
    let world = World::new();
    for (uri, expected) in [
        ("postgresql://", "user=ann dbname=ann"),
        ("postgres://bob@h/db", "user=bob dbname=db host=h"),
        ("postgresql://bob:pw@h:1/db", "user=bob dbname=db host=h port=1"),
        ("postgresql://h1:1,h2,[::1]:3/db", "user=ann dbname=db host=h1,h2,::1 port=1,,3"),
        ("postgresql://[::1]?connect_timeout=3", "user=ann connect_timeout=3 dbname=ann host=::1"),
        ("postgresql:///db?host=/run/pg&user=eve", "user=eve dbname=db host=/run/pg"),
        ("postgresql://%2Frun%2Fpg/a%20b", "user=ann dbname='a b' host=/run/pg"),
        ("postgresql://h/db?ssl=true", "user=ann dbname=db host=h sslmode=require"),
        ("postgresql://h/db?requiressl=0", "user=ann dbname=db host=h sslmode=prefer"),
        ("postgresql:// bob @ h /db ", "user=bob dbname=db host=h"),
        ("postgresql://@/?", "user=ann dbname=ann"),
    ] {
        assert_eq!(world.resolved(uri).redacted(), expected, "{uri}");
    }
    assert_eq!(world.resolved("postgres://a:p%40%3A@h").targets()[0].password.as_ref().unwrap().expose(), "p@:");
}

#[test]
fn strings_that_cannot_be_read() {
    let world = World::new();
    for (dsn, message) in [
        ("host", "missing \"=\" after \"host\" in connection info string"),
        ("host localhost", "missing \"=\" after \"host\" in connection info string"),
        ("ann:pw@host/db", "missing \"=\" after the text at character 1 in connection info string"),
        ("host='a", "unterminated quoted string in connection info string"),
        (r"host='a\", "unterminated quoted string in connection info string"),
        ("foo=1", "invalid connection option \"foo\""),
        ("=1", "invalid connection option the text at character 1"),
        ("mysql://h/db?a=b", "invalid connection option the text at character 1"),
        ("host=a\0b", "a connection string may not contain a NUL character"),
        ("postgresql://h?foo=1", "invalid URI query parameter: \"foo\""),
        ("postgresql://h?user", "missing key/value separator \"=\" in URI query parameter: \"user\""),
        ("postgresql://h?user=a=b", "extra key/value separator \"=\" in URI query parameter: \"user\""),
        ("postgresql://h%", "invalid percent-encoded token in the host of the URI"),
        ("postgresql://h/%0g", "invalid percent-encoded token in the dbname of the URI"),
        ("postgresql://h/%00", "forbidden value %00 in percent-encoded value in the dbname of the URI"),
        ("postgresql://h/%ff", "percent-encoded bytes in the dbname of the URI are not UTF-8"),
        (
            "postgresql://h/a b",
            "unexpected spaces found in the dbname of the URI, use percent-encoded spaces (%20) instead",
        ),
        ("postgresql://[::1", "end of string reached when looking for matching \"]\" in IPv6 host address in URI"),
        ("postgresql://[]", "IPv6 host address may not be empty in URI"),
        ("postgresql://[::1]x", "unexpected character \"x\" at position 19 in URI (expected \":\" or \"/\")"),
    ] {
        assert_eq!(world.refusal(dsn), message, "{dsn}");
    }
}

#[test]
fn every_error_has_a_hint_of_one_sentence() {
    let world = World::new();
    for dsn in ["host", "foo=1", "sslmode=x", "port=x", "gssencmode=require", "service=none", "hostaddr=x"] {
        let hint = world.resolve(dsn).unwrap_err().hint();
        assert!(hint.ends_with('.') && hint.len() > 10, "{dsn}: {hint}");
    }
}
