//! Hosts, addresses, ports and sockets.

use std::net::IpAddr;
use std::path::PathBuf;

use super::super::Host;
use super::World;

fn tcp(name: Option<&str>, addr: Option<&str>) -> Host {
    Host::Tcp { name: name.map(str::to_owned), addr: addr.map(|addr| addr.parse::<IpAddr>().unwrap()) }
}

#[test]
fn one_target_a_host_with_its_port() {
    let conninfo = World::new().resolved("host=a,/run/pg,@x port=1,,3");
    let targets: Vec<_> =
        conninfo.targets().iter().map(|target| (target.host.clone(), target.port, target.name.as_str())).collect();
    assert_eq!(
        targets,
        [
            (tcp(Some("a"), None), 1, "a"),
            (Host::Unix(PathBuf::from("/run/pg")), 5432, "/run/pg"),
            (Host::AbstractUnix("x".into()), 3, "@x"),
        ]
    );
    assert_eq!(conninfo.targets()[1].socket(), Some(PathBuf::from("/run/pg/.s.PGSQL.5432")));
    assert_eq!(conninfo.targets()[2].abstract_socket().as_deref(), Some("x/.s.PGSQL.3"));
    assert!(conninfo.targets()[0].is_tcp());
}

#[test]
fn one_port_serves_all_hosts() {
    let conninfo = World::new().resolved("host=a,b port=7");
    assert!(conninfo.targets().iter().all(|target| target.port == 7));
}

#[test]
fn hostaddr_goes_with_host() {
    let conninfo = World::new().resolved("host=a,,c hostaddr=127.0.0.1,::1,");
    let hosts: Vec<_> = conninfo.targets().iter().map(|target| target.host.clone()).collect();
    assert_eq!(hosts, [tcp(Some("a"), Some("127.0.0.1")), tcp(None, Some("::1")), tcp(Some("c"), None)]);
    assert_eq!(conninfo.targets()[1].name, "::1");
}

#[test]
fn lists_that_do_not_match() {
    let world = World::new();
    for (dsn, message) in [
        ("host=a,b hostaddr=::1", "could not match 2 host names to 1 hostaddr values"),
        ("host=a,b,c port=1,2", "could not match 2 port numbers to 3 hosts"),
        ("port=1,2", "could not match 2 port numbers to 1 hosts"),
        ("port=65536", "invalid port number: \"65536\""),
        ("port=0", "invalid port number: \"0\""),
        ("port=x", "invalid port number"),
        ("hostaddr=localhost", "could not parse network address \"localhost\""),
        ("host=b@c", "a host name in the connection string contains \"@\""),
    ] {
        assert_eq!(world.refusal(dsn), message, "{dsn}");
    }
    assert!(world.refusal(&format!("host=/{}", "x".repeat(120))).contains("is too long"));
}

#[cfg(not(windows))]
#[test]
fn without_a_host_the_socket_is_looked_for() {
    let directory = |world: World| world.resolved("port=7").targets()[0].host.clone();
    let unix = |path: &str| Host::Unix(PathBuf::from(path));
    let debian = "/var/run/postgresql";
    assert_eq!(directory(World::new()), unix("/tmp"));
    assert_eq!(directory(World::new().directory("/tmp")), unix("/tmp"));
    assert_eq!(directory(World::new().directory("/tmp").directory(debian)), unix(debian));
    let world = World::new().directory("/tmp").directory(debian).socket("/tmp/.s.PGSQL.7");
    assert_eq!(directory(world), unix("/tmp"));
    let world = World::new().directory(debian).socket("/tmp/.s.PGSQL.8");
    assert_eq!(directory(world), unix(debian));
}
