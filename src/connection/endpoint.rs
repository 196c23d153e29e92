//! Where a server's socket is, and how to get a stream to it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_util::either::Either;

use super::conninfo::{Host, Target, TcpTimers};

/// A stream to a server, before TLS.
#[cfg(unix)]
pub(super) type Stream = Either<TcpStream, UnixStream>;
/// A stream to a server, before TLS. Windows has Unix sockets, but tokio does not know them there.
#[cfg(not(unix))]
pub(super) type Stream = Either<TcpStream, TcpStream>;

/// One address of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Tcp(SocketAddr, TcpTimers),
    Unix(PathBuf),
    Abstract(String),
}

impl Endpoint {
    /// The addresses of a target, in the order in which they are to be tried. Looks the host's name up.
    pub(super) async fn resolve(target: &Target, timers: TcpTimers) -> io::Result<Vec<Self>> {
        if let Some(name) = target.abstract_socket() {
            return Ok(vec![Self::Abstract(name)]);
        }
        if let Some(path) = target.socket() {
            return Ok(vec![Self::Unix(path)]);
        }
        let Host::Tcp { name, addr } = &target.host else { return Ok(Vec::new()) };
        if let Some(addr) = addr {
            return Ok(vec![Self::Tcp(SocketAddr::new(*addr, target.port), timers)]);
        }
        let name = name.as_deref().unwrap_or_default();
        Ok(tokio::net::lookup_host((name, target.port)).await?.map(|address| Self::Tcp(address, timers)).collect())
    }

    /// Connects.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(address, timers) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                set_timers(&stream, timers)?;
                Ok(Either::Left(stream))
            }
            #[cfg(unix)]
            Self::Unix(path) => Ok(Either::Right(UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Self::Unix(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets are for Unix only; name a host"))
            }
            Self::Abstract(name) => Ok(Either::Right(connect_abstract(name)?)),
        }
    }
}

fn set_timers(stream: &TcpStream, timers: &TcpTimers) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if timers.keepalives {
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = timers.idle {
            keepalive = keepalive.with_time(idle);
        }
        if let Some(interval) = timers.interval {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(count) = timers.count {
            keepalive = keepalive.with_retries(count);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if timers.user_timeout.is_some() {
        socket.set_tcp_user_timeout(timers.user_timeout)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn connect_abstract(name: &str) -> io::Result<UnixStream> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn connect_abstract(_: &str) -> io::Result<UnixStream> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "abstract Unix sockets exist on Linux only"))
}

#[cfg(not(unix))]
fn connect_abstract(_: &str) -> io::Result<TcpStream> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "abstract Unix sockets exist on Linux only"))
}
