//! Who may play: everybody, or who has a token in the URL.

use mobz_core::id::RoomId;
use mobz_core::time::Timestamp;
use mobz_core::token::Keys;

use crate::reply::Failure;

/// Who may play.
pub(crate) enum Access {
    /// Everybody.
    Public,
    /// Who has a token signed with one of these keys.
    Private(Keys),
}

impl Access {
    pub(crate) fn is_private(&self) -> bool {
        matches!(self, Self::Private(_))
    }

    /// 401 without a good token, 403 with a good one that is not for this.
    pub(crate) fn check(&self, room: &RoomId, token: Option<&str>, now: Timestamp) -> Result<(), Failure> {
        let keys = match (self, token) {
            (Self::Public, None) => return Ok(()),
            (Self::Public, Some(_)) => {
                return Err(Failure::not_found("playback is public here; leave the token out of the URL"));
            }
            (Self::Private(keys), _) => keys,
        };
        let token = token.ok_or_else(|| {
            Failure::unauthorized(
                "playback is private; use the playbackUrl of a JoinAck, with its token".to_owned(),
            )
        })?;
        let claims = keys.verify(token, now).map_err(|error| Failure::unauthorized(error.to_string()))?;
        if claims.room.as_ref() != Some(room) {
            return Err(Failure::forbidden("the token is for another room"));
        }
        if !claims.grants.watch {
            return Err(Failure::forbidden("the token does not grant watch"));
        }
        Ok(())
    }
}
