//! Cancelling what a backend does, from outside: PostgreSQL's cancel request, which needs no privilege.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::{CancelToken, NoTls};

use super::endpoint::Endpoint;
use super::tls::Tls;

/// Cancels the current statement of one backend. Inherently racy: a statement that is through is not affected, the
/// next one may be (the manual's chapter "Canceling Requests in Progress").
#[derive(Clone)]
pub struct CancelHandle {
    token: CancelToken,
    endpoint: Endpoint,
    tls: Option<Tls>,
}

impl CancelHandle {
    pub(super) fn new(token: CancelToken, endpoint: Endpoint, tls: Option<Tls>) -> Self {
        Self { token, endpoint, tls }
    }

    async fn send(&self) {
        // A failure means that the backend is gone or the server does not answer; whoever asked sees that by itself.
        let Ok(stream) = self.endpoint.connect().await else { return };
        let _ = match self.tls.as_ref().map(Tls::connect) {
            Some(Ok(tls)) => self.token.cancel_query_raw(stream, tls).await,
            Some(Err(_)) => return,
            None => self.token.cancel_query_raw(stream, NoTls).await,
        };
    }
}

/// Sends a cancel request for each, all at once; gives up after `patience`.
pub fn cancel_all(handles: &[CancelHandle], patience: Duration) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    runtime.block_on(async {
        let _ = tokio::time::timeout(patience, join_all(handles.iter().map(CancelHandle::send))).await;
    });
}
