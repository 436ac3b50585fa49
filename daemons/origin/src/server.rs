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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::task::TaskTracker;

use crate::App;
use crate::asked::Asked;
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

/// What all connections share.
struct Server {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    builder: Builder<TokioExecutor>,
}

pub(crate) async fn serve(app: Arc<App>, tls: Option<Arc<Tls>>, listener: TcpListener) -> io::Result<()> {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let shutdown = app.shutdown.clone();
    let server = Arc::new(Server { app, tls, builder: builder() });
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
                connections.spawn(connection(Arc::clone(&server), socket, place));
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

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    builder
}

/// A connection's bytes: in the clear, or under TLS, in a box since most are not.
type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

async fn connection(server: Arc<Server>, socket: TcpStream, _place: OwnedSemaphorePermit) {
    let _held = server.app.metrics.connect();
    // A part is written whole: waiting to fill a packet only delays it.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    // In a box: what shaking hands takes is given back before the first request.
    let begun = tokio::select! {
        begun = Box::pin(timeout(HANDSHAKE_MAX, begin(server.tls.as_deref(), socket))) => begun,
        () = server.app.shutdown.cancelled() => return,
    };
    match begun {
        Ok(Ok(socket)) => http(server, socket).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not begin"),
        Err(_) => tracing::debug!("a connection did not begin in time"),
    }
}

async fn begin(tls: Option<&Tls>, socket: TcpStream) -> io::Result<Socket> {
    let Some(tls) = tls else { return Ok(Either::Left(socket)) };
    let mut first = [0];
    socket.peek(&mut first).await?;
    if first == [TLS_HANDSHAKE] {
        let shaken = TlsAcceptor::from(tls.config()).accept(socket).await?;
        Ok(Either::Right(Box::new(shaken)))
    } else {
        Ok(Either::Left(socket))
    }
}

async fn http(server: Arc<Server>, socket: Socket) {
    let app = Arc::clone(&server.app);
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, asked) = (Arc::clone(&app), Asked::of(&request));
        async move { Ok::<_, Infallible>(app.answer(&asked).await) }
    });
    let serving = server.builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = server.app.shutdown.cancelled() => {
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
