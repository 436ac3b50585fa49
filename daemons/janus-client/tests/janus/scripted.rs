//! Against a Janus that says what the test tells it to: what a real one won't do on demand.

use std::time::Duration;

use crate::support::peer::{Peer, Scripted, plugin};
use crate::support::{soon, told};
use janus_client::video_room::{Exists, JoinPublisher, RoomNews};
use janus_client::{
    Admin, Change, Changes, Client, Error, Event, JanusCode, Options, SessionId, Told, VideoRoomCode, events,
};
use serde_json::json;

/// Nothing of the client's own comes between what a test expects.
fn quiet() -> Options {
    Options { keepalive: Duration::from_secs(3600), ..Options::default() }
}

async fn connect(janus: &Scripted, options: Options) -> (Client, Peer) {
    let url = janus.url();
    let (client, peer) = tokio::join!(Client::connect(&url, options), janus.accept());
    (client.unwrap(), peer)
}

async fn change(changes: &mut Changes) -> Change {
    soon("change", changes.next()).await.expect("the client is there")
}

fn exists() -> Exists {
    Exists { room: "blue".into() }
}

#[tokio::test]
async fn each_api_is_spoken_to_in_its_subprotocol_with_its_secret() {
    let janus = Scripted::listen().await;
    let secrets =
        Options { api_secret: Some("theirs".to_owned()), admin_secret: Some("ours".to_owned()), ..quiet() };
    let (client, mut peer) = connect(&janus, secrets.clone()).await;
    assert_eq!(peer.subprotocol, "janus-protocol");
    let (pinged, ()) = tokio::join!(client.ping(), async {
        let ping = peer.request().await;
        assert_eq!((&ping["apisecret"], ping.get("admin_secret")), (&json!("theirs"), None));
        peer.answer(&ping, "pong", json!({})).await;
    });
    pinged.unwrap();

    let url = janus.url();
    let (admin, mut peer) = tokio::join!(Admin::connect(&url, secrets), janus.accept());
    let admin = admin.unwrap();
    assert_eq!(peer.subprotocol, "janus-admin-protocol");
    let (sessions, ()) = tokio::join!(admin.list_sessions(), async {
        let list = peer.request().await;
        assert_eq!((&list["admin_secret"], list.get("apisecret")), (&json!("ours"), None));
        peer.succeed(&list, json!({ "sessions": [7] })).await;
    });
    assert_eq!(sessions.unwrap(), [SessionId(7)]);
}

#[tokio::test]
async fn an_ack_before_or_after_the_answer_or_none_makes_no_difference() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (sink, _events) = events(8);
    for acks in [(true, false), (false, true), (false, false), (true, true)] {
        let asking = async {
            let session = client.create_session().await?;
            let handle = session.attach(None, &sink).await?;
            handle.join_publisher(&JoinPublisher::new("blue".into(), "ann".into())).await.map_err(Error::from)
        };
        let (joined, ()) = tokio::join!(asking, async {
            peer.welcome(1, &[2]).await;
            let join = peer.request().await;
            assert_eq!(join["body"]["ptype"], "publisher");
            if acks.0 {
                peer.answer(&join, "ack", json!({})).await;
            }
            let data = json!({ "videoroom": "joined", "room": "blue", "id": "ann", "private_id": 5 });
            peer.answer(&join, "event", plugin(data)).await;
            if acks.1 {
                peer.answer(&join, "ack", json!({})).await;
            }
        });
        assert_eq!(joined.unwrap().1.feed, "ann".into(), "{acks:?}");
    }
    assert_eq!(client.outstanding(), 0);
}

#[tokio::test]
async fn a_request_that_is_not_answered_times_out_and_its_late_answer_is_an_event() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (sink, mut told_to) = events(8);
    let (handle, ()) = tokio::join!(
        async { client.create_session().await.unwrap().attach(None, &sink).await.unwrap() },
        peer.welcome(1, &[2])
    );
    let within = Duration::from_millis(50);
    let join = JoinPublisher::new("blue".into(), "ann".into());
    let (joined, join) = tokio::join!(handle.with_timeout(within).join_publisher(&join), peer.request());
    let refused = joined.unwrap_err();
    assert!(matches!(refused.error, Error::TimedOut { request: "join", within: said } if said == within));
    assert_eq!(client.outstanding(), 0);

    let data = json!({ "videoroom": "event", "error_code": 426, "error": "No such room" });
    peer.answer(&join, "event", plugin(data)).await;
    let Told::Of(_, Event::Room(event)) = told(&mut told_to).await else { panic!("no event") };
    assert!(matches!(event.news, RoomNews::Failed { code: VideoRoomCode::NO_SUCH_ROOM, .. }), "{event:?}");
}

#[tokio::test]
async fn a_lost_connection_fails_what_is_outstanding_and_sends_nothing_twice() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let mut changes = client.changes();
    let (sink, _events) = events(8);
    let (handle, ()) = tokio::join!(
        async { client.create_session().await.unwrap().attach(None, &sink).await.unwrap() },
        peer.welcome(1, &[2])
    );
    let question = exists();
    let (answered, ()) = tokio::join!(handle.ask(&question), async {
        peer.request().await;
        drop(peer);
    });
    let error = answered.unwrap_err();
    assert!(matches!(error, Error::Lost { request: "exists" }) && error.is_unsure(), "{error:?}");
    assert!(matches!(change(&mut changes).await, Change::Lost { .. }));

    let mut peer = janus.accept().await;
    let claim = peer.request().await;
    assert_eq!((&claim["janus"], &claim["session_id"]), (&json!("claim"), &json!(1)));
    // Until the session is claimed, nothing else is sent.
    assert!(matches!(handle.ask(&question).await, Err(Error::NotConnected { request: "exists" })));
    peer.succeed(&claim, json!({})).await;
    assert_eq!(change(&mut changes).await, Change::Claimed(SessionId(1)));
    assert_eq!(change(&mut changes).await, Change::Connected);

    let (answered, ()) = tokio::join!(handle.ask(&question), async {
        let request = peer.request().await;
        assert_eq!(request["body"]["request"], "exists");
        peer.succeed(&request, plugin(json!({ "videoroom": "success", "room": "blue", "exists": true })))
            .await;
    });
    assert!(answered.unwrap().exists);
}

#[tokio::test]
async fn a_refused_claim_ends_the_session_and_its_handles() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let mut changes = client.changes();
    let (sink, mut told_to) = events(8);
    let ((session, handle), ()) = tokio::join!(
        async {
            let session = client.create_session().await.unwrap();
            let handle = session.attach(None, &sink).await.unwrap();
            (session, handle)
        },
        peer.welcome(1, &[2])
    );
    drop(peer);
    assert!(matches!(change(&mut changes).await, Change::Lost { .. }));
    let mut peer = janus.accept().await;
    let claim = peer.request().await;
    let refusal = json!({ "error": { "code": 458, "reason": "No such session 1" } });
    peer.answer(&claim, "error", refusal).await;
    assert_eq!(change(&mut changes).await, Change::SessionGone(SessionId(1)));
    assert_eq!(change(&mut changes).await, Change::Connected);
    assert!(!session.is_owned());
    let Told::Of(of, event) = told(&mut told_to).await else { panic!("no event") };
    assert!(of == handle.id() && matches!(event, Event::SessionGone), "{event:?}");
}

#[tokio::test]
async fn a_session_that_timed_out_fails_what_is_outstanding_on_it_alone() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (sink, _events) = events(8);
    let (handle, ()) = tokio::join!(
        async { client.create_session().await.unwrap().attach(None, &sink).await.unwrap() },
        peer.welcome(1, &[2])
    );
    let question = exists();
    let (answered, pinged, ()) = tokio::join!(handle.ask(&question), client.ping(), async {
        peer.request_of("message").await;
        let ping = peer.request_of("ping").await;
        peer.send(json!({ "janus": "timeout", "session_id": 1 })).await;
        peer.answer(&ping, "pong", json!({})).await;
    });
    pinged.unwrap();
    assert!(matches!(answered, Err(Error::SessionGone { session: SessionId(1), .. })), "{answered:?}");
}

#[tokio::test]
async fn what_cannot_be_understood_costs_nobody_else_an_answer() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (pinged, ()) = tokio::join!(client.ping(), async {
        let ping = peer.request().await;
        for text in ["", "{", "[]", "null", "{}", r#"{"janus":7}"#, r#"{"janus":"event","sender":"x"}"#] {
            peer.send_text(text).await;
        }
        peer.send(json!({ "janus": "success", "transaction": "somebody-else" })).await;
        peer.answer(&ping, "pong", json!({})).await;
    });
    pinged.unwrap();

    let (created, ()) = tokio::join!(client.create_session(), async {
        let create = peer.request().await;
        peer.succeed(&create, json!({ "data": "none" })).await;
    });
    let error = created.unwrap_err();
    assert!(matches!(&error, Error::Unexpected { request: "create", .. }), "{error:?}");
    assert!(error.to_string().contains(r#""data":"none""#), "{error}");
}

#[tokio::test]
async fn a_flood_of_events_costs_its_reader_events_and_others_nothing() {
    const FLOOD: u64 = 10_000;
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (flooded, mut unread) = events(16);
    let (calm, mut read) = events(16);
    let ((one, other), ()) = tokio::join!(
        async {
            let session = client.create_session().await.unwrap();
            (session.attach(None, &flooded).await.unwrap(), session.attach(None, &calm).await.unwrap())
        },
        peer.welcome(1, &[2, 3])
    );
    for _ in 0..FLOOD {
        peer.send(json!({ "janus": "webrtcup", "session_id": 1, "sender": 2 })).await;
    }
    peer.send(json!({ "janus": "webrtcup", "session_id": 1, "sender": 3 })).await;
    assert!(matches!(told(&mut read).await, Told::Of(of, Event::WebRtcUp) if of == other.id()));

    let Told::Missed(missed) = told(&mut unread).await else { panic!("not told of what was missed") };
    let mut kept = 0;
    while let Some(Told::Of(of, _)) = unread.try_next() {
        assert_eq!(of, one.id());
        kept += 1;
    }
    assert_eq!((kept, missed), (16, FLOOD - 16));
}

#[tokio::test]
async fn answers_of_an_earlier_owner_of_the_session_answer_nobody() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let hasty = client.with_timeout(Duration::from_millis(100));
    let (pinged, ()) = tokio::join!(hasty.ping(), async {
        let ping = peer.request().await;
        let ours = ping["transaction"].as_str().unwrap();
        let (_, number) = ours.split_once('-').unwrap();
        for theirs in [format!("00000000-{number}"), number.to_owned()] {
            peer.send(json!({ "janus": "pong", "transaction": theirs })).await;
        }
    });
    assert!(matches!(pinged, Err(Error::TimedOut { .. })), "{pinged:?}");
}

#[tokio::test]
async fn sessions_are_kept_alive_and_a_silent_janus_is_lost() {
    let janus = Scripted::listen().await;
    let options = Options {
        keepalive: Duration::from_millis(20),
        request_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let (client, mut peer) = connect(&janus, options).await;
    let mut changes = client.changes();
    let (session, ()) = tokio::join!(client.create_session(), peer.welcome(1, &[]));
    session.unwrap();
    for _ in 0..3 {
        let keepalive = peer.request_of("keepalive").await;
        assert_eq!(keepalive["session_id"], 1);
        peer.answer(&keepalive, "ack", json!({})).await;
    }
    peer.request_of("keepalive").await;
    let Change::Lost { reason } = change(&mut changes).await else { panic!("not lost") };
    assert!(reason.contains("did not answer keepalive"), "{reason}");
    assert_eq!(janus.accept().await.request().await["janus"], "claim");
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_for_those_before() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, Options { outstanding_max: 2, ..quiet() }).await;
    let third = client.with_timeout(Duration::from_millis(100));
    let (first, second, third, ()) = tokio::join!(client.ping(), client.ping(), third.ping(), async {
        let pings = [peer.request().await, peer.request().await];
        // The third is not sent while two are outstanding: it has run out of time in the queue.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for ping in &pings {
            peer.answer(ping, "pong", json!({})).await;
        }
    });
    first.unwrap();
    second.unwrap();
    assert!(matches!(third, Err(Error::TimedOut { request: "ping", .. })), "{third:?}");
    let (pinged, ()) = tokio::join!(client.ping(), async {
        let ping = peer.request().await;
        peer.answer(&ping, "pong", json!({})).await;
    });
    pinged.unwrap();
}

#[tokio::test]
async fn detach_waits_for_what_janus_says_after_its_answer() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (sink, _events) = events(8);
    let (handle, ()) = tokio::join!(
        async { client.create_session().await.unwrap().attach(None, &sink).await.unwrap() },
        peer.welcome(1, &[2])
    );
    let detaching = handle.detach();
    tokio::pin!(detaching);
    tokio::select! {
        _ = &mut detaching => panic!("done before it was told"),
        () = async {
            let detach = peer.request().await;
            peer.succeed(&detach, json!({})).await;
            // The client has read the answer once it has answered what came behind it.
            let (pinged, ping) = tokio::join!(client.ping(), async {
                let ping = peer.request().await;
                peer.answer(&ping, "pong", json!({})).await;
                ping
            });
            pinged.unwrap();
            drop(ping);
        } => {}
    }
    peer.send(json!({ "janus": "detached", "session_id": 1, "sender": 2 })).await;
    soon("detach", detaching).await.unwrap();
    soon("second detach", handle.detach()).await.unwrap();
}

#[tokio::test]
async fn an_error_of_the_core_keeps_its_code() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (created, ()) = tokio::join!(client.create_session(), async {
        let create = peer.request().await;
        let error = json!({ "error": { "code": 472, "reason": "Not accepting new sessions" } });
        peer.answer(&create, "error", error).await;
    });
    let error = created.unwrap_err();
    assert_eq!(error.janus_code(), Some(JanusCode::NOT_ACCEPTING_SESSIONS));
    assert_eq!(error.to_string(), "Janus refused create: Not accepting new sessions (472)");
    assert!(!error.is_unsure());
}

#[tokio::test]
async fn the_connection_ends_with_the_last_that_uses_it() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let (session, ()) = tokio::join!(client.create_session(), peer.welcome(1, &[]));
    drop(client);
    let session = session.unwrap();
    let (sink, _events) = events(1);
    let (attached, ()) = tokio::join!(session.attach(None, &sink), async {
        let attach = peer.request().await;
        peer.succeed(&attach, json!({ "data": { "id": 2 } })).await;
    });
    drop((attached.unwrap(), session));
    peer.closed().await;
}

#[tokio::test]
async fn a_closed_client_says_so() {
    let janus = Scripted::listen().await;
    let (client, mut peer) = connect(&janus, quiet()).await;
    let mut changes = client.changes();
    soon("end", async { tokio::join!(client.close(), peer.closed()) }).await;
    assert_eq!(change(&mut changes).await, Change::Closed);
    assert_eq!(changes.next().await, None);
    assert!(matches!(client.ping().await, Err(Error::Closed { request: "ping" })));
}

#[tokio::test]
async fn a_client_is_closed_while_janus_is_away() {
    let janus = Scripted::listen().await;
    let (client, peer) = connect(&janus, quiet()).await;
    let mut changes = client.changes();
    drop((janus, peer));
    assert!(matches!(change(&mut changes).await, Change::Lost { .. }));
    assert!(matches!(client.ping().await, Err(Error::NotConnected { .. })));
    soon("end", client.close()).await;
    assert_eq!(change(&mut changes).await, Change::Closed);
}

#[tokio::test]
async fn nobody_there_is_an_error_that_names_the_place() {
    let url = Scripted::listen().await.url();
    let error = Client::connect(&url, quiet()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach Janus at {url}"));
}
