//! Paths of PROTOCOL.md §6.

use mobz_core::hls::request::Resource;
use mobz_core::id::{RoomId, TrackId};

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) room: RoomId,
    pub(crate) token: Option<&'a str>,
    pub(crate) place: Place,
}

/// What is asked for in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `index.m3u8`.
    Multivariant,
    /// `<track>/…`.
    Track(TrackId, Resource),
}

impl<'a> Route<'a> {
    /// `/hls/<room>/[~<token>/]index.m3u8` or `/hls/<room>/[~<token>/]<track>/<file>`.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let (room, rest) = path.strip_prefix("/hls/")?.split_once('/')?;
        let room = room.parse().ok()?;
        let (token, rest) = match rest.strip_prefix('~') {
            None => (None, rest),
            Some(rest) => {
                let (token, rest) = rest.split_once('/')?;
                (Some(token), rest)
            }
        };
        let place = match rest.split_once('/') {
            None if rest == "index.m3u8" => Place::Multivariant,
            None => return None,
            Some((track, file)) => Place::Track(track.parse().ok()?, Resource::parse(file)?),
        };
        Some(Self { room, token, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Option<Place> {
        Route::parse(path).map(|route| route.place)
    }

    fn main(resource: Resource) -> Place {
        Place::Track("main".parse().unwrap(), resource)
    }

    #[test]
    fn paths_of_the_protocol_are_known() {
        assert_eq!(place("/hls/demo/index.m3u8"), Some(Place::Multivariant));
        assert_eq!(place("/hls/demo/main/media.m3u8"), Some(main(Resource::Playlist)));
        assert_eq!(place("/hls/demo/main/init-0.mp4"), Some(main(Resource::Init(0))));
        assert_eq!(place("/hls/demo/main/12.m4s"), Some(main(Resource::Segment(12))));
        assert_eq!(place("/hls/demo/main/12.3.m4s"), Some(main(Resource::Part(12, 3))));
    }

    #[test]
    fn a_token_stands_before_everything_of_the_room() {
        let route = Route::parse("/hls/demo/~a.b.c/main/0.0.m4s").unwrap();
        assert_eq!((route.token, route.place), (Some("a.b.c"), main(Resource::Part(0, 0))));
    }

    #[test]
    fn any_other_path_is_unknown() {
        let paths = [
            "/",
            "/hls",
            "/hls/",
            "/hls/demo",
            "/hls/demo/",
            "/hls/demo/main.m3u8",
            "/hls/demo/main/",
            "/hls/demo/main/index.m3u8",
            "/hls/demo/main/01.m4s",
            "/hls/demo/main/+1.m4s",
            "/hls/demo/main/1.m4",
            "/hls/demo/main/1.2.3.m4s",
            "/hls/demo/main/.m4s",
            "/hls/demo/main/init-.mp4",
            "/hls/de mo/index.m3u8",
            "/hls/demo/main/x/1.m4s",
            "/hls/demo/~token",
            "/hls/demo/~token/",
            "/hls/demo/main/99999999999999999999.m4s",
        ];
        for path in paths {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
