//! Janus' events as the plane knows them.

use janus_client::Trickle;
use janus_client::video_room::RoomNews;
use mobz_core::signal::IceCandidate;

use crate::plane::Event;

/// What of an event the plane is told, if anything.
pub(super) fn event_of(event: janus_client::Event) -> Option<Event> {
    use janus_client::Event as Of;
    Some(match event {
        Of::WebRtcUp => Event::Up,
        Of::HangUp { .. } => Event::Hangup,
        Of::Detached => Event::Gone,
        Of::Trickle(trickle) => Event::Candidate(candidate(trickle)),
        Of::Room(room) => match room.news {
            RoomNews::Layers { substream, temporal, .. } => Event::Layer { substream, temporal },
            RoomNews::Publishers(_)
            | RoomNews::Joining(_)
            | RoomNews::Unpublished(_)
            | RoomNews::Leaving(_)
            | RoomNews::Kicked
            | RoomNews::Destroyed
            | RoomNews::Moderated { .. }
            | RoomNews::Updated { .. }
            | RoomNews::Talking { .. }
            | RoomNews::SlowLink { .. }
            | RoomNews::Failed { .. }
            | RoomNews::Other => return None,
        },
        // The end of the session is told of the whole Janus.
        Of::Media(_) | Of::SlowLink(_) | Of::SessionGone | Of::Unknown(_) => return None,
    })
}

fn candidate(trickle: Trickle) -> IceCandidate {
    let (candidate, sdp_mid, index) = match trickle {
        Trickle::Candidate(candidate) => {
            let index = candidate.sdp_mline_index.and_then(|index| u16::try_from(index).ok());
            (Some(candidate.candidate), candidate.sdp_mid, index)
        }
        Trickle::Completed => (None, None, None),
    };
    IceCandidate { candidate, sdp_mid, sdp_m_line_index: index, to: None, station: None }
}
