//! What the tests share: a real Janus of one's own, and a Janus that says what the test tells it to.

pub(crate) mod peer;

use std::time::Duration;

use janus_client::spawn::{Config, Janus};
use janus_client::video_room::{AddRemotePublisher, Create, RemoteStream};
use janus_client::{
    Admin, Client, EVENTS_MAX, Event, EventSink, Events, Fresh, Handle, HandleId, MediaKind, Options,
    Session, Told, events,
};
use tempfile::TempDir;

/// How long what must happen may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A Janus of a test's own, with one session on it.
pub(crate) struct Lab {
    pub(crate) janus: Janus,
    pub(crate) client: Client,
    pub(crate) session: Session,
    pub(crate) sink: EventSink,
    pub(crate) events: Events,
    _directory: TempDir,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let directory = tempfile::Builder::new().prefix("janus-client-").tempdir().unwrap();
        let janus = Janus::start(&config, directory.path()).await.unwrap();
        let client = Client::connect(&janus.url(), Options::default()).await.unwrap();
        let session = client.create_session().await.unwrap();
        let (sink, events) = events(EVENTS_MAX);
        Self { janus, client, session, sink, events, _directory: directory }
    }

    pub(crate) async fn attach(&self) -> Handle<Fresh> {
        self.session.attach(None, &self.sink).await.unwrap()
    }

    pub(crate) async fn admin(&self) -> Admin {
        admin(&self.janus).await
    }

    /// The next event of a handle; those of others are dropped.
    pub(crate) async fn event(&mut self, handle: HandleId) -> Event {
        loop {
            if let Told::Of(of, event) = told(&mut self.events).await
                && of == handle
            {
                return event;
            }
        }
    }

    /// Waits for an event of a handle that fits.
    pub(crate) async fn event_that<T>(&mut self, handle: HandleId, fits: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let event = self.event(handle).await;
            if let Some(found) = fits(&event) {
                return found;
            }
        }
    }
}

pub(crate) async fn admin(janus: &Janus) -> Admin {
    let secret = janus.config().admin_secret.clone();
    let options = Options { admin_secret: Some(secret), ..Options::default() };
    Admin::connect(&janus.admin_url().unwrap(), options).await.unwrap()
}

pub(crate) async fn told(events: &mut Events) -> Told {
    soon("an event", events.next()).await.expect("the queue is open")
}

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("no {what} within {SOON:?}"))
}

pub(crate) fn room(id: &str) -> Create {
    Create { room: Some(id.into()), publishers: Some(1), ..Create::default() }
}

/// A feed that needs no peer connection: sound and pictures as plain RTP.
pub(crate) fn remote(room: &str, feed: &str) -> AddRemotePublisher {
    let mut video = RemoteStream::new(MediaKind::Video, 1, "1", "vp8");
    video.simulcast = Some(true);
    AddRemotePublisher {
        room: room.into(),
        feed: Some(feed.into()),
        secret: None,
        display: None,
        interface: Some("127.0.0.1".to_owned()),
        port: None,
        srtp: None,
        streams: vec![RemoteStream::new(MediaKind::Audio, 0, "0", "opus"), video],
    }
}
