//! The cancel request of one backend, as it goes over the wire.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio_postgres::CancelToken;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Its length in bytes (the manual, "Message Formats").
const LENGTH: usize = 16;

/// A cancel request, with the secret key in it.
#[derive(Clone)]
pub(super) struct CancelRequest([u8; LENGTH]);

impl CancelRequest {
    /// The request for this token. The driver keeps the key to itself, but tells it in a request: this one goes nowhere.
    pub(super) async fn of(token: CancelToken) -> io::Result<Self> {
        let (ours, mut theirs) = duplex(64);
        // The answer to its request for TLS, should it make one.
        theirs.write_all(b"S").await?;
        token.cancel_query_raw(ours, Nowhere).await.map_err(io::Error::other)?;
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await?;
        let request = sent.len().checked_sub(LENGTH).and_then(|start| sent[start..].try_into().ok());
        request.map(Self).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The process that it names: what the server, or a pooler, said at the start.
    pub(super) fn pid(&self) -> i32 {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = self.0;
        i32::from_be_bytes([a, b, c, d])
    }

    /// Sends it and waits, as libpq does, until the other side closes the connection: then it has been dealt with. To
    /// close it first makes PgBouncer 1.18 crash.
    pub(super) async fn send(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        stream.write_all(&self.0).await?;
        stream.flush().await?;
        while stream.read(&mut [0]).await? > 0 {}
        Ok(())
    }
}

/// TLS to nowhere: passes everything on as it is.
struct Nowhere;

struct Plain(DuplexStream);

impl TlsConnect<DuplexStream> for Nowhere {
    type Stream = Plain;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Plain>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        std::future::ready(Ok(Plain(stream)))
    }
}

impl TlsStream for Plain {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
