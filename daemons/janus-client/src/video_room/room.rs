//! Requests about rooms.

use serde::{Deserialize, Serialize};

use super::RoomRequest;
use crate::id::{FeedId, RoomId};

/// Answers that say no more than that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Done {}

/// Makes a room. [`crate::VideoRoomCode::ROOM_EXISTS`] when there is one of this id.
///
/// A room outlives the session that made it, until it is destroyed or Janus ends.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Create {
    /// Its id; Janus draws one where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// What it is called, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Needed to change or destroy it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Needed to join it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// The plugin's key, where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_key: Option<String>,
    /// Whether `list` keeps it back (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_private: Option<bool>,
    /// How many may publish at once (3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publishers: Option<u32>,
    /// The video bitrate publishers are held to by REMB, in bit/s; 0 is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<u32>,
    /// Whether publishers cannot ask for more (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_cap: Option<bool>,
    /// How often publishers are asked for a key frame, in seconds; 0 is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fir_freq: Option<u32>,
    /// Audio codecs, comma-separated, the best first (`"opus"`).
    #[serde(rename = "audiocodec", skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Video codecs, comma-separated, the best first (`"vp8"`).
    #[serde(rename = "videocodec", skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// The H.264 profile to prefer, `"42e01f"` say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h264_profile: Option<String>,
    /// The VP9 profile to prefer, `"2"` say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vp9_profile: Option<String>,
    /// Forward error correction in Opus (true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opus_fec: Option<bool>,
    /// Discontinuous transmission in Opus (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opus_dtx: Option<bool>,
    /// Whether scalable VP9 is used (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_svc: Option<bool>,
    /// Whether the audio level extension is negotiated (true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiolevel_ext: Option<bool>,
    /// Whether who talks is told (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiolevel_event: Option<bool>,
    /// Over how many packets the audio level is averaged (100).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_active_packets: Option<u32>,
    /// The level that counts as talking, 0 (loud) to 127 (silent) (25).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_level_average: Option<u32>,
    /// Whether the video orientation extension is negotiated (true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videoorient_ext: Option<bool>,
    /// Whether the playout delay extension is negotiated (true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playoutdelay_ext: Option<bool>,
    /// Whether transport-wide congestion control is negotiated (true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport_wide_cc_ext: Option<bool>,
    /// Whether publishers are recorded (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
    /// Where recordings go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rec_dir: Option<String>,
    /// Whether recording is changed only with the secret (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_record: Option<bool>,
    /// Whether all are told when somebody joins who does not publish (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_joining: Option<bool>,
    /// Whether subscribers must name a publisher's private id (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pvtid: Option<bool>,
    /// Whether media must be encrypted end to end (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_e2ee: Option<bool>,
    /// Whether it is written into the configuration file (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent: Option<bool>,
    /// Tokens that may join; absent, anyone may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
}

impl RoomRequest for Create {
    const NAME: &'static str = "create";
    type Reply = Created;
}

/// A room that was made, edited or destroyed.
#[derive(Clone, Debug, Deserialize)]
pub struct Created {
    /// Its id.
    pub room: RoomId,
    /// Whether it was written into the configuration file.
    #[serde(default)]
    pub permanent: bool,
}

/// Changes what of a room can be changed. Who is in it stays as they joined.
#[derive(Clone, Debug, Serialize)]
pub struct Edit {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What it is called from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_description: Option<String>,
    /// Another secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_secret: Option<String>,
    /// Another pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_pin: Option<String>,
    /// Whether `list` keeps it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_is_private: Option<bool>,
    /// Another bitrate, in bit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_bitrate: Option<u32>,
    /// How often publishers are asked for a key frame, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_fir_freq: Option<u32>,
    /// How many may publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_publishers: Option<u32>,
    /// Whether the change is written into the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent: Option<bool>,
}

impl Edit {
    /// A change of nothing yet.
    pub fn new(room: RoomId) -> Self {
        Self {
            room,
            secret: None,
            new_description: None,
            new_secret: None,
            new_pin: None,
            new_is_private: None,
            new_bitrate: None,
            new_fir_freq: None,
            new_publishers: None,
            permanent: None,
        }
    }
}

impl RoomRequest for Edit {
    const NAME: &'static str = "edit";
    type Reply = Created;
}

/// Ends a room and puts everyone out of it.
#[derive(Clone, Debug, Serialize)]
pub struct Destroy {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whether it is taken out of the configuration file too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent: Option<bool>,
}

impl RoomRequest for Destroy {
    const NAME: &'static str = "destroy";
    type Reply = Created;
}

/// Asks whether there is such a room.
#[derive(Clone, Debug, Serialize)]
pub struct Exists {
    /// The room.
    pub room: RoomId,
}

impl RoomRequest for Exists {
    const NAME: &'static str = "exists";
    type Reply = Existing;
}

/// Whether there is such a room.
#[derive(Clone, Debug, Deserialize)]
pub struct Existing {
    /// The room.
    pub room: RoomId,
    /// Whether it is there.
    pub exists: bool,
}

/// Lists the rooms. It takes Janus 33 ms at 1,000 rooms and holds it up: nothing to poll.
#[derive(Clone, Debug, Default, Serialize)]
pub struct List {
    /// The plugin's key, where one is configured: private rooms are listed with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_key: Option<String>,
}

impl RoomRequest for List {
    const NAME: &'static str = "list";
    type Reply = Rooms;
}

/// The rooms of a Janus.
#[derive(Clone, Debug, Deserialize)]
pub struct Rooms {
    /// All but private ones.
    #[serde(rename = "list")]
    pub rooms: Vec<Room>,
}

/// A room in a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Room {
    /// Its id.
    pub room: RoomId,
    /// What it is called.
    #[serde(default)]
    pub description: String,
    /// Whether a pin is needed.
    #[serde(default)]
    pub pin_required: bool,
    /// How many may publish.
    pub max_publishers: u32,
    /// The bitrate publishers are held to, in bit/s; 0 is none.
    #[serde(default)]
    pub bitrate: u32,
    /// Its audio codecs, comma-separated.
    #[serde(rename = "audiocodec", default)]
    pub audio_codec: String,
    /// Its video codecs, comma-separated.
    #[serde(rename = "videocodec", default)]
    pub video_codec: String,
    /// Whether it is recorded.
    #[serde(default)]
    pub record: bool,
    /// How many have joined; subscribers do not count.
    #[serde(default)]
    pub num_participants: u32,
}

/// Changes who may join.
#[derive(Clone, Debug, Serialize)]
pub struct SetAllowed {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What to do.
    pub action: AllowedAction,
    /// The tokens to add or remove.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

/// What to do with the list of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AllowedAction {
    /// Look at it when somebody joins.
    Enable,
    /// Let anyone join.
    Disable,
    /// Add tokens.
    Add,
    /// Remove tokens.
    Remove,
}

impl RoomRequest for SetAllowed {
    const NAME: &'static str = "allowed";
    type Reply = Allowed;
}

/// Who may join.
#[derive(Clone, Debug, Deserialize)]
pub struct Allowed {
    /// The room.
    pub room: RoomId,
    /// The tokens; empty after [`AllowedAction::Disable`].
    #[serde(default)]
    pub allowed: Vec<String>,
}

/// Puts a participant out of a room: its peer connection ends, and those of its subscribers lose the feed.
#[derive(Clone, Debug, Serialize)]
pub struct Kick {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The participant.
    #[serde(rename = "id")]
    pub feed: FeedId,
}

impl RoomRequest for Kick {
    const NAME: &'static str = "kick";
    type Reply = Done;
}

/// Mutes one m-line of a participant for everyone, or ends that. It does not unmute who muted itself.
#[derive(Clone, Debug, Serialize)]
pub struct Moderate {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The participant.
    #[serde(rename = "id")]
    pub feed: FeedId,
    /// The m-line.
    pub mid: String,
    /// Whether it is muted.
    pub mute: bool,
}

impl RoomRequest for Moderate {
    const NAME: &'static str = "moderate";
    type Reply = Done;
}

/// Begins or ends the recording of all in a room.
#[derive(Clone, Debug, Serialize)]
pub struct EnableRecording {
    /// The room.
    pub room: RoomId,
    /// Its secret, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whether to record.
    pub record: bool,
}

impl RoomRequest for EnableRecording {
    const NAME: &'static str = "enable_recording";
    type Reply = Done;
}
