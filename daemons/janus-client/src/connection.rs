//! One WebSocket to Janus, kept: read, written, kept alive, opened again and its sessions claimed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit, broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::error::{Error, JanusCode};
use crate::event::Change;
use crate::id::{HandleId, SessionId};
use crate::options::{CHANGES_MAX, MESSAGE_MAX, Options, QUEUE_MAX, WRITE_MAX};
use crate::table::{Answer, Answered, Came, Standing, Table};
use crate::wire::{Envelope, Kind, Nothing, Outbound, quote, read};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Which of the two APIs a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Janus,
    Admin,
}

impl Api {
    fn subprotocol(self) -> HeaderValue {
        match self {
            Self::Janus => HeaderValue::from_static("janus-protocol"),
            Self::Admin => HeaderValue::from_static("janus-admin-protocol"),
        }
    }
}

/// Whom a request is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    pub(crate) session: Option<SessionId>,
    pub(crate) handle: Option<HandleId>,
}

/// What a connection and its users share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) api: Api,
    pub(crate) options: Options,
    table: Mutex<Table>,
    slots: Semaphore,
    changes: broadcast::Sender<Change>,
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the table; were it so, the table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: Change) {
        let _nobody_listens = self.changes.send(change);
    }

    pub(crate) fn session_gone(&self, session: SessionId) {
        if self.table().session_gone(session) {
            self.tell(Change::SessionGone(session));
        }
    }
}

/// A message for the writer.
#[derive(Debug)]
enum Outgoing {
    Text { epoch: u64, text: String },
    Close,
}

/// A way to a connection. The last one that is dropped closes it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Link {
    /// Opens a connection and has it kept.
    pub(crate) async fn open(url: &str, api: Api, options: Options) -> Result<Self, Error> {
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            api,
            slots: Semaphore::new(options.outstanding_max),
            options,
            table: Mutex::new(Table::new()),
            changes,
        });
        let socket = open(&shared).await?;
        let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
        // Nothing to claim: requests are taken at once.
        let epoch = begin(&shared, Standing::Ready);
        tokio::spawn(keep(shared.clone(), outgoing.downgrade(), queue, socket, epoch));
        Ok(Self { shared, outgoing })
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    pub(crate) async fn close(&self) {
        // A queue that is closed is a connection that has ended already.
        if self.outgoing.send(Outgoing::Close).await.is_ok() {
            self.outgoing.closed().await;
        }
    }

    /// Makes a request and waits for its answer.
    pub(crate) async fn request<B: Serialize>(
        &self,
        request: Named,
        target: Target,
        body: &B,
        within: Duration,
    ) -> Result<Utf8Bytes, Error> {
        let deadline = Instant::now() + within;
        let timed_out = || Error::TimedOut { request: request.name, within };
        let slot = timeout_at(deadline, self.shared.slots.acquire()).await.map_err(|_| timed_out())?;
        let slot = slot.map_err(|_| Error::Closed { request: request.name })?;
        let (text, waiting) = prepare(&self.shared, request, target, body, Standing::Ready, Some(slot))?;
        let sent = timeout_at(deadline, self.outgoing.send(text)).await.map_err(|_| timed_out())?;
        sent.map_err(|_| Error::Closed { request: request.name })?;
        let answer = timeout_at(deadline, waiting.answer()).await.map_err(|_| timed_out())?;
        understand(&self.shared, request, target, answer)
    }
}

/// A request's kind, its name for errors, and what answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    /// The value of `janus`.
    pub(crate) janus: &'static str,
    /// The plugin's name for it, if it is for the plugin; else as above.
    pub(crate) name: &'static str,
    pub(crate) answered: Answered,
}

impl Named {
    pub(crate) const fn core(janus: &'static str) -> Self {
        Self { janus, name: janus, answered: Answered::Fully }
    }

    pub(crate) const fn acked(janus: &'static str) -> Self {
        Self { janus, name: janus, answered: Answered::ByAck }
    }

    pub(crate) const fn plugin(name: &'static str) -> Self {
        Self { janus: "message", name, answered: Answered::Fully }
    }
}

/// A request that was noted; it is forgotten when this is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    number: u64,
    answer: oneshot::Receiver<Answer>,
    _slot: Option<SemaphorePermit<'a>>,
}

impl Waiting<'_> {
    async fn answer(mut self) -> Answer {
        (&mut self.answer).await.unwrap_or(Err(crate::table::Unanswered::Lost))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.table().forget(self.number);
    }
}

/// Notes a request and writes it down.
fn prepare<'a, B: Serialize>(
    shared: &'a Shared,
    request: Named,
    target: Target,
    body: &B,
    needs: Standing,
    slot: Option<SemaphorePermit<'a>>,
) -> Result<(Outgoing, Waiting<'a>), Error> {
    let (waiting, transaction, epoch) = {
        let mut table = shared.table();
        match table.standing {
            Standing::Closed => return Err(Error::Closed { request: request.name }),
            standing if standing != needs => return Err(Error::NotConnected { request: request.name }),
            Standing::Down | Standing::Claiming | Standing::Ready => {}
        }
        let (number, answer) = table.expect(request.answered, target.session);
        let transaction = table.transaction(number);
        (Waiting { shared, number, answer, _slot: slot }, transaction, table.epoch)
    };
    let outbound = Outbound {
        janus: request.janus,
        transaction: &transaction,
        session_id: target.session,
        handle_id: target.handle,
        api_secret: shared.options.api_secret.as_deref().filter(|_| shared.api == Api::Janus),
        admin_secret: shared.options.admin_secret.as_deref().filter(|_| shared.api == Api::Admin),
        token: shared.options.token.as_deref().filter(|_| shared.api == Api::Janus),
        body,
    };
    let text = serde_json::to_string(&outbound)
        .map_err(|source| Error::Unwritable { request: request.name, source })?;
    Ok((Outgoing::Text { epoch, text }, waiting))
}

/// Reads what a request was answered: an error of the core is ours.
fn understand(shared: &Shared, request: Named, target: Target, answer: Answer) -> Result<Utf8Bytes, Error> {
    let text = answer.map_err(|unanswered| unanswered.into_error(request.name))?;
    let envelope: Envelope = read(request.name, &text)?;
    let Some(error) = envelope.error else { return Ok(text) };
    if JanusCode(error.code) == JanusCode::SESSION_NOT_FOUND
        && let Some(session) = target.session
    {
        shared.session_gone(session);
    }
    Err(error.into_error(request.name))
}

/// How the service of one socket ended.
enum Ended {
    /// Nobody wants the connection any more.
    Closed,
    Lost(String),
}

/// Serves a socket, and the next one when it is lost, until nobody wants it any more.
async fn keep(
    shared: Arc<Shared>,
    outgoing: mpsc::WeakSender<Outgoing>,
    mut queue: mpsc::Receiver<Outgoing>,
    mut socket: Socket,
    mut epoch: u64,
) {
    loop {
        match serve(&shared, &outgoing, &mut queue, socket, epoch).await {
            Ended::Closed => break,
            Ended::Lost(reason) => {
                tracing::warn!(url = shared.url, reason, "the connection to Janus is lost");
                shared.table().lose(Standing::Down);
                shared.tell(Change::Lost { reason });
            }
        }
        let Some(again) = reopen(&shared, &mut queue).await else { break };
        socket = again;
        epoch = begin(&shared, Standing::Claiming);
    }
    shared.slots.close();
    shared.table().lose(Standing::Closed);
    shared.tell(Change::Closed);
}

fn begin(shared: &Shared, standing: Standing) -> u64 {
    let mut table = shared.table();
    table.standing = standing;
    table.epoch
}

async fn serve(
    shared: &Shared,
    outgoing: &mpsc::WeakSender<Outgoing>,
    queue: &mut mpsc::Receiver<Outgoing>,
    socket: Socket,
    epoch: u64,
) -> Ended {
    let (sink, stream) = socket.split();
    tokio::select! {
        ended = receive(shared, stream) => ended,
        ended = write(queue, sink, epoch) => ended,
        ended = maintain(shared, outgoing) => ended,
    }
}

/// Opens one socket.
async fn open(shared: &Shared) -> Result<Socket, Error> {
    let within = shared.options.connect_timeout;
    let url = || shared.url.clone();
    let failed = |source| Error::Connect { url: url(), source: Box::new(source) };
    let mut request = shared.url.as_str().into_client_request().map_err(failed)?;
    request.headers_mut().insert(tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL, shared.api.subprotocol());
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let opening = connect_async_with_config(request, Some(config), true);
    let opened = timeout(within, opening).await.map_err(|_| Error::ConnectTimedOut { url: url(), within })?;
    opened.map(|(socket, _)| socket).map_err(failed)
}

/// Opens another socket, as often as it takes; `None` when nobody wants it any more.
async fn reopen(shared: &Shared, queue: &mut mpsc::Receiver<Outgoing>) -> Option<Socket> {
    let mut pause = shared.options.backoff_min;
    loop {
        tokio::select! {
            opened = open(shared) => match opened {
                Ok(socket) => return Some(socket),
                Err(error) => tracing::debug!(%error, "Janus is not there yet"),
            },
            () = unwanted(queue) => return None,
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = unwanted(queue) => return None,
        }
        pause = (pause * 2).min(shared.options.backoff_max);
    }
}

/// Returns once the connection is to be closed. What else is queued was for a socket that is gone.
async fn unwanted(queue: &mut mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing::Text { .. }) = queue.recv().await {}
}

async fn receive(shared: &Shared, mut stream: SplitStream<Socket>) -> Ended {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => dispatch(shared, &text),
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map_or_else(String::new, |frame| format!(": {frame}"));
                return Ended::Lost(format!("Janus closed it{reason}"));
            }
            Some(Err(error)) => return Ended::Lost(error.to_string()),
            None => return Ended::Lost("Janus closed it".to_owned()),
        }
    }
}

fn dispatch(shared: &Shared, text: &Utf8Bytes) {
    let envelope: Envelope = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => {
            // Whoever waits for it times out; the rest goes on.
            tracing::warn!(%error, message = quote(text), "Janus sent what cannot be understood");
            return;
        }
    };
    if envelope.janus == Kind::Error && envelope.transaction.is_none() {
        tracing::warn!(message = quote(text), "Janus refused something and does not say what");
    }
    let came = shared.table().receive(&envelope, text);
    match came {
        Came::Settled => {}
        Came::SessionGone(session) => shared.session_gone(session),
    }
}

async fn write(
    queue: &mut mpsc::Receiver<Outgoing>,
    mut sink: SplitSink<Socket, Message>,
    epoch: u64,
) -> Ended {
    let mut batch = Vec::new();
    loop {
        if queue.recv_many(&mut batch, QUEUE_MAX).await == 0 {
            let _ends_anyway = timeout(WRITE_MAX, sink.close()).await;
            return Ended::Closed;
        }
        let writing = async {
            for outgoing in batch.drain(..) {
                match outgoing {
                    Outgoing::Text { epoch: of, text } if of == epoch => {
                        sink.feed(Message::text(text)).await?;
                    }
                    Outgoing::Text { .. } => {}
                    Outgoing::Close => {
                        sink.close().await?;
                        return Ok(true);
                    }
                }
            }
            sink.flush().await?;
            Ok(false)
        };
        match timeout(WRITE_MAX, writing).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => return Ended::Closed,
            Ok(Err(error)) => {
                let error: tungstenite::Error = error;
                return Ended::Lost(error.to_string());
            }
            Err(_) => return Ended::Lost(format!("Janus read nothing for {WRITE_MAX:?}")),
        }
    }
}

/// Claims the sessions, then keeps them alive.
async fn maintain(shared: &Shared, outgoing: &mpsc::WeakSender<Outgoing>) -> Ended {
    let claiming = shared.table().standing == Standing::Claiming;
    if claiming {
        let sessions = shared.table().sessions();
        for session in sessions {
            match ask(shared, outgoing, Named::core("claim"), Some(session), Standing::Claiming).await {
                Ok(()) => shared.tell(Change::Claimed(session)),
                // Refused for whatever reason: it is not ours any more.
                Err(Some(Error::Janus { .. })) => shared.session_gone(session),
                Err(Some(error)) => return Ended::Lost(error.to_string()),
                Err(None) => return Ended::Closed,
            }
        }
        shared.table().standing = Standing::Ready;
        shared.tell(Change::Connected);
    }
    loop {
        sleep(shared.options.keepalive).await;
        let sessions = shared.table().sessions();
        let (request, targets) = if sessions.is_empty() {
            (Named::core("ping"), vec![None])
        } else {
            (Named::acked("keepalive"), sessions.into_iter().map(Some).collect())
        };
        for session in targets {
            match ask(shared, outgoing, request, session, Standing::Ready).await {
                Ok(()) | Err(Some(Error::Janus { .. })) => {}
                Err(Some(error)) => return Ended::Lost(error.to_string()),
                Err(None) => return Ended::Closed,
            }
        }
    }
}

/// Makes a request of the connection's own; `None` as error when nobody wants the connection any more.
async fn ask(
    shared: &Shared,
    outgoing: &mpsc::WeakSender<Outgoing>,
    request: Named,
    session: Option<SessionId>,
    needs: Standing,
) -> Result<(), Option<Error>> {
    let target = Target { session, handle: None };
    let within = shared.options.request_timeout;
    let (text, waiting) = prepare(shared, request, target, &Nothing {}, needs, None)?;
    // Held for as long as it takes to queue: it must not keep a connection open that nobody wants.
    let sent = outgoing.upgrade().ok_or(None)?.send(text).await;
    sent.map_err(|_| None)?;
    let timed_out = |_| Error::TimedOut { request: request.name, within };
    let answer = timeout(within, waiting.answer()).await.map_err(timed_out)?;
    understand(shared, request, target, answer)?;
    Ok(())
}
