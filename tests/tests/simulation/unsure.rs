//! What was done although nobody heard of it.

use mobz_core::id::RoomId;
use mobz_core::room::{Grants, Input, Joining, Mode};
use mobz_core::settings::Settings;
use mobz_core::store::{Asked, Rooms as _};
use mobz_runtime::clock::simulated;
use mobz_runtime::node::{Ended, Node};

use crate::life::Life;
use crate::link::Link;
use crate::log::{self, Shown};
use crate::redis::{Faults, Redis};

/// How many rooms are tried until the answer to a commit, and to nothing before it, is lost.
const ROOMS: u64 = 100;

#[test]
fn who_joined_without_hearing_of_it_is_gone_with_its_connection() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let is_gone = runtime.block_on(async {
        simulated::begin(1);
        log::begin(Shown::Not);
        let redis = Redis::new(None);
        let life = Life::begin("n1".to_owned());
        let node = Node::new("n1".parse().unwrap(), Settings::default(), Link::of(&redis, &life));
        for number in 0..ROOMS {
            let room: RoomId = format!("room{number}").parse().unwrap();
            let connection = node.hub().connect();
            let join = Joining {
                address: node.address(connection.id()),
                user: "ann".parse().unwrap(),
                name: None,
                grants: Grants::USUAL,
                mode: Some(Mode::M2m),
                publish: Some(true),
                resume: None,
                secret: "ann~1".to_owned(),
                re: None,
            };
            redis.behave(Faults { unanswered: 500, ..Faults::NONE });
            let joined = node.submit(&room, Input::Join(Box::new(join))).await;
            redis.behave(Faults::NONE);
            let is_there = async || {
                let data = redis.data().store;
                data.load(&room, Asked::Users(Vec::new())).await.unwrap().record.is_some()
            };
            if joined.is_err() && is_there().await {
                node.disconnect(&connection, Ended::Cleanly).await;
                return Some(!is_there().await);
            }
        }
        None
    });
    simulated::end();
    assert_eq!(is_gone, Some(true));
}
