//! An hour of the past and more: what it costs.

use super::*;

#[test]
fn an_hour_of_the_past_is_kept_in_ten_bytes_a_segment() {
    let mut scene = Scene::new();
    scene.settings.window = Duration::from_secs(3_600);
    scene.init(InitFields::default()).unwrap();
    scene.segment();
    let track = scene.stream.tracks.get_mut(&"main".parse().unwrap()).unwrap();
    for _ in 1..1_800 {
        let mut segment = track.segments.back().unwrap().clone();
        segment.msn += 1;
        segment.date_time += segment.duration;
        segment.bytes += 1;
        segment.parts = Vec::new();
        track.segments.push_back(segment);
    }
    track.next_msn = 1_800;
    for _ in 0..30 {
        scene.segment();
    }
    assert_eq!(scene.track().segments.len(), 1_800);
    let encoded = scene.stream.encode();
    assert!(encoded.len() < 1_800 * 10 + 8_000, "{}", encoded.len());
    assert_eq!(Stream::decode(&encoded).unwrap(), scene.stream);
    let name = "main".parse().unwrap();
    let text = |extent| MediaPlaylist::new(&scene.stream, &name, extent).unwrap().to_string();
    let (full, delta) = (text(Extent::Full), text(Extent::Delta));
    assert_eq!((full.matches("#EXTINF").count(), delta.matches("#EXTINF").count()), (1_800, 6));
    assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=1794\n"), "{delta}");
    assert!(delta.len() < 3_000, "{}", delta.len());
}
