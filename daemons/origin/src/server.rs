//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port, and an end in bounded time.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::App;
use crate::tls::Tls;

/// The most open connections; beyond it further ones wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 100_000;
/// The most requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// How long a client may take over a request's head, an idle connection included.
const HEAD_MAX: Duration = Duration::from_secs(120);
/// How long a client may take to begin, and to shake hands over TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection (RFC 8446 §5.1, a handshake record); no HTTP request begins with it.
const TLS_HANDSHAKE: u8 = 22;
/// How long connections may take to end when the daemon does.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long to pause when the process cannot take another connection (out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn serve(app: Arc<App>, tls: Option<Arc<Tls>>, listener: TcpListener) -> io::Result<()> {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let shutdown = app.shutdown.clone();
    loop {
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                let (app, tls) = (Arc::clone(&app), tls.clone());
                connections.spawn(async move {
                    connection(app, tls.as_deref(), socket).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_MAX, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "connections did not end in time");
    }
    Ok(())
}

async fn connection(app: Arc<App>, tls: Option<&Tls>, socket: TcpStream) {
    let _held = app.metrics.connect();
    // A part is written whole: waiting to fill a packet only delays it.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    let Some(tls) = tls else { return http(app, socket).await };
    let shutdown = app.shutdown.clone();
    let handshake = async {
        let mut first = [0];
        socket.peek(&mut first).await?;
        if first == [TLS_HANDSHAKE] {
            // In a box: a connection without TLS does not pay for it.
            let shaken = Box::pin(TlsAcceptor::from(tls.config()).accept(socket)).await?;
            io::Result::Ok(Begun::Tls(Box::new(shaken)))
        } else {
            Ok(Begun::Clear(socket))
        }
    };
    let begun = tokio::select! {
        begun = timeout(HANDSHAKE_MAX, handshake) => begun,
        () = shutdown.cancelled() => return,
    };
    match begun {
        Ok(Ok(Begun::Tls(socket))) => http(app, socket).await,
        Ok(Ok(Begun::Clear(socket))) => http(app, socket).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not begin"),
        Err(_) => tracing::debug!("a connection did not begin in time"),
    }
}

/// How a connection has begun.
enum Begun {
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Clear(TcpStream),
}

async fn http(app: Arc<App>, socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let shutdown = app.shutdown.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let app = Arc::clone(&app);
        async move {
            let (head, _) = request.into_parts();
            Ok::<_, Infallible>(app.answer(&head.method, &head.uri, &head.headers).await)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let serving = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            // The tracker's deadline bounds the wait for all; this one bounds each.
            match tokio::time::timeout(DRAIN_MAX, serving.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
