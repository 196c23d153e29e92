//! What was given, the service, the environment, the defaults: in this order.

use std::path::PathBuf;
use std::time::Duration;

use super::super::{Conninfo, Origin, SslMode};
use super::{World, value};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(keyword, value)| ((*keyword).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn given_over_service_over_environment_over_default() {
    let world = World::new()
        .var("PGHOST", "env")
        .var("PGPORT", "3")
        .var("PGUSER", "env")
        .var("PGAPPNAME", "env")
        .file("/home/ann/.pg_service.conf", "[s]\nhost=service\nport=2\nuser=service\n");
    let conninfo = world.resolved("service=s host=given");
    let service = Origin::Service(PathBuf::from("/home/ann/.pg_service.conf"));
    assert_eq!(conninfo.value("host"), Some(("given", &Origin::Given)));
    assert_eq!(conninfo.value("port"), Some(("2", &service)));
    assert_eq!(conninfo.value("user"), Some(("service", &service)));
    assert_eq!(conninfo.value("application_name"), Some(("env", &Origin::Environment("PGAPPNAME"))));
    assert_eq!(conninfo.value("sslmode"), Some(("prefer", &Origin::Default)));
    assert_eq!(conninfo.dbname(), "service");
}

#[test]
fn an_empty_value_given_hides_the_environment() {
    let world = World::new().var("PGDATABASE", "env").var("PGUSER", "env");
    assert_eq!(world.resolved("dbname='' user=''").dbname(), "ann");
    assert_eq!(world.resolved("postgresql:///").dbname(), "env");
}

#[test]
fn without_any_user_name_there_is_no_connection() {
    let world = World { nameless: true, ..World::new() };
    assert_eq!(world.refusal(""), "no user name was given, and the operating system's user has none");
    assert_eq!(world.resolved("user=bob").dbname(), "bob");
}

#[test]
fn the_old_variable_for_tls_counts_less_than_the_new_one() {
    let world = World::new().var("PGREQUIRESSL", "1");
    assert_eq!(world.resolved("").ssl().mode, SslMode::Require);
    assert_eq!(world.var("PGSSLMODE", "allow").resolved("").ssl().mode, SslMode::Allow);
}

#[test]
fn a_dbname_among_pairs_may_be_a_connection_string() {
    let world = World::new().var("PGPORT", "9");
    let given = pairs(&[
        ("host", "before"),
        ("port", "1"),
        ("dbname", "postgresql://inside/db"),
        ("user", "after"),
        ("options", ""),
    ]);
    let conninfo = Conninfo::resolve_pairs(given.clone(), &world).unwrap();
    assert_eq!(conninfo.redacted(), "user=after dbname=db host=inside port=1");

    let literal = Conninfo::resolve_driver_pairs(given, &world).unwrap();
    assert_eq!(literal.dbname(), "postgresql://inside/db");
    assert_eq!(value(&literal, "host"), Some("before"));
}

#[test]
fn the_keywords_of_python_drivers_are_ignored_by_name() {
    let world = World::new();
    let given = pairs(&[("cursor_factory", "<class>"), ("client_encoding", "UTF8"), ("dbname", "app")]);
    let conninfo = Conninfo::resolve_driver_pairs(given, &world).unwrap();
    let ignored: Vec<_> = conninfo.ignored().iter().map(|ignored| ignored.keyword).collect();
    assert_eq!(ignored, ["cursor_factory", "client_encoding"]);

    let unknown = Conninfo::resolve_driver_pairs(pairs(&[("nonsense", "1")]), &world).unwrap_err();
    assert_eq!(unknown.to_string(), "invalid connection option \"nonsense\"");
    assert_eq!(world.refusal("cursor_factory=x"), "invalid connection option \"cursor_factory\"");
}

#[test]
fn numbers_are_read_as_libpq_reads_them() {
    let world = World::new();
    for (text, seconds) in [("5", Some(5)), (" 1 ", Some(1)), ("0", None), ("-1", None)] {
        let timeout = world.resolved(&format!("connect_timeout='{text}'")).connect_timeout();
        assert_eq!(timeout, seconds.map(Duration::from_secs), "{text}");
    }
    assert_eq!(
        world.refusal("connect_timeout=1.5"),
        "invalid integer value \"1.5\" for connection option \"connect_timeout\""
    );
    assert!(world.refusal("keepalives_idle=99999999999").starts_with("invalid integer value"));

    let timers =
        world.resolved("keepalives=0 keepalives_idle=7 keepalives_interval=0 tcp_user_timeout=20").tcp_timers();
    assert!(!timers.keepalives);
    assert_eq!((timers.idle, timers.interval), (Some(Duration::from_secs(7)), None));
    assert_eq!(timers.user_timeout, Some(Duration::from_millis(20)));
}

#[test]
fn the_application_name_falls_back_only_when_unset() {
    let world = World::new();
    let name = |dsn: &str| world.resolved(dsn).application_name().map(str::to_owned);
    assert_eq!(name("fallback_application_name=f").as_deref(), Some("f"));
    assert_eq!(name("application_name=a fallback_application_name=f").as_deref(), Some("a"));
    assert_eq!(name("application_name='' fallback_application_name=f"), None);
    let renamed = world.resolved("application_name=a").with_application_name("lockstep A");
    assert_eq!(renamed.application_name(), Some("lockstep A"));
}

#[test]
fn settings_for_the_session_come_from_three_variables() {
    let world = World::new().var("PGTZ", "UTC").var("PGDATESTYLE", "default");
    assert_eq!(world.resolved("").session_settings(), [("timezone", "UTC".to_owned())]);
}
