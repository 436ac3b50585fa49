//! Against a real Janus, without media.

use std::time::Duration;

use crate::support::{LOOK_EVERY, Lab, answer, offer, remote, room, soon, told};
use janus_client::admin::InRoom;
use janus_client::spawn::EVENT_LOOPS;
use janus_client::video_room::{
    Allowed, AllowedAction, ConfigurePublisher, ConfigureStream, ConfigureSubscriber, Destroy, Edit,
    EnableRecording, Exists, ForwardStream, JoinPublisher, JoinSubscriber, Kick, List, ListForwarders,
    ListParticipants, ListRemotes, Moderate, Publish, PublishRemotely, RemoveRemotePublisher, Renegotiation,
    RoomEvent, RoomNews, RtpForward, SetAllowed, StopRtpForward, SubscriberStream, Subscription, Switch,
    Unsubscribe, UpdateRemotePublisher,
};
use janus_client::{
    Candidate, Change, Client, EVENTS_MAX, Error, Event, JanusCode, Offer, Options, Publisher, Subscriber,
    Told, Trickle, VideoRoomCode, events,
};

fn code(error: impl Into<Error>) -> Option<VideoRoomCode> {
    error.into().video_room_code()
}

#[tokio::test]
async fn janus_tells_what_it_is() {
    let lab = Lab::start().await;
    lab.client.ping().await.unwrap();
    let info = lab.client.info().await.unwrap();
    assert_eq!(info.server_name.as_deref(), Some(lab.janus.config().server_name.as_str()));
    assert_eq!((info.session_timeout, info.reclaim_session_timeout), (60, 45));
    assert_eq!((info.event_loops, info.accepting_new_sessions), (Some(EVENT_LOOPS), true));
    assert!(info.version_number >= 1100, "{}", info.version);
    let plugins = &info.raw.json()["plugins"];
    assert_eq!(plugins.as_object().unwrap().keys().collect::<Vec<_>>(), ["janus.plugin.videoroom"]);
}

#[tokio::test]
async fn a_room_is_made_changed_listed_and_ended() {
    let lab = Lab::start().await;
    let handle = lab.attach().await;
    assert_eq!(handle.ask(&room("blue")).await.unwrap().room, "blue".into());
    assert_eq!(code(handle.ask(&room("blue")).await.unwrap_err()), Some(VideoRoomCode::ROOM_EXISTS));
    let mut edit = Edit::new("blue".into());
    edit.new_publishers = Some(2);
    handle.ask(&edit).await.unwrap();
    let rooms = handle.ask(&List::default()).await.unwrap().rooms;
    assert_eq!(rooms.len(), 1);
    assert_eq!((&rooms[0].room, rooms[0].max_publishers), (&"blue".into(), 2));
    let add = SetAllowed {
        room: "blue".into(),
        secret: None,
        action: AllowedAction::Add,
        allowed: vec!["token".to_owned()],
    };
    let Allowed { allowed, .. } = handle.ask(&add).await.unwrap();
    assert_eq!(allowed, ["token"]);
    handle.ask(&EnableRecording { room: "blue".into(), secret: None, record: false }).await.unwrap();
    assert!(handle.ask(&Exists { room: "blue".into() }).await.unwrap().exists);
    handle.ask(&Destroy { room: "blue".into(), secret: None, permanent: None }).await.unwrap();
    assert!(!handle.ask(&Exists { room: "blue".into() }).await.unwrap().exists);
    assert_eq!(
        code(handle.ask(&ListParticipants { room: "blue".into() }).await.unwrap_err()),
        Some(VideoRoomCode::NO_SUCH_ROOM)
    );
}

#[tokio::test]
async fn a_refused_join_leaves_the_handle_fresh() {
    let lab = Lab::start().await;
    let handle = lab.attach().await;
    let join = JoinPublisher::new("blue".into(), "ann".into());
    let refused = handle.join_publisher(&join).await.unwrap_err();
    assert_eq!(refused.error.video_room_code(), Some(VideoRoomCode::NO_SUCH_ROOM));
    refused.handle.ask(&room("blue")).await.unwrap();
    let (publisher, joined) = refused.handle.join_publisher(&join).await.unwrap();
    assert_eq!((joined.feed, joined.publishers.len()), ("ann".into(), 0));
    publisher.configure(&ConfigurePublisher { bitrate: Some(128_000), ..Default::default() }).await.unwrap();
    assert_eq!(code(publisher.unpublish().await.unwrap_err()), Some(VideoRoomCode::NOT_PUBLISHED));
    publisher.leave().await.unwrap().detach().await.unwrap();
    let (_, joined) = lab.attach().await.join_publisher(&join).await.unwrap();
    assert_eq!(joined.feed, "ann".into());
}

#[tokio::test]
async fn a_feed_may_join_again_once_its_handle_is_detached() {
    let lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    let join = JoinPublisher::new("blue".into(), "ann".into());
    for _ in 0..20 {
        let (first, _) = lab.attach().await.join_publisher(&join).await.unwrap();
        let refused = lab.attach().await.join_publisher(&join).await.unwrap_err();
        assert_eq!(refused.error.video_room_code(), Some(VideoRoomCode::ID_EXISTS));
        first.detach().await.unwrap();
        let (second, _) = refused.handle.join_publisher(&join).await.unwrap();
        second.detach().await.unwrap();
        second.detach().await.unwrap();
    }
}

#[tokio::test]
async fn an_sdp_that_is_none_is_refused() {
    let lab = Lab::start().await;
    let handle = lab.attach().await;
    handle.ask(&room("blue")).await.unwrap();
    let (publisher, _) =
        handle.join_publisher(&JoinPublisher::new("blue".into(), "ann".into())).await.unwrap();
    let refused = publisher.publish(&Publish::default(), &Offer::new("v=0")).await;
    assert_eq!(refused.unwrap_err().janus_code(), Some(JanusCode::JSEP_INVALID_SDP));
}

#[tokio::test]
async fn a_subscriber_gets_an_offer_and_changes_what_it_gets() {
    let mut lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    let join = JoinSubscriber::new("blue".into(), "far".into());
    let refused = lab.attach().await.join_subscriber(&join).await.unwrap_err();
    assert_eq!(refused.error.video_room_code(), Some(VideoRoomCode::NO_SUCH_FEED));
    lab.add_far(&control, "blue").await;

    let (subscriber, offer, streams) = refused.handle.join_subscriber(&join).await.unwrap();
    assert!(offer.sdp().contains("m=audio") && offer.sdp().contains("m=video"), "{offer}");
    assert!(offer.sdp().contains("a=candidate:"), "all candidates are in the offer: {offer}");
    assert_eq!(streams.len(), 2);
    assert_eq!((&streams[1].feed, streams[1].layers.unwrap().substream_target), (&Some("far".into()), 2));

    let stream = ConfigureStream {
        mid: "1".to_owned(),
        substream: Some(0),
        temporal: Some(1),
        ..ConfigureStream::default()
    };
    let layers = ConfigureSubscriber { streams: vec![stream], restart: None };
    assert_eq!(subscriber.configure(&layers).await.unwrap(), None);
    subscriber.pause().await.unwrap();
    subscriber.resume().await.unwrap();
    // The first offer is not answered: what needs another one waits.
    let of_far = Unsubscribe { feed: Some("far".into()), mid: Some("0".to_owned()), sub_mid: None };
    assert!(matches!(subscriber.unsubscribe(&[of_far]).await.unwrap(), Renegotiation::Postponed));
    let again = Subscription { mid: Some("0".to_owned()), ..Subscription::all_of("far".into()) };
    assert!(matches!(
        subscriber.subscribe(std::slice::from_ref(&again)).await.unwrap(),
        Renegotiation::Postponed
    ));
    assert!(matches!(subscriber.update(&[again], &[]).await.unwrap(), Renegotiation::Postponed));
    let same = Switch { feed: "far".into(), mid: "1".to_owned(), sub_mid: "1".to_owned() };
    let switched = subscriber.switch(&[same]).await.unwrap();
    // Sound again on the first m-line, and once more on a new one.
    assert_eq!((switched.changes, switched.streams.len()), (0, 3));
    let layers = switched.streams[1].layers.unwrap();
    assert_eq!((layers.substream_target, layers.temporal_target), (0, 1));

    let candidate = Candidate {
        candidate: "candidate:1 1 udp 2015363327 127.0.0.1 9 typ host".to_owned(),
        sdp_mid: Some("0".to_owned()),
        sdp_mline_index: Some(0),
    };
    subscriber.trickle(&Trickle::Candidate(candidate.clone())).await.unwrap();
    subscriber.trickle_all(&[Trickle::Candidate(candidate), Trickle::Completed]).await.unwrap();
    subscriber.hang_up().await.unwrap();
    let reason = lab.event_that(subscriber.id(), |event| {
        let Event::HangUp { reason } = event else { return None };
        Some(reason.clone())
    });
    assert_eq!(reason.await, "Janus API");
}

#[tokio::test]
async fn participants_are_listed_moderated_and_kicked_and_hear_of_it() {
    let mut lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    let (ann, _) =
        lab.attach().await.join_publisher(&JoinPublisher::new("blue".into(), "ann".into())).await.unwrap();
    lab.add_far(&control, "blue").await;
    let feeds = lab.event_that(ann.id(), |event| {
        let Event::Room(RoomEvent { news: RoomNews::Publishers(feeds), .. }) = event else { return None };
        Some(feeds.clone())
    });
    let feeds = feeds.await;
    assert_eq!((&feeds[0].id, feeds[0].streams.len()), (&"far".into(), 2));

    let listed = control.ask(&ListParticipants { room: "blue".into() }).await.unwrap().participants;
    let mut found: Vec<_> =
        listed.iter().map(|one| (one.feed.as_str().unwrap(), one.publisher, one.remote)).collect();
    found.sort_unstable();
    assert_eq!(found, [("ann", false, false), ("far", true, true)]);

    let mute =
        Moderate { room: "blue".into(), secret: None, feed: "far".into(), mid: "1".to_owned(), mute: true };
    control.ask(&mute).await.unwrap();
    let moderated = lab.event_that(ann.id(), |event| {
        let Event::Room(RoomEvent { news: RoomNews::Moderated { feed, mid, muted }, .. }) = event else {
            return None;
        };
        Some((feed.clone(), mid.clone(), *muted))
    });
    assert_eq!(moderated.await, ("far".into(), "1".to_owned(), true));
    let absent = Moderate { mid: "7".to_owned(), ..mute };
    assert_eq!(code(control.ask(&absent).await.unwrap_err()), Some(VideoRoomCode::NO_SUCH_FEED));

    let kick = Kick { room: "blue".into(), secret: None, feed: "ann".into() };
    control.ask(&kick).await.unwrap();
    lab.event_that(ann.id(), |event| {
        let Event::Room(event) = event else { return None };
        matches!(event.news, RoomNews::Kicked).then_some(())
    })
    .await;
    assert_eq!(code(control.ask(&kick).await.unwrap_err()), Some(VideoRoomCode::NO_SUCH_FEED));
}

#[tokio::test]
async fn a_destroyed_room_is_told_to_who_is_in_it() {
    let mut lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    let (ann, _) =
        lab.attach().await.join_publisher(&JoinPublisher::new("blue".into(), "ann".into())).await.unwrap();
    control.ask(&Destroy { room: "blue".into(), secret: None, permanent: None }).await.unwrap();
    lab.event_that(ann.id(), |event| {
        let Event::Room(event) = event else { return None };
        matches!(event.news, RoomNews::Destroyed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_remote_publisher_comes_changes_is_forwarded_and_goes() {
    let lab = Lab::start().await;
    let handle = lab.attach().await;
    handle.ask(&room("blue")).await.unwrap();
    let made = lab.add_far(&handle, "blue").await;
    assert_eq!(made.ip.to_string(), "127.0.0.1");
    assert!(made.port > 0 && made.rtcp_port > 0, "{made:?}");
    assert_eq!(code(handle.ask(&remote("blue", "far")).await.unwrap_err()), Some(VideoRoomCode::ID_EXISTS));
    let update = UpdateRemotePublisher {
        room: "blue".into(),
        feed: "far".into(),
        secret: None,
        display: Some("Far".to_owned()),
        streams: remote("blue", "far").streams,
    };
    handle.ask(&update).await.unwrap();
    let there = PublishRemotely {
        room: "blue".into(),
        feed: "far".into(),
        remote_id: "x".to_owned(),
        secret: None,
        host: "127.0.0.1".to_owned(),
        port: made.port,
        rtcp_port: None,
        srtp: None,
    };
    // What comes from elsewhere is not sent on.
    assert_eq!(code(handle.ask(&there).await.unwrap_err()), Some(VideoRoomCode::INVALID_ELEMENT));
    let remotes = ListRemotes { room: "blue".into(), feed: "far".into(), secret: None };
    assert!(handle.ask(&remotes).await.unwrap().remotes.is_empty());

    let forward = RtpForward {
        room: "blue".into(),
        feed: "far".into(),
        secret: None,
        admin_key: None,
        host: "127.0.0.1".to_owned(),
        streams: vec![ForwardStream { mid: "1".to_owned(), port: 9, ..ForwardStream::default() }],
        srtp: None,
    };
    let forwarder = handle.ask(&forward).await.unwrap().forwarders.remove(0);
    let list = ListForwarders { room: "blue".into(), secret: None };
    let listed = handle.ask(&list).await.unwrap().publishers;
    assert_eq!(listed[0].forwarders[0].stream_id, forwarder.stream_id);
    let stop = StopRtpForward {
        room: "blue".into(),
        feed: "far".into(),
        stream_id: forwarder.stream_id,
        secret: None,
    };
    handle.ask(&stop).await.unwrap();
    assert!(handle.ask(&list).await.unwrap().publishers.is_empty());

    let remove = RemoveRemotePublisher { room: "blue".into(), feed: "far".into(), secret: None };
    handle.ask(&remove).await.unwrap();
    // It answers before it is done.
    soon("end of the remote publisher", async {
        while !handle.ask(&ListParticipants { room: "blue".into() }).await.unwrap().participants.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_each_answered_with_their_own() {
    let lab = Lab::start().await;
    let handle = lab.attach().await.join_subscriber(&JoinSubscriber::new("none".into(), "none".into())).await;
    let handle = std::sync::Arc::new(handle.unwrap_err().handle);
    for number in (0..1000).step_by(3) {
        handle.ask(&room(&format!("room-{number}"))).await.unwrap();
    }
    let asked: Vec<_> = (0..1000)
        .map(|number| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let existing = handle.ask(&Exists { room: format!("room-{number}").into() }).await.unwrap();
                (number, existing)
            })
        })
        .collect();
    for task in asked {
        let (number, existing) = soon("answer", task).await.unwrap();
        assert_eq!(existing.room, format!("room-{number}").into());
        assert_eq!(existing.exists, number % 3 == 0, "room {number}");
    }
    assert_eq!(lab.client.outstanding(), 0);
}

#[tokio::test]
async fn a_controller_without_memory_finds_its_handles_and_goes_on() {
    let lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    lab.add_far(&control, "blue").await;
    let ann = lab.session.attach(Some("publish:ann"), &lab.sink).await.unwrap();
    let (ann, _) = ann.join_publisher(&JoinPublisher::new("blue".into(), "ann".into())).await.unwrap();
    let bob = lab.session.attach(Some("watch:bob"), &lab.sink).await.unwrap();
    let mut join = JoinSubscriber::new("blue".into(), "far".into());
    join.streams[0].cross_reference = Some("for bob".to_owned());
    let (bob, ..) = bob.join_subscriber(&join).await.unwrap();
    let (ann_id, bob_id) = (ann.id(), bob.id());
    let admin = lab.admin().await;
    let Lab { janus, client, session, .. } = lab;
    let session_id = session.id();
    drop((ann, bob, control, session));
    client.close().await;

    let [found] = admin.list_sessions().await.unwrap()[..] else { panic!("one session") };
    assert_eq!(found, session_id);
    let client = Client::connect(&janus.url(), Options::default()).await.unwrap();
    let session = client.claim(found).await.unwrap();
    let (sink, _events) = events(EVENTS_MAX);
    let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
    for handle in admin.list_handles(found).await.unwrap() {
        let info = admin.handle_info(found, handle).await.unwrap();
        match info.room {
            Some(InRoom::Publisher { room, feed, .. }) => {
                assert_eq!((room, feed), ("blue".into(), "ann".into()));
                publishers.push((info.opaque_id.unwrap(), session.adopt::<Publisher>(handle, &sink)));
            }
            Some(InRoom::Subscriber { room, answered, streams, .. }) => {
                assert_eq!((room, answered, streams.len()), ("blue".into(), false, 2));
                let is_bobs = |it: &SubscriberStream| it.cross_reference.as_deref() == Some("for bob");
                assert!(streams.iter().all(is_bobs), "{streams:?}");
                subscribers.push((info.opaque_id.unwrap(), session.adopt::<Subscriber>(handle, &sink)));
            }
            Some(InRoom::Nowhere) => assert_eq!(info.opaque_id, None),
            None => panic!("of another plugin: {:?}", info.raw),
        }
    }
    let [(name, ann)] = &publishers[..] else { panic!("{publishers:?}") };
    assert_eq!((name.as_str(), ann.id()), ("publish:ann", ann_id));
    ann.configure(&ConfigurePublisher { bitrate: Some(64_000), ..Default::default() }).await.unwrap();
    let [(name, bob)] = &subscribers[..] else { panic!("{subscribers:?}") };
    assert_eq!((name.as_str(), bob.id()), ("watch:bob", bob_id));
    bob.pause().await.unwrap();
    bob.detach().await.unwrap();
    ann.detach().await.unwrap();
}

#[tokio::test]
async fn a_restarted_janus_has_no_session_to_claim() {
    let mut lab = Lab::start().await;
    let handle = lab.attach().await;
    let mut changes = lab.client.changes();
    lab.janus.kill().await;
    assert!(matches!(soon("change", changes.next()).await, Some(Change::Lost { .. })));
    let directory = tempfile::tempdir().unwrap();
    let _again = janus_client::spawn::Janus::start(lab.janus.config(), directory.path()).await.unwrap();
    assert_eq!(soon("change", changes.next()).await, Some(Change::SessionGone(lab.session.id())));
    assert_eq!(soon("change", changes.next()).await, Some(Change::Connected));
    let Told::Of(of, event) = told(&mut lab.events).await else { panic!("no event") };
    assert!(of == handle.id() && matches!(event, Event::SessionGone), "{event:?}");
    let session = lab.client.create_session().await.unwrap();
    session.attach(None, &lab.sink).await.unwrap();
}

#[tokio::test]
async fn the_admin_api_ends_what_others_own() {
    let mut lab = Lab::start().await;
    let mut changes = lab.client.changes();
    let admin = lab.admin().await;
    admin.ping().await.unwrap();
    assert_eq!(admin.info().await.unwrap().server_name, Some(lab.janus.config().server_name.clone()));
    let handle = lab.attach().await;
    handle.ask(&room("blue")).await.unwrap();
    assert_eq!(admin.ask(&List::default()).await.unwrap().rooms.len(), 1);
    assert_eq!(code(admin.ask(&room("blue")).await.unwrap_err()), Some(VideoRoomCode::ROOM_EXISTS));
    admin.set_session_timeout(Duration::from_secs(30)).await.unwrap();

    admin.accept_new_sessions(false).await.unwrap();
    let refused = lab.client.create_session().await.unwrap_err();
    assert_eq!(refused.janus_code(), Some(JanusCode::NOT_ACCEPTING_SESSIONS));
    // A drain is not made of this: handles are attached all the same.
    lab.attach().await;
    admin.accept_new_sessions(true).await.unwrap();

    admin.detach_handle(lab.session.id(), handle.id()).await.unwrap();
    lab.event_that(handle.id(), |event| matches!(event, Event::Detached).then_some(())).await;
    admin.destroy_session(lab.session.id()).await.unwrap();
    assert_eq!(soon("change", changes.next()).await, Some(Change::SessionGone(lab.session.id())));
    let gone = lab.session.attach(None, &lab.sink).await.unwrap_err();
    assert_eq!(gone.janus_code(), Some(JanusCode::SESSION_NOT_FOUND));

    let wrong = Options { admin_secret: Some("wrong".to_owned()), ..Options::default() };
    let wrong = janus_client::Admin::connect(&lab.janus.admin_url().unwrap(), wrong).await.unwrap();
    assert_eq!(wrong.list_sessions().await.unwrap_err().janus_code(), Some(JanusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn a_destroyed_session_takes_its_handles_along() {
    let mut lab = Lab::start().await;
    let handle = lab.attach().await;
    lab.session.destroy().await.unwrap();
    assert!(matches!(lab.event(handle.id()).await, Event::SessionGone));
    assert!(!lab.session.is_owned());
}

#[tokio::test]
async fn a_publisher_is_answered_and_offers_again() {
    let lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    let join = |feed: &str| JoinPublisher::new("blue".into(), feed.into());
    let (ann, _) = lab.attach().await.join_publisher(&join("ann")).await.unwrap();
    let answered = ann.publish(&Publish::default(), &offer()).await.unwrap();
    assert!(
        answered.sdp().contains("a=candidate:") && answered.sdp().contains("a=simulcast:recv"),
        "{answered}"
    );
    ann.trickle(&Trickle::Completed).await.unwrap();
    let again = ann.renegotiate(&ConfigurePublisher::default(), &offer()).await.unwrap();
    assert!(again.sdp().contains("m=video"), "{again}");

    ann.detach().await.unwrap();
    let eve = lab.attach().await;
    let (_, joined, answered) =
        eve.join_and_publish(&join("eve"), &Publish::default(), &offer()).await.unwrap();
    assert_eq!(joined.feed, "eve".into());
    assert!(answered.sdp().contains("m=video"), "{answered}");
}

#[tokio::test]
async fn a_subscriber_that_has_answered_renegotiates() {
    let lab = Lab::start().await;
    let control = lab.attach().await;
    control.ask(&room("blue")).await.unwrap();
    lab.add_far(&control, "blue").await;
    let mut join = JoinSubscriber::new("blue".into(), "far".into());
    join.streams[0].mid = Some("1".to_owned());
    let (subscriber, offered, _) = lab.attach().await.join_subscriber(&join).await.unwrap();
    subscriber.start(&answer(&offered)).await.unwrap();
    let info = lab.admin().await.handle_info(lab.session.id(), subscriber.id()).await.unwrap();
    assert!(matches!(info.room, Some(InRoom::Subscriber { answered: true, .. })), "{:?}", info.room);
    assert_eq!((info.media.len(), info.media[0].mid.as_str(), info.is_up), (1, "0", false));

    let sound = Subscription { mid: Some("0".to_owned()), ..Subscription::all_of("far".into()) };
    let renegotiation = subscriber.subscribe(&[sound]).await.unwrap();
    let Renegotiation::Needed { offer, streams } = renegotiation else { panic!("{renegotiation:?}") };
    assert_eq!(streams.len(), 2);
    assert!(offer.sdp().contains("m=audio"), "{offer}");
}
