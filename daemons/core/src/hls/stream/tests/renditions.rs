//! Several tracks of one stream.

use super::*;
use crate::hls::iframes::IFramePlaylist;
use crate::hls::multivariant::MultivariantPlaylist;

impl Scene {
    fn begin_on(&mut self, track: &str) {
        self.send_on(track, DataKind::Init(InitFields::default()), video_init()).unwrap();
    }

    /// One part on each of these tracks, of the same length.
    fn part_on(&mut self, tracks: &[&str], independent: bool) {
        self.wait(500);
        let part = self.encoder.part(500, independent);
        for track in tracks {
            self.send_on(track, DataKind::Part(PartFields::default()), part.clone()).unwrap();
        }
    }

    /// The renditions of the multivariant playlist; `None` while there is none.
    fn listed_renditions(&self) -> Option<Vec<String>> {
        let text = MultivariantPlaylist::new(&self.stream)?.to_string();
        Some(text.lines().filter(|line| line.ends_with("media.m3u8")).map(ToOwned::to_owned).collect())
    }
}

#[test]
fn several_tracks_have_numbers_of_their_own_and_report_each_other() {
    let mut scene = Scene::begun();
    scene
        .send_on(
            "sound",
            DataKind::Init(InitFields { language: Some("en".into()), ..InitFields::default() }),
            audio_init(),
        )
        .unwrap();
    scene.segment();
    scene.plain(334, true);
    let sound = Encoder::default().part(334, true);
    let ack = scene.send_on("sound", DataKind::Part(PartFields::default()), sound).unwrap();
    assert_eq!((ack.track.as_str(), ack.msn, ack.part), ("sound", Some(0), Some(0)));
    let playlist = scene.playlist();
    assert!(
        playlist.contains("#EXT-X-RENDITION-REPORT:URI=\"../sound/media.m3u8\",LAST-MSN=0,LAST-PART=0\n"),
        "{playlist}"
    );
    let multivariant = MultivariantPlaylist::new(&scene.stream).unwrap().to_string();
    let media = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"sound\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,URI=\"sound/media.m3u8\"\n";
    assert!(multivariant.contains(media), "{multivariant}");
    assert!(multivariant.contains("CODECS=\"avc1.42c01f,opus\",RESOLUTION=320x240"), "{multivariant}");
}

#[test]
fn nobody_is_told_of_the_renditions_before_all_that_were_announced_have_media() {
    let mut scene = Scene::new();
    scene.begin_on("high");
    scene.begin_on("low");
    assert_eq!(scene.listed_renditions(), None);
    scene.part_on(&["high"], true);
    assert_eq!(scene.listed_renditions(), None, "low was announced, and has no media");
    scene.part_on(&["low"], true);
    assert_eq!(scene.listed_renditions().unwrap(), ["high/media.m3u8", "low/media.m3u8"]);
}

#[test]
fn a_rendition_that_stays_away_is_waited_for_no_longer_than_a_segment() {
    let mut scene = Scene::new();
    scene.begin_on("high");
    scene.begin_on("low");
    for part in 0..3 {
        scene.part_on(&["high"], part == 0);
        assert_eq!(scene.listed_renditions(), None);
    }
    scene.part_on(&["high"], false);
    assert_eq!(scene.listed_renditions().unwrap(), ["high/media.m3u8"]);
    // One that is announced later never takes the others away.
    scene.begin_on("later");
    assert_eq!(scene.listed_renditions().unwrap(), ["high/media.m3u8"]);
    scene.send(DataKind::End, Bytes::new()).unwrap();
    assert_eq!(scene.listed_renditions().unwrap(), ["high/media.m3u8"]);
}

#[test]
fn after_an_end_the_tracks_of_before_are_not_waited_for() {
    let mut scene = Scene::new();
    scene.begin_on("high");
    scene.begin_on("low");
    scene.part_on(&["high", "low"], true);
    scene.send(DataKind::End, Bytes::new()).unwrap();
    scene.begin_on("high");
    assert_eq!(scene.listed_renditions(), None);
    scene.part_on(&["high"], true);
    assert_eq!(scene.listed_renditions().unwrap(), ["high/media.m3u8"]);
}

#[test]
fn every_playlist_reports_each_other_one_the_iframe_playlists_too() {
    let mut scene = Scene::new();
    scene.begin_on("high");
    scene.begin_on("low");
    for part in 0..9 {
        scene.part_on(&["high", "low"], part % 4 == 0);
    }
    let all = [
        "../high/media.m3u8\",LAST-MSN=2,LAST-PART=0",
        "../low/media.m3u8\",LAST-MSN=2,LAST-PART=0",
        "../high/iframes.m3u8\",LAST-MSN=1",
        "../low/iframes.m3u8\",LAST-MSN=1",
    ];
    let high = "high".parse().unwrap();
    let media = MediaPlaylist::new(&scene.stream, &high, Extent::Full).unwrap().to_string();
    let iframes = IFramePlaylist::new(&scene.stream, &high).unwrap().to_string();
    for (text, own) in [(media, 0), (iframes, 2)] {
        let reports: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("#EXT-X-RENDITION-REPORT:URI=\"")).collect();
        let expected: Vec<_> = (0..4).filter(|place| *place != own).map(|place| all[place]).collect();
        assert_eq!(reports, expected);
    }
}

#[test]
fn what_an_init_says_of_itself_stands_before_what_its_media_says() {
    let mut scene = Scene::new();
    let said = InitFields {
        codecs: Some("avc1.640028".into()),
        bandwidth: Some(5_000_000),
        width: Some(1920),
        height: Some(1080),
        frame_rate: Some(29.97),
        ..InitFields::default()
    };
    scene.init(said).unwrap();
    scene.plain(500, true);
    let text = MultivariantPlaylist::new(&scene.stream).unwrap().to_string();
    let variant = text.lines().find(|line| line.starts_with("#EXT-X-STREAM-INF:")).unwrap();
    assert!(variant.starts_with("#EXT-X-STREAM-INF:BANDWIDTH=5000000,AVERAGE-BANDWIDTH="), "{variant}");
    assert!(variant.ends_with(",CODECS=\"avc1.640028\",RESOLUTION=1920x1080,FRAME-RATE=29.970"), "{variant}");
    let half = InitFields { width: Some(1920), ..InitFields::default() };
    assert_eq!(kind_of(scene.send_on("half", DataKind::Init(half), video_init())), bad("height"));
}
