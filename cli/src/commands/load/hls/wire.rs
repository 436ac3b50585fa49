//! Requests as a player makes them, at as little cost as there can be: one connection kept alive, no body
//! kept that nobody reads.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HOST, HeaderValue, RANGE, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::error::os;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The most a connection's buffer may grow to, in bytes; there are many.
const BUFFER_MAX: usize = 128 << 10;
/// How much of a stream may be on its way on an HTTP/2 connection, in bytes: a whole part.
const WINDOW: u32 = 1 << 20;

/// The server, looked up once for all viewers.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Host and port, as a request names them.
    pub(super) host: HeaderValue,
    /// Whether HTTP/2 is spoken, with prior knowledge.
    pub(super) is_http2: bool,
    /// How long an answer may take, blocked as long as the server may.
    pub(super) patience: Duration,
}

/// What of a body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of it.
    Body,
    /// Its length alone.
    Length,
}

/// A whole answer with a good status.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its body, where it was to be kept.
    pub(super) body: Bytes,
    pub(super) length: u64,
    pub(super) is_gzip: bool,
    /// When its last byte was here.
    pub(super) ended: Instant,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server's word.
    Status(StatusCode),
    /// The connection's end, in words.
    Lost(String),
}

impl Trouble {
    /// As errors are counted: `part: 404`.
    pub(super) fn code(&self, asked: &str) -> String {
        match self {
            Self::Status(status) => format!("{asked}: {}", status.as_u16()),
            Self::Lost(why) => format!("{asked}: {why}"),
        }
    }
}

/// One connection to the server, made when it is needed, and again when it is lost.
#[derive(Debug)]
pub(super) struct Line {
    sender: Option<Sender>,
}

#[derive(Debug)]
struct Sender {
    requests: Requests,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Requests {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Line {
    pub(super) fn new() -> Self {
        Self { sender: None }
    }

    /// A line beside this one: in HTTP/2 another stream of its connection.
    pub(super) async fn beside(&mut self, server: &Server) -> Result<Self, Trouble> {
        if !server.is_http2 {
            return Ok(Self::new());
        }
        let Requests::Http2(requests) = &self.connected(server).await?.requests else {
            return Ok(Self::new());
        };
        // The connection lives as long as the line that made it; this one's driver has nothing to do.
        let sender = Sender { requests: Requests::Http2(requests.clone()), driver: tokio::spawn(async {}) };
        Ok(Self { sender: Some(sender) })
    }

    /// Asks for `path`, and waits for all of the answer.
    pub(super) async fn get(
        &mut self,
        server: &Server,
        path: &str,
        range: Option<(u64, u64)>,
        keep: Keep,
    ) -> Result<Answer, Trouble> {
        let answer = match timeout(server.patience, self.ask(server, path, range, keep)).await {
            Ok(answer) => answer,
            Err(_) => Err(Trouble::Lost("no answer in time".to_owned())),
        };
        if let Err(Trouble::Lost(_)) = answer {
            self.sender = None;
        }
        answer
    }

    async fn ask(
        &mut self,
        server: &Server,
        path: &str,
        range: Option<(u64, u64)>,
        keep: Keep,
    ) -> Result<Answer, Trouble> {
        let request = request(server, path, range)?;
        let sender = self.connected(server).await?;
        let response = match &mut sender.requests {
            Requests::Http1(requests) => {
                requests.ready().await.map_err(|error| lost(&error))?;
                requests.send_request(request).await
            }
            Requests::Http2(requests) => {
                requests.ready().await.map_err(|error| lost(&error))?;
                requests.send_request(request).await
            }
        };
        read(response.map_err(|error| lost(&error))?, keep).await
    }

    async fn connected(&mut self, server: &Server) -> Result<&mut Sender, Trouble> {
        let is_open = self.sender.as_ref().is_some_and(|sender| match &sender.requests {
            Requests::Http1(requests) => !requests.is_closed(),
            Requests::Http2(requests) => !requests.is_closed(),
        });
        if !is_open {
            self.sender = None;
        }
        match &mut self.sender {
            Some(sender) => Ok(sender),
            empty => Ok(empty.insert(connect(server).await?)),
        }
    }
}

async fn connect(server: &Server) -> Result<Sender, Trouble> {
    let stream = match timeout(CONNECT_MAX, TcpStream::connect(server.address)).await {
        Ok(stream) => stream.map_err(|error| Trouble::Lost(os(&error)))?,
        Err(_) => return Err(Trouble::Lost("cannot connect in time".to_owned())),
    };
    stream.set_nodelay(true).map_err(|error| Trouble::Lost(os(&error)))?;
    let stream = TokioIo::new(stream);
    if server.is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(2 * WINDOW);
        let (requests, connection) = builder.handshake(stream).await.map_err(|error| lost(&error))?;
        let driver = tokio::spawn(async {
            // Its end is told to whoever waits for an answer.
            let _ = connection.await;
        });
        return Ok(Sender { requests: Requests::Http2(requests), driver });
    }
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_MAX);
    let (requests, connection) = builder.handshake(stream).await.map_err(|error| lost(&error))?;
    let driver = tokio::spawn(async {
        let _ = connection.await;
    });
    Ok(Sender { requests: Requests::Http1(requests), driver })
}

fn request(server: &Server, path: &str, range: Option<(u64, u64)>) -> Result<Request<Empty<Bytes>>, Trouble> {
    let bad = |why: String| Trouble::Lost(format!("bad request: {why}"));
    let mut request = Request::new(Empty::new());
    let uri = if server.is_http2 {
        let host = server.host.to_str().unwrap_or_default();
        format!("http://{host}{path}").parse::<Uri>()
    } else {
        path.parse::<Uri>()
    };
    *request.uri_mut() = uri.map_err(|error| bad(error.to_string()))?;
    let headers = request.headers_mut();
    if !server.is_http2 {
        headers.insert(HOST, server.host.clone());
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("mobzctl/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some((first, length)) = range {
        let range = HeaderValue::from_str(&format!("bytes={first}-{}", first + length.max(1) - 1));
        headers.insert(RANGE, range.map_err(|error| bad(error.to_string()))?);
    }
    Ok(request)
}

async fn read(response: Response<Incoming>, keep: Keep) -> Result<Answer, Trouble> {
    let (head, mut body) = response.into_parts();
    let is_gzip = head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    let (mut length, mut first, mut more) = (0, None, BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| lost(&error))?.into_data() else { continue };
        length += bytes.len() as u64;
        if keep == Keep::Length {
            continue;
        }
        // Most bodies that are kept come in one piece, which is not copied.
        match first.take() {
            None if more.is_empty() => first = Some(bytes),
            None => more.extend_from_slice(&bytes),
            Some(before) => {
                more.extend_from_slice(&before);
                more.extend_from_slice(&bytes);
            }
        }
    }
    if !head.status.is_success() {
        return Err(Trouble::Status(head.status));
    }
    let body = first.unwrap_or_else(|| more.freeze());
    Ok(Answer { body, length, is_gzip, ended: Instant::now() })
}

fn lost(error: &hyper::Error) -> Trouble {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let why = root.to_string();
    Trouble::Lost(why.split(" (os error").next().unwrap_or_default().to_lowercase())
}
