//! One attempt to connect to one address of one server.

use std::time::Duration;

use futures_util::stream::poll_fn;
use tokio_postgres::config::{
    ChannelBinding as DriverChannelBinding, SslMode as DriverSslMode, SslNegotiation as DriverSslNegotiation,
};
use tokio_postgres::{Client, NoTls};

use super::cancel::CancelHandle;
use super::conninfo::{ChannelBinding, Conninfo, SystemEnvironment, Target, TargetSessionAttrs};
use super::endpoint::Endpoint;
use super::tls::{Tls, Way};
use super::wire::{Messages, Readiness, Wire};
use crate::error::Error;

/// What a client calls itself until its sessions have names.
const APPLICATION_NAME: &str = "lockstep";

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// The server was not reached.
    #[error(transparent)]
    Network(#[from] std::io::Error),
    /// It took longer than `connect_timeout`.
    #[error("no answer within connect_timeout ({} s)", .0.as_secs())]
    Slow(Duration),
    /// It is a server of another kind.
    #[error("it is not target_session_attrs={0}")]
    Unwanted(TargetSessionAttrs),
    /// What TLS needs is not usable: nothing was sent.
    #[error(transparent)]
    Tls(Error),
    /// The server, or the driver on its behalf, refused.
    #[error(transparent)]
    Driver(#[from] tokio_postgres::Error),
}

/// Connects and authenticates.
pub(super) async fn attempt(
    conninfo: &Conninfo,
    target: &Target,
    endpoint: &Endpoint,
    way: Way,
) -> Result<(Client, Wire, CancelHandle), AttemptError> {
    let work = shake_hands(conninfo, target, endpoint, way);
    match conninfo.connect_timeout() {
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| AttemptError::Slow(limit))?,
        None => work.await,
    }
}

async fn shake_hands(
    conninfo: &Conninfo,
    target: &Target,
    endpoint: &Endpoint,
    way: Way,
) -> Result<(Client, Wire, CancelHandle), AttemptError> {
    let mut config = driver_config(conninfo, target);
    let tls = match way {
        Way::Plain => None,
        Way::TlsIfOffered | Way::Tls => {
            Some(Tls::set_up(conninfo.ssl(), target, way, &SystemEnvironment).map_err(AttemptError::Tls)?)
        }
    };
    let stream = endpoint.connect().await?;
    let readiness = Readiness::of(&stream)?;
    let (client, messages): (Client, Messages) = match &tls {
        None => {
            let (client, mut connection) = config.connect_raw(stream, NoTls).await?;
            (client, Box::pin(poll_fn(move |cx| connection.poll_message(cx))))
        }
        Some(tls) => {
            config.ssl_mode(if tls.is_required() { DriverSslMode::Require } else { DriverSslMode::Prefer });
            if tls.is_direct() {
                config.ssl_negotiation(DriverSslNegotiation::Direct);
            }
            let (client, mut connection) = config.connect_raw(stream, tls.connect()).await?;
            (client, Box::pin(poll_fn(move |cx| connection.poll_message(cx))))
        }
    };
    let cancel = CancelHandle::of(&client, endpoint.clone(), tls).await?;
    Ok((client, Wire::new(messages, readiness), cancel))
}

fn driver_config(conninfo: &Conninfo, target: &Target) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .user(conninfo.user())
        .dbname(conninfo.dbname())
        .application_name(conninfo.application_name().unwrap_or(APPLICATION_NAME))
        .ssl_mode(DriverSslMode::Disable)
        .channel_binding(match conninfo.ssl().channel_binding {
            ChannelBinding::Disable => DriverChannelBinding::Disable,
            ChannelBinding::Prefer => DriverChannelBinding::Prefer,
            ChannelBinding::Require => DriverChannelBinding::Require,
        });
    if let Some(password) = &target.password {
        config.password(password.expose());
    }
    let settings = conninfo.session_settings().iter().map(|(name, value)| format!("-c {name}={}", escaped(value)));
    let options: Vec<String> = conninfo.options().map(str::to_owned).into_iter().chain(settings).collect();
    if !options.is_empty() {
        config.options(options.join(" "));
    }
    config
}

/// A value in the start-up packet's `options`, where a blank ends a value and a backslash escapes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\ ")
}
