//! PROTOCOL.md §5, row by row.

mod chance;
mod date_ranges;
mod dvr;
mod iframes;
mod limits;
mod renditions;
mod silence;

use std::time::Duration;

use super::*;
use crate::hls::data::{DataAck, DataKind, DataSignal, InitFields, PartFields, SegmentFields, Warning};
use crate::hls::playlist::{Extent, MediaPlaylist};
use crate::hls::testing::{Encoder, audio_init, other_video_init, video_init};
use bytes::Bytes;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A stream and the publisher that feeds it, in real time.
struct Scene {
    stream: Stream,
    settings: Settings,
    now: Timestamp,
    publisher: UserId,
    encoder: Encoder,
}

impl Scene {
    fn new() -> Self {
        Self {
            stream: Stream::default(),
            settings: Settings::default(),
            now: START,
            publisher: "ann".parse().unwrap(),
            encoder: Encoder::default(),
        }
    }

    /// With an init sent.
    fn begun() -> Self {
        let mut scene = Self::new();
        scene.init(InitFields::default()).unwrap();
        scene
    }

    fn send_on(&mut self, track: &str, kind: DataKind, payload: Bytes) -> Result<DataAck, Refusal> {
        let signal = DataSignal {
            id: Some("7".to_owned()),
            track: track.parse().unwrap(),
            kind,
            chunk: None,
            payload,
        };
        let ingested = self.stream.ingest(self.now, &self.settings, &self.publisher, &signal)?;
        if let Some(next) = ingested.next {
            assert!(next.serial > self.stream.serial);
            assert_eq!(Stream::decode(&ingested.change.state.unwrap()).unwrap(), next);
            self.stream = next;
        }
        Ok(ingested.ack)
    }

    fn send(&mut self, kind: DataKind, payload: Bytes) -> Result<DataAck, Refusal> {
        self.send_on("main", kind, payload)
    }

    fn init(&mut self, fields: InitFields) -> Result<DataAck, Refusal> {
        self.send(DataKind::Init(fields), video_init())
    }

    /// A part as the encoder makes it next; time passes as it does.
    fn part(&mut self, millis: u32, independent: bool, fields: PartFields) -> Result<DataAck, Refusal> {
        self.wait(u64::from(millis));
        let payload = self.encoder.part(millis, independent);
        self.send(DataKind::Part(fields), payload)
    }

    fn plain(&mut self, millis: u32, independent: bool) -> (u64, u32) {
        let ack = self.part(millis, independent, PartFields::default()).unwrap();
        (ack.msn.unwrap(), ack.part.unwrap())
    }

    /// One segment of two seconds in six parts.
    fn segment(&mut self) {
        self.plain(334, true);
        for _ in 0..4 {
            self.plain(334, false);
        }
        self.plain(330, false);
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    fn tick(&mut self) {
        while let Some(ticked) = self.stream.tick(self.now) {
            self.stream = ticked.next;
        }
    }

    fn track(&self) -> &Track {
        &self.stream.tracks[&"main".parse().unwrap()]
    }

    fn playlist(&self) -> String {
        MediaPlaylist::new(&self.stream, &"main".parse().unwrap(), Extent::Full).unwrap().to_string()
    }
}

fn numbered(msn: u64, part: u32) -> PartFields {
    PartFields { msn: Some(msn), part: Some(part), ..PartFields::default() }
}

fn kind_of(result: Result<DataAck, Refusal>) -> RefusalKind {
    result.unwrap_err().kind
}

fn bad(path: &'static str) -> RefusalKind {
    RefusalKind::BadSignal { path }
}

#[test]
fn numbers_follow_from_order_and_segments_from_keyframes() {
    let mut scene = Scene::begun();
    let mut numbers = Vec::new();
    for part in 0..9 {
        numbers.push(scene.plain(500, part % 4 == 0));
    }
    let expected = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)];
    assert_eq!(numbers, expected);
    assert_eq!(scene.stream.part_target, Some(500));
}

#[test]
fn a_keyframe_ends_a_segment_from_half_the_target_duration_on() {
    let mut scene = Scene::begun();
    assert_eq!(scene.plain(400, true), (0, 0));
    assert_eq!(scene.plain(400, true), (0, 1));
    assert_eq!(scene.plain(400, true), (0, 2));
    assert_eq!(scene.plain(400, true), (1, 0));
}

#[test]
fn a_segment_without_keyframes_ends_at_the_target_duration() {
    let mut scene = Scene::begun();
    let numbers: Vec<_> = (0..7).map(|part| scene.plain(500, part == 0)).collect();
    assert_eq!(numbers[3..], [(0, 3), (1, 0), (1, 1), (1, 2)]);
}

#[test]
fn the_part_target_is_the_first_part_rounded_up_to_a_millisecond() {
    let mut scene = Scene::begun();
    scene.encoder.decode_time = 1;
    scene.plain(334, true);
    assert_eq!(scene.stream.part_target, Some(334));
    assert_eq!(kind_of(scene.part(335, false, PartFields::default())), bad("duration"));
    assert_eq!(scene.plain(334, false), (0, 1));
}

#[test]
fn targets_are_fixed_while_the_stream_lives() {
    let mut scene = Scene::new();
    scene
        .init(InitFields { part_target: Some(0.5), target_duration: Some(4.0), ..InitFields::default() })
        .unwrap();
    assert_eq!((scene.stream.part_target, scene.stream.target_duration), (Some(500), 4));
    let other = |part_target, target_duration| {
        DataKind::Init(InitFields { part_target, target_duration, ..InitFields::default() })
    };
    assert_eq!(kind_of(scene.send_on("b", other(Some(0.4), None), video_init())), bad("partTarget"));
    assert_eq!(kind_of(scene.send_on("b", other(None, Some(2.0)), video_init())), bad("targetDuration"));
    assert!(scene.send_on("b", other(Some(0.5), Some(4.0)), video_init()).is_ok());
}

#[test]
fn last_closes_a_segment_and_keyframes_no_longer_do() {
    let mut scene = Scene::begun();
    let fields = |last| PartFields { last: Some(last), ..PartFields::default() };
    scene.part(500, true, fields(false)).unwrap();
    scene.part(500, true, fields(false)).unwrap();
    let ack = scene.part(500, true, fields(true)).unwrap();
    assert_eq!((ack.msn, ack.part), (Some(0), Some(2)));
    assert!(scene.track().open.is_none());
    assert_eq!(scene.part(500, true, fields(false)).unwrap().msn, Some(1));
}

#[test]
fn an_acknowledged_part_sent_again_is_acknowledged_again_and_changes_nothing() {
    let mut scene = Scene::begun();
    let media: Vec<Bytes> = (0..3).map(|part| scene.encoder.part(500, part == 0)).collect();
    for part in &media {
        scene.send(DataKind::Part(PartFields::default()), part.clone()).unwrap();
    }
    let before = scene.stream.clone();
    for (number, part) in (0..).zip(&media) {
        for fields in
            [numbered(0, number), PartFields::default(), PartFields { msn: Some(0), ..PartFields::default() }]
        {
            let ack = scene.send(DataKind::Part(fields), part.clone()).unwrap();
            assert_eq!((ack.msn, ack.part), (Some(0), Some(number)));
        }
    }
    assert_eq!(scene.stream, before);
}

#[test]
fn other_bytes_under_an_acknowledged_number_are_stale_and_so_is_a_closed_segment() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.plain(334, true);
    assert_eq!(kind_of(scene.part(334, false, numbered(1, 0))), RefusalKind::Stale);
    assert_eq!(kind_of(scene.part(334, false, numbered(0, 2))), RefusalKind::Stale);
    assert_eq!(kind_of(scene.part(300, false, numbered(0, 9))), RefusalKind::Stale);
}

#[test]
fn a_skipped_part_number_is_refused_and_the_stream_goes_on() {
    let mut scene = Scene::begun();
    scene.plain(334, true);
    let before = scene.stream.clone();
    assert_eq!(kind_of(scene.part(334, false, numbered(0, 2))), bad("part"));
    assert_eq!(kind_of(scene.part(334, false, numbered(1, 1))), bad("part"));
    assert_eq!(scene.stream, before);
}

#[test]
fn a_jump_inside_the_window_becomes_gaps_and_one_beyond_it_is_refused() {
    let mut scene = Scene::begun();
    scene.segment();
    assert_eq!(kind_of(scene.part(334, true, numbered(32, 0))), bad("msn"));
    scene.encoder.decode_time += 3 * 2 * 90_000;
    let ack = scene.part(334, true, numbered(4, 0)).unwrap();
    assert_eq!((ack.msn, ack.part), (Some(4), Some(0)));
    let gaps: Vec<u64> =
        scene.track().segments.iter().filter(|segment| segment.gap).map(|gap| gap.msn).collect();
    assert_eq!(gaps, [1, 2, 3]);
    assert!(!scene.track().open.as_ref().unwrap().discontinuity, "its timestamps go on");
    assert_eq!(scene.playlist().matches("#EXT-X-GAP").count(), 3);
}

#[test]
fn a_short_part_in_mid_segment_is_stored_with_a_warning() {
    let mut scene = Scene::begun();
    scene.plain(334, true);
    assert_eq!(scene.part(270, false, PartFields::default()).unwrap().warning, Some(Warning::ShortPart));
    assert_eq!(scene.part(290, false, PartFields::default()).unwrap().warning, None);
    let last = PartFields { last: Some(true), ..PartFields::default() };
    assert_eq!(scene.part(100, false, last).unwrap().warning, None);
}

#[test]
fn what_a_part_says_of_itself_must_be_true() {
    let mut scene = Scene::begun();
    let lie = PartFields { duration: Some(0.2), ..PartFields::default() };
    assert_eq!(kind_of(scene.part(334, true, lie)), bad("duration"));
    let lie = PartFields { independent: Some(true), ..PartFields::default() };
    assert_eq!(kind_of(scene.part(334, false, lie)), bad("independent"));
    let truth = PartFields { duration: Some(0.334), independent: Some(true), ..PartFields::default() };
    assert!(scene.part(334, true, truth).is_ok());
    assert_eq!(
        kind_of(scene.send(DataKind::Part(PartFields::default()), Bytes::from_static(b"no media"))),
        bad("data")
    );
}

#[test]
fn media_without_an_init_of_its_publisher_is_refused() {
    let mut scene = Scene::new();
    assert_eq!(kind_of(scene.part(334, true, PartFields::default())), bad("track"));
    scene.init(InitFields::default()).unwrap();
    scene.plain(334, true);
    scene.publisher = "ben".parse().unwrap();
    assert_eq!(kind_of(scene.part(334, true, PartFields::default())), bad("track"));
}

#[test]
fn the_same_publishers_identical_init_changes_nothing_and_another_is_a_discontinuity() {
    let mut scene = Scene::begun();
    scene.segment();
    let before = scene.stream.clone();
    assert_eq!(scene.init(InitFields::default()).unwrap().init, Some(0));
    assert_eq!(scene.stream, before);
    let ack = scene.send(DataKind::Init(InitFields::default()), other_video_init()).unwrap();
    assert_eq!(ack.init, Some(1));
    scene.plain(334, true);
    let playlist = scene.playlist();
    assert!(playlist.contains("#EXT-X-DISCONTINUITY\n"), "{playlist}");
    assert!(playlist.contains("#EXT-X-MAP:URI=\"init-1.mp4\""), "{playlist}");
}

#[test]
fn a_new_publisher_begins_anew_and_the_numbers_go_on() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.plain(334, true);
    scene.publisher = "ben".parse().unwrap();
    scene.encoder = Encoder::default();
    scene.init(InitFields::default()).unwrap();
    assert_eq!(scene.plain(334, true), (2, 0));
    let open = scene.track().open.as_ref().unwrap();
    assert!(open.discontinuity);
    assert_eq!(scene.track().segments.iter().filter(|segment| segment.discontinuity).count(), 0);
}

#[test]
fn who_joins_afresh_is_a_new_publisher_though_it_sends_the_same_again() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.plain(334, true);
    scene.encoder = Encoder::default();
    scene.init(InitFields { anew: true, ..InitFields::default() }).unwrap();
    // Its first segment is byte for byte the first of before.
    scene.segment();
    let listed: Vec<_> =
        scene.track().segments.iter().map(|segment| (segment.msn, segment.discontinuity)).collect();
    assert_eq!(listed, [(0, false), (1, false), (2, true)]);
    assert_eq!(scene.track().inits.len(), 1, "the bytes are the same");
}

#[test]
fn after_an_end_an_init_begins_a_new_presentation_at_the_next_number() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.segment();
    assert_eq!(scene.send(DataKind::End, Bytes::new()).unwrap().msn, Some(1));
    assert!(scene.playlist().ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(kind_of(scene.part(334, true, PartFields::default())), bad("track"));
    scene.init(InitFields { target_duration: Some(4.0), ..InitFields::default() }).unwrap();
    assert!(!scene.track().has_media());
    assert_eq!(scene.plain(400, true), (2, 0));
    let playlist = scene.playlist();
    assert!(playlist.contains("#EXT-X-MEDIA-SEQUENCE:2\n"), "{playlist}");
    assert!(playlist.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{playlist}");
    assert_eq!(scene.track().fetchable(1), Some(6), "what was listed stays fetchable for a while");
}

#[test]
fn an_ended_stream_is_played_for_one_window_more() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.send(DataKind::End, Bytes::new()).unwrap();
    scene.wait(60_000);
    assert!(!scene.stream.is_gone(scene.now));
    scene.wait(1);
    assert!(scene.stream.is_gone(scene.now));
}

#[test]
fn the_window_holds_no_more_than_it_should_and_never_less() {
    let mut scene = Scene::begun();
    for _ in 0..80 {
        scene.segment();
    }
    let track = scene.track();
    let listed = track.listed_duration();
    assert!((60_000_000..62_000_000).contains(&listed), "{listed}");
    assert_eq!(track.segments.front().unwrap().msn, 50);
    assert_eq!(track.fetchable(49), Some(6));
    assert_eq!(track.fetchable(5), None, "long out of every playlist");
    assert!(scene.stream.encode().len() < 8_000, "{}", scene.stream.encode().len());
}

#[test]
fn discontinuities_that_leave_the_window_are_counted() {
    let mut scene = Scene::begun();
    scene.segment();
    for _ in 0..40 {
        let marked = PartFields { discontinuity: true, ..PartFields::default() };
        scene.part(334, true, marked).unwrap();
        for _ in 0..5 {
            scene.plain(330, false);
        }
    }
    let track = scene.track();
    let listed = track.segments.iter().filter(|segment| segment.discontinuity).count() as u64;
    assert_eq!(track.discontinuity_sequence + listed, 40);
    assert!(track.discontinuity_sequence > 0);
}

#[test]
fn media_whose_timestamps_leap_begins_a_discontinuity() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.encoder.decode_time = 900 * 90_000;
    scene.plain(334, true);
    assert!(scene.track().open.as_ref().unwrap().discontinuity);
}

#[test]
fn dates_and_discontinuities_are_those_the_publisher_names() {
    let at = |seconds: u64| Some(1_700_000_000_000 + seconds * 1000);
    let dated = |seconds| PartFields { program_date_time: at(seconds), ..PartFields::default() };
    let mut scene = Scene::begun();
    scene.part(500, true, dated(100)).unwrap();
    // A segment is dated by its first part.
    scene.part(500, false, dated(777)).unwrap();
    let broken = PartFields { discontinuity: true, ..dated(200) };
    let ack = scene.part(500, true, broken.clone()).unwrap();
    assert_eq!((ack.msn, ack.part), (Some(1), Some(0)));
    let inside = PartFields { msn: Some(1), part: Some(1), ..broken };
    assert_eq!(kind_of(scene.part(500, false, inside)), bad("discontinuity"));
    let text = scene.playlist();
    assert!(text.contains("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:15:00.000Z\n#EXT-X-PART:"), "{text}");
    let second =
        "0.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:16:40.000Z\n#EXT-X-PART:";
    assert!(text.contains(second), "{text}");

    let mut plain = Scene::begun();
    for (seconds, discontinuity) in [(100, false), (200, true)] {
        let fields =
            SegmentFields { program_date_time: at(seconds), discontinuity, ..SegmentFields::default() };
        let payload = plain.encoder.part(2_000, true);
        plain.send(DataKind::Segment(fields), payload).unwrap();
    }
    let text = plain.playlist();
    assert!(
        text.contains("#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:15:00.000Z\n#EXTINF:2.00000,\n0.m4s\n"),
        "{text}"
    );
    let second =
        "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:16:40.000Z\n#EXTINF:2.00000,\n1.m4s\n";
    assert!(text.contains(second), "{text}");
}

#[test]
fn whole_segments_make_a_plain_stream_of_version_8() {
    let mut scene = Scene::begun();
    for msn in 0..3 {
        scene.wait(2_000);
        let payload = scene.encoder.part(2_000, true);
        let ack = scene.send(DataKind::Segment(SegmentFields::default()), payload.clone()).unwrap();
        assert_eq!((ack.msn, ack.part), (Some(msn), None));
        let again = SegmentFields { msn: Some(msn), ..SegmentFields::default() };
        assert_eq!(scene.send(DataKind::Segment(again), payload).unwrap().msn, Some(msn));
    }
    let playlist = scene.playlist();
    assert!(playlist.contains("#EXT-X-VERSION:8\n") && !playlist.contains("PART"), "{playlist}");
    let long = scene.encoder.part(2_500, true);
    assert_eq!(kind_of(scene.send(DataKind::Segment(SegmentFields::default()), long)), bad("duration"));
    assert_eq!(kind_of(scene.part(334, true, PartFields::default())), bad("kind"));
    let stale = SegmentFields { msn: Some(1), ..SegmentFields::default() };
    let other = scene.encoder.part(2_000, true);
    assert_eq!(kind_of(scene.send(DataKind::Segment(stale), other)), RefusalKind::Stale);
}

#[test]
fn text_that_would_break_a_playlist_is_refused() {
    let mut scene = Scene::new();
    let codecs = InitFields { codecs: Some("avc1\"\n#EXT-X-ENDLIST".into()), ..InitFields::default() };
    assert_eq!(kind_of(scene.init(codecs)), bad("codecs"));
    let language = InitFields { language: Some("en,URI=x".into()), ..InitFields::default() };
    assert_eq!(kind_of(scene.init(language)), bad("language"));
    let media_type =
        InitFields { media_type: Some(crate::hls::data::MediaType::Audio), ..InitFields::default() };
    assert_eq!(kind_of(scene.init(media_type)), bad("mediaType"));
    assert_eq!(
        kind_of(scene.send(DataKind::Init(InitFields::default()), vec![0; 40_000].into())),
        RefusalKind::TooLarge
    );
}

#[test]
fn a_store_that_lost_everything_gets_the_stream_back_with_its_media_marked_as_lost() {
    let mut scene = Scene::begun();
    scene.segment();
    scene.plain(334, true);
    scene.stream = scene.stream.without_media();
    assert_eq!(scene.plain(334, true), (2, 0));
    assert_eq!(scene.playlist().matches("#EXT-X-GAP").count(), 2);
    assert_eq!(scene.track().inits.len(), 1);
}

#[test]
fn a_state_of_another_layout_is_refused() {
    assert!(Stream::decode(&[9, 1, 2]).is_err());
    assert!(Stream::decode(&[]).is_err());
    assert!(Stream::decode(&Stream::default().encode()).is_ok());
}
