//! No password in any text: not in `Debug`, not in a redacted string, not in an error.

use super::World;

const FIRST: &str = "hunterA";
const SECOND: &str = "hunterB";

fn assert_no_secret(text: &str, dsn: &str) {
    assert!(!text.contains(FIRST) && !text.contains(SECOND), "{dsn:?} shows its password in: {text}");
}

#[test]
fn what_resolves_hides_its_secrets() {
    let world = World::new()
        .file("/home/ann/.pgpass", "*:*:*:*:hunterA\n")
        .file("/home/ann/.pg_service.conf", "[s]\npassword=hunterA\n[t]\nsslpassword=hunterB\n")
        .var("PGPASSFILE", "/home/ann/.pgpass");
    for dsn in [
        "",
        "password=hunterA",
        "postgresql://u:hunterA@h/db",
        "postgresql://h/db?password=hunterA&sslpassword=hunterB",
        "service=s",
        "service=t oauth_client_secret=hunterA",
    ] {
        let conninfo = world.resolved(dsn);
        assert_no_secret(&format!("{conninfo:?} {conninfo:#?}"), dsn);
        assert_no_secret(&conninfo.redacted(), dsn);
        assert_eq!(conninfo.value("password"), None);
    }
}

#[test]
fn what_cannot_be_read_hides_its_secrets() {
    let world = World::new();
    let mut refused = 0;
    for between in
        [" ", "  ", "/", "@", ":", "?", "&", "=", "%", "%00", "#", "'", "\\", "[", "]", ",", "\n", "\t", " = "]
    {
        let password = format!("{FIRST}{between}{SECOND}");
        for dsn in [
            format!("postgresql://u:{password}@h/db"),
            format!("postgresql://u:{password}@h:1/db?sslmode=x"),
            format!("postgresql://h/db?password={password}"),
            format!("postgresql://h/db?user=u&password={password}&port=1"),
            format!("host=h password={password} port=x"),
            format!("host=h password='{password}' port=1"),
            format!("password={password}"),
            format!("u:{password}@h/db"),
            format!("jdbc:postgresql://u:{password}@h/db?sslmode=disable"),
            format!("scram_client_key={password}"),
            format!("postgresql://u:{FIRST}?{SECOND}=1/2@h/db"),
            format!("postgresql://h/db?password={FIRST}&{SECOND}=1"),
        ] {
            match world.resolve(&dsn) {
                Err(error) => {
                    refused += 1;
                    assert_no_secret(&format!("{error} {error:?} {}", error.hint()), &dsn);
                }
                Ok(conninfo) => {
                    assert_no_secret(&format!("{conninfo:?} {}", conninfo.redacted()), &dsn);
                }
            }
        }
    }
    assert!(refused > 80, "only {refused} were refused");
}

#[test]
fn what_is_wrong_in_a_file_hides_its_secrets() {
    for line in ["hunterA", "hunterA=hunterB", "password hunterA", "service=hunterA"] {
        let world = World::new().file("/home/ann/.pg_service.conf", &format!("[s]\n{line}\n"));
        let error = world.resolve("service=s").unwrap_err();
        assert_no_secret(&format!("{error} {error:?} {}", error.hint()), line);
    }
}
