//! What becomes of a stream whose publisher is silent.

use super::*;

#[test]
fn silence_is_listed_as_gaps_the_same_whoever_looks_and_whenever() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.plain(334, true);
    let last = scene.now;
    let silent = scene.stream.clone();
    assert_eq!(scene.stream.due(), Some(last.after(Duration::from_secs(3))));
    scene.wait(2_999);
    assert!(scene.stream.tick(scene.now).is_none());
    for _ in 0..9 {
        scene.wait(1_001);
        scene.tick();
    }
    let gaps: Vec<u64> =
        scene.track().segments.iter().filter(|segment| segment.gap).map(|gap| gap.msn).collect();
    assert_eq!(gaps, [2, 3, 4, 5, 6]);
    let late = silent.tick(scene.now).unwrap().next;
    assert_eq!(late.tracks[&"main".parse().unwrap()].segments, scene.track().segments);
}

#[test]
fn media_that_returns_goes_on_or_begins_a_discontinuity_by_its_timestamps() {
    for (skipped, expected) in [(6, false), (0, true)] {
        let mut scene = Scene::begun();
        scene.segment();
        scene.wait(6_000);
        scene.encoder.decode_time += skipped * 90_000;
        assert_eq!(scene.plain(334, true), (3, 0), "two gaps in between");
        assert_eq!(scene.track().open.as_ref().unwrap().discontinuity, expected);
        assert_eq!(scene.track().silent_gaps, 0);
    }
}

#[test]
fn a_minute_of_silence_ends_the_stream() {
    let mut scene = Scene::begun();
    scene.segment();
    let last = scene.now;
    scene.wait(59_999);
    scene.tick();
    assert!(scene.stream.is_live());
    scene.wait(1);
    scene.tick();
    assert_eq!(scene.stream.phase, Phase::Ended(last.after(SILENCE_MAX)));
    assert_eq!(scene.stream.due(), None);
    assert!(scene.playlist().ends_with("#EXT-X-ENDLIST\n"));
}
