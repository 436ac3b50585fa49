//! What happens to handles unasked.

use mobz_core::signal::{IceCandidate, ServerSignal};

use super::port::{Event, Handle};
use super::{Held, Plane, Seat};

impl Plane {
    pub(super) fn event(&mut self, handle: Handle, event: Event) {
        // Of a handle that is let go, nothing matters any more.
        let Some(Held { seat, .. }) = self.handles.get(&handle).cloned() else { return };
        match event {
            Event::Up => match seat.watcher {
                None => self.publisher_up(&seat),
                Some(_) => self.watcher_up(&seat),
            },
            Event::Hangup => match seat.watcher {
                None => self.publisher_hung(&seat, None),
                Some(_) => self.watcher_hung(&seat),
            },
            Event::Gone => {
                self.handles.remove(&handle);
                match seat.watcher {
                    None => self.publisher_hung(&seat, Some(handle)),
                    Some(_) => self.watcher_hung(&seat),
                }
            }
            Event::Candidate(candidate) => self.candidate(&seat, candidate),
            Event::Layer { substream, temporal } => self.layer_came(&seat, substream, temporal),
        }
    }

    /// A candidate of Janus.
    fn candidate(&mut self, seat: &Seat, candidate: IceCandidate) {
        let Some(station) = self.stations.get(&seat.station) else { return };
        let at = match &seat.watcher {
            None => station.publisher.at.clone(),
            Some(user) => station.watchers.get(user).and_then(|watcher| watcher.at.clone()),
        };
        let Some(whom) = self.whom(seat, at) else { return };
        let IceCandidate { candidate, sdp_mid, sdp_m_line_index, .. } = candidate;
        let station = Some(seat.station.clone());
        let signal = ServerSignal::IceCandidate { from: None, candidate, sdp_mid, sdp_m_line_index, station };
        self.tell(whom, signal, None);
    }
}
