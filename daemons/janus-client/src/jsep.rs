//! Session descriptions and candidates. Offers and answers are types of their own: whoever gets an offer
//! cannot hand it back where an answer belongs.

use std::fmt;

use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};

macro_rules! description {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// Takes SDP as it is; Janus is who checks it.
            pub fn new(sdp: impl Into<String>) -> Self {
                Self(sdp.into())
            }

            /// The SDP.
            pub fn sdp(&self) -> &str {
                &self.0
            }

            /// The SDP.
            pub fn into_sdp(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", $kind)?;
                map.serialize_entry("sdp", &self.0)?;
                map.end()
            }
        }
    };
}

description! {
    /// An SDP offer: of a publisher's client to Janus, or of Janus to a subscriber's client.
    Offer, "offer"
}
description! {
    /// An SDP answer: of Janus to a publisher's client, or of a subscriber's client to Janus.
    Answer, "answer"
}

/// What Janus sends, of either kind.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Jsep {
    Offer { sdp: String },
    Answer { sdp: String },
}

impl Jsep {
    pub(crate) fn offer(self) -> Option<Offer> {
        match self {
            Self::Offer { sdp } => Some(Offer(sdp)),
            Self::Answer { .. } => None,
        }
    }

    pub(crate) fn answer(self) -> Option<Answer> {
        match self {
            Self::Answer { sdp } => Some(Answer(sdp)),
            Self::Offer { .. } => None,
        }
    }
}

/// One ICE candidate, or that there are no more.
///
/// Janus puts its own candidates into its descriptions unless it runs with `full_trickle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trickle {
    /// A candidate.
    Candidate(Candidate),
    /// The end of candidates.
    Completed,
}

/// An ICE candidate in the form of WebRTC's `RTCIceCandidateInit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The candidate line, beginning with `candidate:`.
    pub candidate: String,
    /// The mid of the m-line it belongs to.
    #[serde(rename = "sdpMid", default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// The index of the m-line it belongs to; Janus wants this or the mid.
    #[serde(rename = "sdpMLineIndex", default, skip_serializing_if = "Option::is_none")]
    pub sdp_mline_index: Option<u32>,
}

impl Serialize for Trickle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Candidate(candidate) => candidate.serialize(serializer),
            Self::Completed => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("completed", &true)?;
                map.end()
            }
        }
    }
}

/// A candidate as Janus sends it: both forms in one.
#[derive(Debug, Deserialize)]
pub(crate) struct WireCandidate {
    #[serde(default)]
    completed: bool,
    #[serde(flatten)]
    candidate: Option<Candidate>,
}

impl WireCandidate {
    pub(crate) fn into_trickle(self) -> Option<Trickle> {
        if self.completed { Some(Trickle::Completed) } else { self.candidate.map(Trickle::Candidate) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_and_candidates_have_the_form_janus_knows() {
        let offer = serde_json::to_string(&Offer::new("v=0")).unwrap();
        assert_eq!(offer, r#"{"type":"offer","sdp":"v=0"}"#);
        let candidate =
            Candidate { candidate: "candidate:1".into(), sdp_mid: None, sdp_mline_index: Some(0) };
        let sent = serde_json::to_string(&[Trickle::Candidate(candidate), Trickle::Completed]).unwrap();
        assert_eq!(sent, r#"[{"candidate":"candidate:1","sdpMLineIndex":0},{"completed":true}]"#);
    }

    #[test]
    fn candidates_are_read_in_both_forms() {
        let parse = |text| serde_json::from_str::<WireCandidate>(text).unwrap().into_trickle();
        assert_eq!(parse(r#"{"completed":true}"#), Some(Trickle::Completed));
        let Some(Trickle::Candidate(candidate)) =
            parse(r#"{"sdpMid":"0","sdpMLineIndex":0,"candidate":"candidate:1"}"#)
        else {
            panic!("no candidate");
        };
        assert_eq!((candidate.sdp_mid.as_deref(), candidate.sdp_mline_index), (Some("0"), Some(0)));
        assert_eq!(parse("{}"), None);
    }
}
