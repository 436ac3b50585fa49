//! I-frames: which bytes they are, and how they are numbered.

use super::*;
use crate::hls::iframes::IFramePlaylist;
use crate::hls::request::{Decision, decide_iframes};

impl Scene {
    fn iframes(&self) -> String {
        let main = "main".parse().unwrap();
        IFramePlaylist::new(&self.stream, &main).unwrap().to_string()
    }
}

/// Entries by number: duration in microseconds, and range if there is a frame.
fn stills(track: &Track) -> Vec<(u64, Still)> {
    (track.iframe_sequence..).zip(track.segments.iter().flat_map(Segment::stills)).collect()
}

#[test]
fn an_iframe_playlist_lists_the_ranges_of_independent_frames() {
    let mut scene = Scene::begun();
    let first = scene.encoder.part_of(&[(500, 4), (500, 9)], true);
    let second = scene.encoder.part_of(&[(500, 6), (500, 9)], true);
    let lengths = (first.len(), second.len());
    let last = PartFields { last: Some(true), ..PartFields::default() };
    scene.wait(2_000);
    scene.send(DataKind::Part(PartFields { last: Some(false), ..last.clone() }), first).unwrap();
    scene.send(DataKind::Part(last), second).unwrap();
    let expected = format!(
        "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:2\n#EXT-X-I-FRAMES-ONLY\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP:URI=\"init-0.mp4\"\n\
         #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:21.000Z\n#EXT-X-BYTERANGE:{}@0\n#EXTINF:1.00000,\n0.m4s\n\
         #EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:22.000Z\n#EXT-X-BYTERANGE:{}@{}\n#EXTINF:1.00000,\n0.m4s\n\
         #EXT-X-RENDITION-REPORT:URI=\"../main/media.m3u8\",LAST-MSN=0,LAST-PART=1\n",
        lengths.0 - 9,
        lengths.1 - 9,
        lengths.0
    );
    assert_eq!(scene.iframes(), expected);
}

#[test]
fn what_has_no_iframe_is_a_gap_so_that_none_is_longer_than_the_target_duration() {
    let mut scene = Scene::begun();
    for part in 0..12 {
        scene.plain(500, part == 0 || part == 9);
    }
    scene.wait(3_000);
    scene.tick();
    let gaps: Vec<(u64, bool)> =
        stills(scene.track()).iter().map(|(_, still)| (still.duration, still.range.is_none())).collect();
    let micros = |millis: u64| millis * 1000;
    let expected = [
        (micros(2_000), false),
        (micros(2_000), true),
        (micros(500), true),
        (micros(1_500), false),
        (micros(2_000), true),
    ];
    assert_eq!(gaps, expected);
    assert_eq!(scene.iframes().matches("#EXT-X-GAP").count(), 3);
}

#[test]
fn the_number_of_an_iframe_never_changes() {
    let mut scene = Scene::begun();
    scene.settings.window = Duration::from_secs(8);
    let mut seen: Vec<Option<Still>> = Vec::new();
    let mut look = |track: &Track| {
        for (number, still) in stills(track) {
            let number = usize::try_from(number).unwrap();
            seen.resize(seen.len().max(number + 1), None);
            let before = seen[number].get_or_insert(still);
            assert_eq!((before.at, before.duration), (still.at, still.duration), "entry {number}");
        }
        assert_eq!(track.next_still(), seen.len() as u64);
    };
    for round in 0..60 {
        match round {
            20 => scene.stream = scene.stream.without_media(),
            30 => {
                scene.send(DataKind::End, Bytes::new()).unwrap();
                look(scene.track());
                scene.init(InitFields::default()).unwrap();
            }
            40 => scene.wait(7_000),
            _ => {}
        }
        scene.plain(400, round % 3 != 1);
        look(scene.track());
    }
    assert!(seen.iter().all(Option::is_some) && seen.len() > 20);
}

#[test]
fn an_iframe_that_comes_next_is_waited_for() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.segment();
    let decide = |scene: &Scene, msn| decide_iframes(&scene.stream, scene.track(), msn);
    assert_eq!(decide(&scene, 1), Decision::Ready);
    assert_eq!(decide(&scene, 2), Decision::Wait);
    assert_eq!(decide(&scene, 3), Decision::Wait);
    assert!(matches!(decide(&scene, 4), Decision::Bad(_)));
    scene.send(DataKind::End, Bytes::new()).unwrap();
    assert_eq!(decide(&scene, 9), Decision::Ready);
    assert!(scene.iframes().ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn the_multivariant_playlist_measures_segments_and_iframes() {
    let mut scene = Scene::new();
    scene.init(InitFields { bandwidth: Some(900), ..InitFields::default() }).unwrap();
    let multivariant = |scene: &Scene| {
        crate::hls::multivariant::MultivariantPlaylist::new(&scene.stream).unwrap().to_string()
    };
    scene.wait(500);
    let parts = [500u32, 1_500, 500, 500].map(|bytes| {
        let part = scene.encoder.part_of(&[(100, 50), (400, bytes)], bytes == 1_500);
        (part.len() as u64, part)
    });
    let [a, b, c, d] = parts.each_ref().map(|(bytes, _)| *bytes);
    for (number, (_, part)) in parts.into_iter().enumerate() {
        let last = PartFields { last: Some(number % 2 == 1), ..PartFields::default() };
        scene.send(DataKind::Part(last), part).unwrap();
        if number == 0 {
            assert!(!multivariant(&scene).contains("I-FRAME"), "no segment is complete yet");
        }
    }
    // Two segments of one second, half the target duration: the larger one is the peak.
    let text = multivariant(&scene);
    let expected = format!("BANDWIDTH={},AVERAGE-BANDWIDTH={},", (a + b) * 8, (a + b + c + d) * 4);
    assert!(text.contains(&format!("#EXT-X-STREAM-INF:{expected}")), "{expected} {text}");
    let frame = b - 1_500;
    let expected = format!(
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"avc1.42c01f\",RESOLUTION=320x240,URI=\"main/iframes.m3u8\"\n",
        frame * 8,
        frame * 4
    );
    assert!(text.contains(&expected), "{expected} {text}");
}

#[test]
fn a_bandwidth_stated_too_low_is_not_believed() {
    let mut scene = Scene::new();
    scene.init(InitFields { bandwidth: Some(1), ..InitFields::default() }).unwrap();
    scene.segment();
    let stated = |scene: &Scene, bandwidth: u64| {
        let text = crate::hls::multivariant::MultivariantPlaylist::new(&scene.stream).unwrap().to_string();
        text.contains(&format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},"))
    };
    assert!(stated(&scene, scene.track().peak_bitrate) && scene.track().peak_bitrate > 1);
    let mut scene = Scene::new();
    scene.init(InitFields { bandwidth: Some(9_000_000), ..InitFields::default() }).unwrap();
    scene.segment();
    assert!(stated(&scene, 9_000_000));
}
