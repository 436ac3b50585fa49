//! The Admin API: what Janus knows of all sessions, and what only it may do to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Changes;
use crate::connection::{Api, Link, Named, Target};
use crate::error::Error;
use crate::event::{MediaKind, Raw};
use crate::id::{FeedId, HandleId, RoomId, SessionId};
use crate::info::ServerInfo;
use crate::options::Options;
use crate::session::PLUGIN;
use crate::video_room::{RoomRequest, SubscriberStream};
use crate::wire::{Nothing, read, read_plugin_data};

/// A connection to the Admin API: cheap to clone, opened again by itself when it is lost.
#[derive(Clone, Debug)]
pub struct Admin {
    link: Arc<Link>,
    within: Duration,
}

impl Admin {
    /// Connects to the Admin API's `ws://host:port/`, with [`Options::admin_secret`]. Fails when Janus is
    /// not there.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let within = options.request_timeout;
        Ok(Self { link: Arc::new(Link::open(url, Api::Admin, options).await?), within })
    }

    /// The same connection, with another time for requests.
    #[must_use]
    pub fn with_timeout(&self, within: Duration) -> Self {
        Self { link: self.link.clone(), within }
    }

    /// What happens to the connection from now on.
    pub fn changes(&self) -> Changes {
        Changes::new(self.link.changes())
    }

    /// Asks whether Janus answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.done("ping", Target::default(), &Nothing {}).await
    }

    /// What Janus says of itself.
    pub async fn info(&self) -> Result<ServerInfo, Error> {
        let request = Named::core("info");
        let text = self.link.request(request, Target::default(), &Nothing {}, self.within).await?;
        ServerInfo::read(request.name, &text)
    }

    /// All sessions there are, those of other controllers too.
    pub async fn list_sessions(&self) -> Result<Vec<SessionId>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            sessions: Vec<SessionId>,
        }
        let answer: Answer = self.request("list_sessions", Target::default(), &Nothing {}).await?;
        Ok(answer.sessions)
    }

    /// All handles of a session.
    pub async fn list_handles(&self, session: SessionId) -> Result<Vec<HandleId>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            handles: Vec<HandleId>,
        }
        let answer: Answer = self.request("list_handles", on(session), &Nothing {}).await?;
        Ok(answer.handles)
    }

    /// All there is to know of a handle: whose it is, what it does, how its media fares.
    pub async fn handle_info(&self, session: SessionId, handle: HandleId) -> Result<HandleInfo, Error> {
        #[derive(Deserialize)]
        struct Answer {
            info: Wire,
        }
        let request = Named::core("handle_info");
        let target = Target { session: Some(session), handle: Some(handle) };
        let text = self.link.request(request, target, &Nothing {}, self.within).await?;
        let answer: Answer = read(request.name, &text)?;
        Ok(answer.info.into_info(Raw(text)))
    }

    /// Ends a session and all its handles, whoever owns it.
    pub async fn destroy_session(&self, session: SessionId) -> Result<(), Error> {
        self.done("destroy_session", on(session), &Nothing {}).await
    }

    /// Ends a handle, whoever owns it.
    pub async fn detach_handle(&self, session: SessionId, handle: HandleId) -> Result<(), Error> {
        let target = Target { session: Some(session), handle: Some(handle) };
        self.done("detach_handle", target, &Nothing {}).await
    }

    /// Ends a handle's peer connection, whoever owns it.
    pub async fn hangup_webrtc(&self, session: SessionId, handle: HandleId) -> Result<(), Error> {
        let target = Target { session: Some(session), handle: Some(handle) };
        self.done("hangup_webrtc", target, &Nothing {}).await
    }

    /// Whether `create` of a session is taken. Handles on sessions there are can be attached all the same.
    pub async fn accept_new_sessions(&self, accept: bool) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body {
            accept: bool,
        }
        self.done("accept_new_sessions", Target::default(), &Body { accept }).await
    }

    /// How long silent sessions live from now on, in whole seconds; 0 is for ever.
    pub async fn set_session_timeout(&self, timeout: Duration) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Body {
            timeout: u64,
        }
        let body = Body { timeout: timeout.as_secs() };
        self.done("set_session_timeout", Target::default(), &body).await
    }

    /// Makes a request about a room without session or handle. VideoRoom takes those of these that make,
    /// change, list and end rooms, and those that list who is in them.
    pub async fn ask<Q: RoomRequest>(&self, request: &Q) -> Result<Q::Reply, Error> {
        #[derive(Serialize)]
        struct Body<'a, Q> {
            plugin: &'a str,
            request: crate::wire::PluginBody<'a, Q>,
        }
        #[derive(Deserialize)]
        struct Answer {
            response: Box<serde_json::value::RawValue>,
        }
        let request = crate::wire::PluginBody { request: Q::NAME, fields: request };
        let body = Body { plugin: PLUGIN, request };
        let answer: Answer = self.request("message_plugin", Target::default(), &body).await?;
        read_plugin_data(Q::NAME, answer.response.get())
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.link.close().await;
    }

    async fn request<B: Serialize, T: DeserializeOwned>(
        &self,
        name: &'static str,
        target: Target,
        body: &B,
    ) -> Result<T, Error> {
        let text = self.link.request(Named::core(name), target, body, self.within).await?;
        read(name, &text)
    }

    async fn done<B: Serialize>(&self, name: &'static str, target: Target, body: &B) -> Result<(), Error> {
        self.link.request(Named::core(name), target, body, self.within).await?;
        Ok(())
    }
}

fn on(session: SessionId) -> Target {
    Target { session: Some(session), handle: None }
}

/// All there is to know of a handle.
#[derive(Clone, Debug)]
pub struct HandleInfo {
    /// The session it hangs on.
    pub session: SessionId,
    /// The handle.
    pub handle: HandleId,
    /// What its owner called it when it was attached.
    pub opaque_id: Option<String>,
    /// The plugin it is attached to.
    pub plugin: Option<String>,
    /// What it is in its room, where it is one of VideoRoom.
    pub room: Option<InRoom>,
    /// `"connected"` or `"ready"` where ICE has found a way; `None` without a peer connection.
    pub ice_state: Option<String>,
    /// The pair of candidates in use.
    pub selected_pair: Option<String>,
    /// Whether DTLS is done: media may flow.
    pub is_up: bool,
    /// What flows, by m-line.
    pub media: Vec<MediaInfo>,
    /// The client's last description.
    pub remote_sdp: Option<String>,
    /// All of it.
    pub raw: Raw,
}

/// What a handle is in its room.
#[derive(Clone, Debug)]
pub enum InRoom {
    /// It has joined none.
    Nowhere,
    /// It has joined as a publisher.
    Publisher {
        /// The room.
        room: RoomId,
        /// Its id there.
        feed: FeedId,
        /// Its streams as Janus tells them.
        streams: Vec<serde_json::Value>,
    },
    /// It has subscribed.
    Subscriber {
        /// The room.
        room: RoomId,
        /// Whether the client has answered Janus' offer.
        answered: bool,
        /// Whether it is paused.
        paused: bool,
        /// Its m-lines.
        streams: Vec<SubscriberStream>,
    },
}

impl InRoom {
    /// The codec of one of its m-lines.
    fn codec(&self, mid: &str) -> Option<String> {
        match self {
            Self::Nowhere => None,
            Self::Publisher { streams, .. } => {
                let stream = streams.iter().find(|stream| stream["mid"] == mid)?;
                stream["codec"].as_str().map(str::to_owned)
            }
            Self::Subscriber { streams, .. } => {
                streams.iter().find(|stream| stream.mid == mid)?.codec.clone()
            }
        }
    }
}

/// What flows over one m-line.
#[derive(Clone, Debug)]
pub struct MediaInfo {
    /// The m-line.
    pub mid: String,
    /// What kind of media.
    pub kind: MediaKind,
    /// Its codec, in lower case; `None` before it is negotiated.
    pub codec: Option<String>,
    /// What came from the client; of simulcast, its smallest picture.
    pub received: Flow,
    /// Of simulcast, what came from the client beside it: the larger pictures, the largest last.
    pub received_layers: Vec<Flow>,
    /// What went to the client.
    pub sent: Flow,
    /// Packets of the client that never came, of all layers of simulcast.
    pub lost: i64,
    /// Packets that the client says never came to it.
    pub lost_by_remote: i64,
    /// Round trip, in milliseconds; 0 before it was measured.
    pub round_trip: u64,
    /// How good the way from the client is, 0–100.
    pub in_quality: Option<u32>,
    /// How good the way to the client is, 0–100.
    pub out_quality: Option<u32>,
}

/// What flowed in one direction, since the peer connection came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Flow {
    /// Packets.
    #[serde(default)]
    pub packets: u64,
    /// Bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes in the last second.
    #[serde(rename = "bytes_lastsec", default)]
    pub bytes_per_second: u64,
    /// Packets asked for again.
    #[serde(default)]
    pub nacks: u64,
}

#[derive(Deserialize)]
struct Wire {
    session_id: SessionId,
    handle_id: HandleId,
    opaque_id: Option<String>,
    plugin: Option<String>,
    plugin_specific: Option<serde_json::Value>,
    #[serde(default)]
    sdps: WireSdps,
    webrtc: Option<WireWebRtc>,
}

#[derive(Default, Deserialize)]
struct WireSdps {
    remote: Option<String>,
}

#[derive(Default, Deserialize)]
struct WireWebRtc {
    #[serde(default)]
    ice: WireIce,
    #[serde(default)]
    dtls: WireDtls,
    #[serde(default)]
    media: BTreeMap<String, WireMedia>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireIce {
    state: Option<String>,
    selected_pair: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireDtls {
    #[serde(default)]
    ready: bool,
}

#[derive(Deserialize)]
struct WireMedia {
    #[serde(rename = "type")]
    kind: MediaKind,
    mindex: u32,
    mid: String,
    codecs: Option<WireCodecs>,
    #[serde(default)]
    rtcp: BTreeMap<String, WireRtcp>,
    #[serde(default)]
    stats: WireStats,
}

#[derive(Deserialize)]
struct WireCodecs {
    codec: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireRtcp {
    #[serde(default)]
    rtt: u64,
    #[serde(default)]
    lost: i64,
    #[serde(default)]
    lost_by_remote: i64,
    in_link_quality: Option<u32>,
    out_link_quality: Option<u32>,
}

#[derive(Default, Deserialize)]
struct WireStats {
    #[serde(rename = "in", default)]
    received: WireReceived,
    #[serde(rename = "out", default)]
    sent: Flow,
}

#[derive(Default, Deserialize)]
struct WireReceived {
    #[serde(flatten)]
    flow: Flow,
    #[serde(rename = "video-simulcast-1")]
    middle: Option<Flow>,
    #[serde(rename = "video-simulcast-2")]
    largest: Option<Flow>,
}

#[derive(Deserialize)]
struct WirePublisher {
    room: Option<RoomId>,
    id: Option<FeedId>,
    #[serde(default)]
    streams: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireSubscriber {
    room: Option<RoomId>,
    #[serde(default)]
    answered: bool,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    streams: Vec<SubscriberStream>,
}

impl Wire {
    fn into_info(self, raw: Raw) -> HandleInfo {
        let webrtc = self.webrtc.unwrap_or_default();
        let mut media: Vec<WireMedia> = webrtc.media.into_values().collect();
        media.sort_by_key(|media| media.mindex);
        let room = self.plugin_specific.filter(|_| self.plugin.as_deref() == Some(PLUGIN)).and_then(in_room);
        let media = media.into_iter().map(|media| {
            let codec = room.as_ref().and_then(|room| room.codec(&media.mid));
            media.into_info(codec)
        });
        HandleInfo {
            session: self.session_id,
            handle: self.handle_id,
            opaque_id: self.opaque_id,
            media: media.collect(),
            room,
            plugin: self.plugin,
            ice_state: webrtc.ice.state,
            selected_pair: webrtc.ice.selected_pair,
            is_up: webrtc.dtls.ready,
            remote_sdp: self.sdps.remote,
            raw,
        }
    }
}

impl WireMedia {
    fn into_info(mut self, codec_in_room: Option<String>) -> MediaInfo {
        // Beside it those of the layers of simulcast.
        let lost = self.rtcp.values().map(|rtcp| rtcp.lost).sum();
        let rtcp = self.rtcp.remove("main").unwrap_or_default();
        let WireReceived { flow, middle, largest } = self.stats.received;
        MediaInfo {
            mid: self.mid,
            kind: self.kind,
            codec: self.codecs.and_then(|codecs| codecs.codec).or(codec_in_room),
            received: flow,
            received_layers: middle.into_iter().chain(largest).collect(),
            sent: self.stats.sent,
            lost,
            lost_by_remote: rtcp.lost_by_remote,
            round_trip: rtcp.rtt,
            in_quality: rtcp.in_link_quality,
            out_quality: rtcp.out_link_quality,
        }
    }
}

/// What VideoRoom says of a handle; `None` where it cannot be understood.
fn in_room(specific: serde_json::Value) -> Option<InRoom> {
    // A handle that has joined nothing has no type.
    let kind = specific.get("type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match kind.as_str() {
        "publisher" => {
            let WirePublisher { room: Some(room), id: Some(feed), streams } =
                serde_json::from_value(specific).ok()?
            else {
                return Some(InRoom::Nowhere);
            };
            Some(InRoom::Publisher { room, feed, streams })
        }
        "subscriber" => {
            let WireSubscriber { room: Some(room), answered, paused, streams } =
                serde_json::from_value(specific).ok()?
            else {
                return Some(InRoom::Nowhere);
            };
            Some(InRoom::Subscriber { room, answered, paused, streams })
        }
        _ => Some(InRoom::Nowhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_flows_is_read_with_the_layers_of_simulcast_and_the_codecs_that_the_room_knows() {
        let text = r#"{"session_id":1,"handle_id":2,"plugin":"janus.plugin.videoroom",
            "plugin_specific":{"type":"publisher","room":"r","id":"ann","streams":[
                {"type":"video","mid":"v","codec":"vp8"},{"type":"audio","mid":"a","codec":"opus"}]},
            "webrtc":{"dtls":{"ready":true},"media":{
                "v":{"type":"video","mindex":0,"mid":"v","codecs":{"pt":96,"codec":"vp8"},
                    "rtcp":{"main":{"rtt":7,"lost":1},"sim1":{"lost":2},"sim2":{"lost":4}},
                    "stats":{"in":{"packets":60,"bytes":20820,"bytes_lastsec":10757,"nacks":0,
                        "video-simulcast-1":{"packets":60,"bytes":38820,"bytes_lastsec":20057,"nacks":0},
                        "video-simulcast-2":{"packets":60,"bytes":56820,"bytes_lastsec":29357,"nacks":0}},
                        "out":{"packets":0,"bytes":0,"bytes_lastsec":0,"nacks":0}}},
                "a":{"type":"audio","mindex":1,"mid":"a","rtcp":{"main":{"lost":0}},
                    "stats":{"in":{"packets":3,"bytes":300,"bytes_lastsec":100}}}}}}"#;
        let wire: Wire = serde_json::from_str(text).unwrap();
        let info = wire.into_info(Raw("{}".into()));
        let [video, audio] = &info.media[..] else { panic!("{info:?}") };
        assert_eq!((video.codec.as_deref(), audio.codec.as_deref()), (Some("vp8"), Some("opus")));
        let rates: Vec<u64> = video.received_layers.iter().map(|flow| flow.bytes_per_second).collect();
        assert_eq!((video.received.bytes_per_second, rates), (10757, vec![20057, 29357]));
        assert_eq!((video.lost, video.round_trip), (7, 7));
        assert_eq!((audio.received.bytes_per_second, audio.received_layers.len()), (100, 0));
    }
}
