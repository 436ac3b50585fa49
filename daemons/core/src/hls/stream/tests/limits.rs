//! What a room may send: too much is refused, by name, and the stream is as it was.

use super::*;

fn refused(scene: &mut Scene, bytes: u32) -> Refusal {
    let unchanged = scene.stream.clone();
    let part = scene.encoder.clone().part_of(&[(334, bytes)], false);
    let refusal = scene.send(DataKind::Part(PartFields::default()), part).unwrap_err();
    assert_eq!(scene.stream, unchanged);
    refusal
}

#[test]
fn a_part_larger_than_parts_may_be_is_refused_and_the_next_is_taken() {
    let mut scene = Scene::begun();
    scene.settings.part_bytes_max = 1_000;
    scene.plain(334, true);
    let refusal = refused(&mut scene, 1_000);
    assert_eq!(refusal.kind, RefusalKind::TooLarge);
    assert!(refusal.message.contains("at most 1000 (part-bytes-max)"), "{refusal}");
    assert_eq!(scene.plain(334, false), (0, 1));
}

#[test]
fn a_room_over_its_bitrate_is_told_when_to_send_again() {
    let mut scene = Scene::begun();
    scene.plain(334, true);
    scene.settings.bitrate_max = 8_000;
    let refusal = refused(&mut scene, 12_000);
    let RefusalKind::RateLimited { retry_after } = refusal.kind else { panic!("{refusal:?}") };
    assert!(refusal.message.contains("8000 bits a second (bitrate-max)"), "{refusal}");
    scene.now = scene.now.after(retry_after);
    scene.settings.part_bytes_max = 100_000;
    let part = scene.encoder.part_of(&[(334, 9_000)], false);
    assert!(scene.send(DataKind::Part(PartFields::default()), part).is_ok());
}

#[test]
fn renditions_share_the_rooms_bitrate() {
    let mut scene = Scene::begun();
    scene.settings.bitrate_max = 8_000;
    let part = scene.encoder.part_of(&[(334, 6_000)], true);
    scene.send(DataKind::Part(PartFields::default()), part).unwrap();
    scene.send_on("low", DataKind::Init(InitFields::default()), video_init()).unwrap();
    let part = Encoder::default().part_of(&[(334, 6_000)], true);
    let refused = scene.send_on("low", DataKind::Part(PartFields::default()), part);
    assert!(matches!(kind_of(refused), RefusalKind::RateLimited { .. }));
}

#[test]
fn a_window_that_would_hold_too_much_is_refused_until_it_has_moved_on() {
    let mut scene = Scene::new();
    scene.settings.window = Duration::from_secs(6);
    scene.settings.window_bytes_max = 4_000;
    scene.init(InitFields::default()).unwrap();
    for _ in 0..3 {
        scene.segment();
    }
    let refusal = refused(&mut scene, 2_500);
    assert_eq!(refusal.kind, RefusalKind::TooLarge);
    assert!(refusal.message.contains("at most 4000 (window-bytes-max)"), "{refusal}");
    scene.plain(334, true);
    // The silence that a publisher's pause brings takes the old media out of the window.
    scene.wait(8_000);
    scene.tick();
    assert!(scene.stream.is_live());
    let part = scene.encoder.part_of(&[(334, 2_500)], true);
    assert!(scene.send(DataKind::Part(PartFields::default()), part).is_ok());
}
