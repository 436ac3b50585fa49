//! What clients are told of what Janus would not do, or was not there to do.

use std::time::Duration;

use janus_client::Error;
use mobz_core::signal::{Code, Refusal};

/// When a client may try again what Janus was not there to do.
const AWAY_RETRY: Duration = Duration::from_secs(1);

/// What a client is told of a failed request.
pub(super) fn refusal(error: &Error) -> Refusal {
    match error {
        Error::VideoRoom { code, reason, .. } => media_error(code.0, reason),
        Error::Janus { code, reason, .. } => media_error(code.0, reason),
        other @ (Error::Connect { .. }
        | Error::ConnectTimedOut { .. }
        | Error::NotConnected { .. }
        | Error::Lost { .. }
        | Error::TimedOut { .. }
        | Error::SessionGone { .. }
        | Error::Closed { .. }
        | Error::Unwritable { .. }
        | Error::Unexpected { .. }) => {
            let message = format!("{other}; try again");
            Refusal::new(Code::MunitUnavailable, message).retry_after(AWAY_RETRY)
        }
    }
}

fn media_error(code: u32, reason: &str) -> Refusal {
    let message = format!("the media server refused: {reason} ({code}); Offer or Watch again");
    Refusal::new(Code::MediaError, message)
}
