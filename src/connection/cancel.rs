//! Cancelling what a backend does, from outside: PostgreSQL's cancel request, which needs no privilege.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::Client;
use tokio_postgres::tls::TlsConnect;

use super::cancel_request::CancelRequest;
use super::endpoint::Endpoint;
use super::tls::Tls;

/// The message that asks for TLS (the manual, "Message Formats": `SSLRequest`).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Cancels the current statement of one backend. Inherently racy: a statement that is through is not affected, the
/// next one may be (the manual's chapter "Canceling Requests in Progress").
#[derive(Clone)]
pub struct CancelHandle {
    request: CancelRequest,
    endpoint: Endpoint,
    tls: Option<Tls>,
}

impl CancelHandle {
    pub(super) async fn of(client: &Client, endpoint: Endpoint, tls: Option<Tls>) -> io::Result<Self> {
        Ok(Self { request: CancelRequest::of(client.cancel_token()).await?, endpoint, tls })
    }

    /// The process that the other side named at the start. A pooler makes one up: then it is not the backend's.
    pub(super) fn key_pid(&self) -> i32 {
        self.request.pid()
    }

    /// As secure as the connection itself.
    async fn send(&self) -> io::Result<()> {
        let mut stream = self.endpoint.connect().await?;
        let Some(tls) = &self.tls else { return self.request.send(stream).await };
        if !tls.is_direct() {
            stream.write_all(&SSL_REQUEST).await?;
            let mut answer = [0];
            stream.read_exact(&mut answer).await?;
            if answer != *b"S" {
                return if tls.is_required() {
                    Err(io::ErrorKind::Unsupported.into())
                } else {
                    self.request.send(stream).await
                };
            }
        }
        self.request.send(tls.connect().connect(stream).await?).await
    }
}

/// Sends a cancel request for each, all at once; gives up after `patience`.
pub fn cancel_all(handles: &[CancelHandle], patience: Duration) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        // A failure means that the backend is gone or the server does not answer; whoever asked sees that by itself.
        let _ = tokio::time::timeout(patience, join_all(handles.iter().map(CancelHandle::send))).await;
    });
}
