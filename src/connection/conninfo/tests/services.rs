//! The connection service file.

use super::{World, value};

const OWN: &str = "/home/ann/.pg_service.conf";

#[test]
fn files_are_searched_in_libpqs_order() {
    let world = World::new()
        .var("PGSYSCONFDIR", "/etc/pg")
        .file(OWN, "[other]\nhost=own\n")
        .file("/etc/pg/pg_service.conf", "[s]\nhost=system\n")
        .file("/a", "[s]\nhost=variable\n")
        .file("/b", "[s]\nhost=keyword\n");
    let host = |world: &World, dsn: &str| value(&world.resolved(dsn), "host").map(str::to_owned);
    assert_eq!(host(&world, "service=s").as_deref(), Some("system"));
    assert_eq!(host(&world, "service=other").as_deref(), Some("own"));
    let world = world.var("PGSERVICEFILE", "/a").var("PGSERVICE", "s");
    assert_eq!(host(&world, "").as_deref(), Some("variable"));
    assert_eq!(host(&world, "servicefile=/b").as_deref(), Some("keyword"));
    assert_eq!(world.refusal("service=other"), "definition of service \"other\" not found");
    assert_eq!(world.refusal("servicefile=/c"), "service file \"/c\" not found");
}

#[test]
fn without_pgsysconfdir_the_usual_places_are_tried() {
    let world = World::new().file("/etc/postgresql-common/pg_service.conf", "[s]\nport=7\n");
    assert_eq!(world.resolved("service=s").targets()[0].port, 7);
}

#[test]
fn a_section_ends_where_the_next_begins() {
    let text = "# comment\n\n  [sx]\nhost=no\n [s] \r\n host=yes \nport= 7\n[s]\ndbname=late\n";
    let conninfo = World::new().file(OWN, text).resolved("service=s");
    assert_eq!(conninfo.redacted(), "service=s user=ann dbname=ann host=yes port=' 7'");
}

#[test]
fn mistakes_name_the_file_and_the_line() {
    for (text, message) in [
        ("[s]\nhost", "syntax error in service file \"/home/ann/.pg_service.conf\", line 2"),
        ("[s]\n\nhost =a", "syntax error in service file \"/home/ann/.pg_service.conf\", line 3"),
        ("[s]\nhunter2=a", "syntax error in service file \"/home/ann/.pg_service.conf\", line 2"),
        (
            "[s]\nservice=t",
            "nested \"service\" specifications not supported in service file \"/home/ann/.pg_service.conf\", line 2",
        ),
        (
            "[s]\nldap://host/x?y=z",
            "service file \"/home/ann/.pg_service.conf\", line 2 asks for an LDAP lookup, which django-lockstep cannot do",
        ),
    ] {
        assert_eq!(World::new().file(OWN, text).refusal("service=s"), message);
    }
}
