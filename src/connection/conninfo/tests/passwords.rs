//! Where passwords come from.

use super::super::{Conninfo, Secret, Warning};
use super::World;

const PASSFILE: &str = "/home/ann/.pgpass";

fn passwords(conninfo: &Conninfo) -> Vec<Option<&str>> {
    conninfo.targets().iter().map(|target| target.password.as_ref().map(Secret::expose)).collect()
}

#[test]
fn a_given_password_serves_every_target() {
    let world = World::new().file(PASSFILE, "*:*:*:*:file").var("PGPASSWORD", "env");
    assert_eq!(passwords(&world.resolved("host=a,b password=given")), [Some("given"), Some("given")]);
    assert_eq!(passwords(&world.resolved("host=a")), [Some("env")]);
    assert_eq!(passwords(&world.resolved("host=a password=''")), [Some("file")]);
}

#[test]
fn the_password_file_answers_for_each_target() {
    let text = "a:5432:app:ann:for-a\n*:7:*:*:port-7\n127.0.0.1:*:*:*:by-address\nlocalhost:*:*:*:socket\n";
    let world = World::new().file(PASSFILE, text);
    let conninfo = world.resolved("dbname=app host=a,b,,/tmp,/run/x hostaddr=,,127.0.0.1,, port=5432,7,1,1,1");
    assert_eq!(passwords(&conninfo), [Some("for-a"), Some("port-7"), Some("by-address"), Some("socket"), None]);
    assert!(conninfo.targets()[0].password_from_file);
    assert_eq!(passwords(&conninfo.with_dbname("other"))[0], None);
    assert_eq!(passwords(&conninfo.with_dbname("other").with_dbname("app"))[0], Some("for-a"));
}

#[test]
fn the_password_file_can_be_elsewhere() {
    let world = World::new().file("/a", "*:*:*:*:a").file("/b", "*:*:*:*:b").var("PGPASSFILE", "/a");
    assert_eq!(passwords(&world.resolved("")), [Some("a")]);
    assert_eq!(passwords(&world.resolved("passfile=/b")), [Some("b")]);
    assert_eq!(passwords(&world.resolved("passfile=/none")), [None]);
}

#[test]
fn a_password_file_that_others_may_use_is_not_used() {
    for mode in [0o640, 0o604, 0o660, 0o644] {
        let conninfo = World::new().file_with_mode(PASSFILE, mode, "*:*:*:*:pw").resolved("");
        assert_eq!(passwords(&conninfo), [None]);
        assert_eq!(
            conninfo.warnings()[0].to_string(),
            "password file \"/home/ann/.pgpass\" has group or world access; permissions should be u=rw (0600) or less"
        );
    }
    let conninfo = World::new().directory(PASSFILE).resolved("");
    assert!(matches!(conninfo.warnings(), [Warning::PassfileNotPlain(_)]));
    assert!(World::new().file_with_mode(PASSFILE, 0o400, "*:*:*:*:pw").resolved("").warnings().is_empty());
}
