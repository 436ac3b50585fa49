//! What the tests share: a real Janus of one's own, and a Janus that says what the test tells it to.

pub(crate) mod peer;

use std::time::Duration;

use janus_client::spawn::{Config, Janus};
use janus_client::video_room::{
    AddRemotePublisher, Create, ListParticipants, Participant, RemotePublisher, RemoteStream,
};
use janus_client::{
    Admin, Answer, Client, EVENTS_MAX, Event, EventSink, Events, Fresh, Handle, HandleId, MediaKind, Offer,
    Options, Session, Told, events,
};
use tempfile::TempDir;

/// How long what must happen may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// How long to wait between two looks at something that is awaited.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

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

    /// Adds the feed `far` to a room, and waits until it can be subscribed to.
    pub(crate) async fn add_far(&self, control: &Handle<Fresh>, room: &str) -> RemotePublisher {
        let made = control.ask(&remote(room, "far")).await.unwrap();
        let list = ListParticipants { room: room.into() };
        let far = |one: &Participant| one.feed == "far".into() && one.publisher;
        soon("remote publisher", async {
            while !control.ask(&list).await.unwrap().participants.iter().any(far) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
        made
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

/// What a client offers that publishes sound and pictures in three simulcast layers. Nobody is behind it:
/// its candidate leads nowhere.
pub(crate) fn offer() -> Offer {
    let mut sdp = String::from(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=msid-semantic: WMS *\r\n",
    );
    let transport = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\na=setup:actpass\r\na=rtcp-mux\r\na=sendonly\r\n";
    let fingerprint = format!("a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
    let parts = [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n",
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
         a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\n",
    ];
    for part in parts {
        let (media, attributes) = part.split_at(part.find("a=").unwrap());
        sdp.extend([media, transport, &fingerprint, attributes]);
    }
    Offer::new(sdp)
}

/// What a client answers that takes all it is offered, with as little behind it.
pub(crate) fn answer(offer: &Offer) -> Answer {
    let of_theirs = |line: &str| {
        ["a=candidate", "a=end-of", "a=ssrc", "a=ice-", "a=fingerprint", "a=msid:"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let mut sdp = String::new();
    for line in offer.sdp().lines().filter(|line| !of_theirs(line)) {
        let line = match line {
            "a=sendonly" => "a=recvonly",
            "a=setup:actpass" => "a=setup:active",
            same => same,
        };
        sdp.extend([line, "\r\n"]);
        if line.starts_with("c=") {
            sdp.push_str("a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n");
            sdp.extend(["a=fingerprint:sha-256 ", &["AB"; 32].join(":"), "\r\n"]);
        }
    }
    Answer::new(sdp)
}
