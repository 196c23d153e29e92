//! The table of keywords.

use super::super::keywords::{DRIVER_KEYWORDS, KEYWORDS, Treatment};
use super::World;

/// What libpq 18's `PQconndefaults` lists, and `servicefile`.
const LIBPQ: &str = "service servicefile user password passfile channel_binding connect_timeout dbname host hostaddr \
    port client_encoding options application_name fallback_application_name keepalives keepalives_idle \
    keepalives_interval keepalives_count tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey \
    sslcertmode sslpassword sslrootcert sslcrl sslcrldir sslsni requirepeer require_auth min_protocol_version \
    max_protocol_version ssl_min_protocol_version ssl_max_protocol_version gssencmode krbsrvname gsslib gssdelegation \
    replication target_session_attrs load_balance_hosts scram_client_key scram_server_key oauth_issuer oauth_client_id \
    oauth_client_secret oauth_scope sslkeylogfile";

#[test]
fn every_keyword_of_libpq_is_in_the_table_once() {
    let names: Vec<_> = KEYWORDS.iter().map(|keyword| keyword.name).collect();
    assert_eq!(names, LIBPQ.split_whitespace().collect::<Vec<_>>());
    assert!(DRIVER_KEYWORDS.iter().all(|keyword| !names.contains(&keyword.name)));
}

#[test]
fn every_keyword_does_what_the_table_says() {
    let world = World::new();
    for keyword in KEYWORDS {
        match keyword.treatment {
            Treatment::Honoured => {}
            Treatment::Ignored(_) => {
                let value = if keyword.name == "max_protocol_version" { "3.2" } else { "x" };
                let conninfo = world.resolved(&format!("{}={value}", keyword.name));
                assert_eq!(conninfo.ignored()[0].keyword, keyword.name);
            }
            Treatment::Refused { harmless, why } => {
                let refused = match keyword.name {
                    "gssencmode" | "sslcertmode" => "require",
                    "min_protocol_version" => "3.2",
                    "require_auth" => "scram-sha-256",
                    _ => "x",
                };
                let message = world.refusal(&format!("{}={refused}", keyword.name));
                assert_eq!(message, format!("connection option \"{}\" cannot be honoured: {why}", keyword.name));
                for value in harmless.iter().filter(|value| !value.contains(' ')) {
                    world.resolved(&format!("{}={value}", keyword.name));
                }
            }
        }
    }
    world.resolved("require_auth=!gss,!sspi,!oauth");
}

#[test]
fn a_refusal_says_where_the_setting_came_from() {
    let world = World::new().var("PGGSSENCMODE", "require");
    let error = world.resolve("").unwrap_err();
    assert_eq!(
        error.to_string(),
        "connection option \"gssencmode\" (from PGGSSENCMODE) cannot be honoured: GSSAPI encryption is not built in"
    );
    assert_eq!(error.hint(), "Unset PGGSSENCMODE for this run.");
}
