//! Opening a connection: to the first of the conninfo's servers that will do.

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Client;

use super::attempt::{AttemptError, attempt};
use super::backend::Backend;
use super::cancel::CancelHandle;
use super::conninfo::{Conninfo, LoadBalanceHosts, Target, TargetSessionAttrs};
use super::endpoint::Endpoint;
use super::failure;
use super::leash::{Leash, Slip};
use super::tls::ways;
use super::wire::Wire;
use crate::error::Error;

const DOING: &str = "connecting";

/// Opens a connection. Tries the hosts as libpq does (the manual, "Specifying Multiple Hosts"): the next one when one
/// cannot be reached or is not of the wanted kind, but not after a refused password.
pub fn open(conninfo: &Conninfo, leash: &Leash) -> Result<Backend, Error> {
    let mut targets: Vec<&Target> = conninfo.targets().iter().collect();
    if conninfo.load_balance_hosts() == LoadBalanceHosts::Random {
        shuffle(&mut targets);
    }
    let wanted = conninfo.target_session_attrs();
    let passes: &[TargetSessionAttrs] = match wanted {
        TargetSessionAttrs::PreferStandby => &[TargetSessionAttrs::Standby, TargetSessionAttrs::Any],
        _ => &[wanted],
    };
    let mut failed = Err(Error::usage("the conninfo names no host", "Give host=…"));
    for &pass in passes {
        failed = first_that_will_do(conninfo, &targets, pass, leash);
        if failed.is_ok() {
            break;
        }
    }
    failed
}

fn first_that_will_do(
    conninfo: &Conninfo,
    targets: &[&Target],
    wanted: TargetSessionAttrs,
    leash: &Leash,
) -> Result<Backend, Error> {
    let mut earlier = Vec::new();
    let mut last = None;
    for target in targets {
        if let Some((target, error)) = last.take() {
            earlier.push(failure::brief(target, &error));
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Bug { what: format!("no event loop for a connection: {error}") })?;
        match reach(&runtime, conninfo, target, leash) {
            Ok(Ok((client, wire, cancel))) => {
                let mut backend = Backend::new(client, wire, runtime, cancel);
                if is_wanted(&mut backend, wanted, leash)? {
                    return Ok(backend);
                }
                last = Some((*target, AttemptError::Unwanted(wanted)));
            }
            Ok(Err(error)) => {
                if is_final(&error) {
                    return Err(failure::tell(conninfo, target, error, &earlier));
                }
                last = Some((*target, error));
            }
            Err(slip) => {
                // A look-up of a host's name cannot be cut short; it must not be waited for either.
                runtime.shutdown_background();
                return Err(match slip {
                    Slip::Cut => Error::Halted,
                    Slip::Over => Error::Timeout { doing: DOING.to_owned() },
                });
            }
        }
    }
    Err(match last {
        Some((target, error)) => failure::tell(conninfo, target, error, &earlier),
        None => Error::usage("the conninfo names no host", "Give host=…"),
    })
}

type Reached = Result<(Client, Wire, CancelHandle), AttemptError>;

fn reach(runtime: &Runtime, conninfo: &Conninfo, target: &Target, leash: &Leash) -> Result<Reached, Slip> {
    runtime.block_on(async {
        let every_address = async {
            let mut last = None;
            for endpoint in Endpoint::resolve(target, conninfo.tcp_timers()).await? {
                for &way in ways(conninfo.ssl().mode, target.is_tcp()) {
                    match attempt(conninfo, target, &endpoint, way).await {
                        Err(error) => {
                            // What the server says about user or password says more than what came of falling back.
                            if last.as_ref().is_none_or(|last| !is_final(last)) {
                                last = Some(error);
                            }
                        }
                        reached => return reached,
                    }
                }
                if last.as_ref().is_some_and(is_final) {
                    break;
                }
            }
            Err(last.unwrap_or_else(|| std::io::Error::other("the host has no address").into()))
        };
        tokio::select! {
            biased;
            reached = every_address => Ok(reached),
            slip = leash.ended() => Err(slip),
        }
    })
}

/// Whether another host would not help: the server has said no to this user or password.
fn is_final(error: &AttemptError) -> bool {
    let AttemptError::Driver(error) = error else { return false };
    error.as_db_error().is_some_and(|refusal| refusal.code().code().starts_with("28"))
}

fn is_wanted(backend: &mut Backend, wanted: TargetSessionAttrs, leash: &Leash) -> Result<bool, Error> {
    if wanted == TargetSessionAttrs::Any {
        return Ok(true);
    }
    let reply =
        backend.ask("SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'", DOING, leash)?;
    let flags: Vec<bool> = reply
        .rows()
        .first()
        .map(|row| row.iter().map(|flag| flag.as_deref() == Some("t")).collect())
        .unwrap_or_default();
    let (standby, read_only) = (flags.first() == Some(&true), flags.get(1) == Some(&true));
    Ok(match wanted {
        TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => true,
        TargetSessionAttrs::ReadWrite => !read_only,
        TargetSessionAttrs::ReadOnly => read_only,
        TargetSessionAttrs::Primary => !standby,
        TargetSessionAttrs::Standby => standby,
    })
}

fn shuffle(targets: &mut [&Target]) {
    for index in (1..targets.len()).rev() {
        let random = getrandom::u32().unwrap_or_default() as usize;
        targets.swap(index, random % (index + 1));
    }
}
