//! What a conninfo says about TLS.

use std::path::PathBuf;

use super::super::{ConninfoError, Roots, SslMode, TlsFile, TlsVersion, Verification};
use super::World;

const ROOT: &str = "/home/ann/.postgresql/root.crt";

fn verification(world: &World, dsn: &str) -> Result<Verification, ConninfoError> {
    world.resolved(dsn).ssl().verification(world)
}

#[test]
fn defaults_are_libpqs() {
    let conninfo = World::new().resolved("");
    let ssl = conninfo.ssl();
    assert_eq!(ssl.mode, SslMode::Prefer);
    assert_eq!((ssl.minimum_version, ssl.maximum_version), (Some(TlsVersion::Tls12), None));
    assert!(ssl.server_name_indication);
    assert_eq!(ssl.key, TlsFile::Default(PathBuf::from("/home/ann/.postgresql/postgresql.key")));
}

#[test]
fn a_root_certificate_that_exists_is_always_used() {
    let without = World::new();
    let with = World::new().file(ROOT, "");
    let chain = || Ok(Verification::Chain(Roots::File(PathBuf::from(ROOT))));
    let missing = || Err(ConninfoError::RootCertificateMissing { path: PathBuf::from(ROOT) });
    for (mode, bare, trusting) in [
        ("disable", Ok(Verification::None), Ok(Verification::None)),
        ("allow", Ok(Verification::None), chain()),
        ("prefer", Ok(Verification::None), chain()),
        ("require", Ok(Verification::None), chain()),
        ("verify-ca", missing(), chain()),
        ("verify-full", missing(), Ok(Verification::ChainAndName(Roots::File(PathBuf::from(ROOT))))),
    ] {
        let dsn = format!("sslmode={mode}");
        assert_eq!(verification(&without, &dsn), bare, "{mode}");
        assert_eq!(verification(&with, &dsn), trusting, "{mode}");
    }
    let homeless = World { homeless: true, ..World::new() };
    assert_eq!(verification(&homeless, "sslmode=verify-ca"), Err(ConninfoError::NoHomeForRootCertificate));
}

#[test]
fn the_systems_roots_need_verify_full() {
    let world = World::new();
    let conninfo = world.resolved("sslrootcert=system");
    assert_eq!(conninfo.ssl().mode, SslMode::VerifyFull);
    assert_eq!(conninfo.ssl().verification(&world), Ok(Verification::ChainAndName(Roots::System)));
    assert_eq!(
        world.refusal("sslrootcert=system sslmode=verify-ca"),
        "weak sslmode \"verify-ca\" may not be used with sslrootcert=system (use \"verify-full\")"
    );
    let by_variable = World::new().var("PGSSLROOTCERT", "system").var("PGSSLMODE", "require");
    assert!(by_variable.refusal("").starts_with("weak sslmode \"require\""));
}

#[test]
fn direct_negotiation_needs_tls() {
    assert_eq!(
        World::new().refusal("sslnegotiation=direct"),
        "weak sslmode \"prefer\" may not be used with sslnegotiation=direct \
         (use \"require\", \"verify-ca\", or \"verify-full\")"
    );
    World::new().resolved("sslnegotiation=direct sslmode=require");
}

#[test]
fn revocation_lists() {
    let crl = "/home/ann/.postgresql/root.crl";
    let world = World::new().file(crl, "").file("/crl", "");
    let lists = |dsn: &str| {
        let conninfo = world.resolved(dsn);
        let (list, directory) = conninfo.ssl().revocation(&world);
        (list.cloned(), directory.cloned())
    };
    let path = |path: &str| Some(PathBuf::from(path));
    assert_eq!(lists(""), (path(crl), None));
    assert_eq!(lists("sslcrl=/crl"), (path("/crl"), None));
    assert_eq!(lists("sslcrldir=/d"), (None, path("/d")));
    assert_eq!(lists("sslcrl=/crl sslcrldir=/d"), (path("/crl"), path("/d")));
}

#[test]
fn values_are_checked_in_libpqs_words() {
    let world = World::new();
    for keyword in [
        "sslmode",
        "sslnegotiation",
        "sslcertmode",
        "channel_binding",
        "gssencmode",
        "target_session_attrs",
        "load_balance_hosts",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "min_protocol_version",
        "max_protocol_version",
        "require_auth",
    ] {
        assert_eq!(world.refusal(&format!("{keyword}=x")), format!("invalid {keyword} value: \"x\""));
    }
    assert!(
        world.refusal("ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=tlsv1.2").contains("is greater than")
    );
    assert!(world.refusal("ssl_min_protocol_version='' ssl_max_protocol_version=TLSv1.1").contains("not built in"));
    world.resolved("ssl_min_protocol_version='' ssl_max_protocol_version=TLSv1.1 sslmode=disable");
}
