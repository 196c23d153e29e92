//! Cancelling what a backend does, from outside: PostgreSQL's cancel request, which needs no privilege.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::{CancelToken, NoTls};

use super::endpoint::Endpoint;

/// Cancels the current statement of one backend. Inherently racy: a statement that is through is not affected, the
/// next one may be (the manual's chapter "Canceling Requests in Progress").
#[derive(Clone)]
pub struct CancelHandle {
    token: CancelToken,
    endpoint: Endpoint,
}

impl CancelHandle {
    pub(super) fn new(token: CancelToken, endpoint: Endpoint) -> Self {
        Self { token, endpoint }
    }

    async fn send(&self) {
        // A failure means that the backend is gone or the server does not answer; whoever asked sees that by itself.
        if let Ok(stream) = self.endpoint.connect().await {
            let _ = self.token.cancel_query_raw(stream, NoTls).await;
        }
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
