//! A publisher that does anything in any order.

use proptest::prelude::*;

use super::*;

/// What a publisher may do next.
#[derive(Clone, Debug)]
enum Step {
    Part { millis: u32, independent: bool, last: Option<bool> },
    Numbered { ahead: u64, part: u32 },
    Again { back: usize },
    Init { other: bool },
    NewPublisher,
    End,
    Wait { millis: u64 },
    Garbage,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (50u32..=500, any::<bool>(), proptest::option::of(any::<bool>()))
            .prop_map(|(millis, independent, last)| Step::Part { millis, independent, last }),
        3 => (0u64..6, 0u32..4).prop_map(|(ahead, part)| Step::Numbered { ahead, part }),
        3 => (0usize..20).prop_map(|back| Step::Again { back }),
        1 => any::<bool>().prop_map(|other| Step::Init { other }),
        1 => Just(Step::NewPublisher),
        1 => Just(Step::End),
        3 => (0u64..8_000).prop_map(|millis| Step::Wait { millis }),
        1 => Just(Step::Garbage),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The media sequence number and discontinuity sequence of a playlist, and its segments by number.
fn listed(track: &Track) -> Vec<(u64, u64, u64)> {
    let all = track.segments.iter().chain(&track.open);
    let mut discontinuities = track.discontinuity_sequence;
    let count = |segment: &Segment| {
        discontinuities += u64::from(segment.discontinuity);
        (segment.msn, discontinuities, segment.date_time)
    };
    all.map(count).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_publisher_does_the_stream_stays_whole(steps in steps()) {
        let mut scene = Scene::begun();
        scene.settings.window = Duration::from_secs(12);
        let mut acknowledged: Vec<(Bytes, u64, u32)> = Vec::new();
        for step in steps {
            let before = (scene.track().next_msn, listed(scene.track()), scene.track().discontinuity_sequence);
            match step {
                Step::Part { millis, independent, last } => {
                    scene.wait(u64::from(millis));
                    let media = scene.encoder.part(millis, independent);
                    let fields = PartFields { last, ..PartFields::default() };
                    if let Ok(ack) = scene.send(DataKind::Part(fields), media.clone()) {
                        acknowledged.push((media, ack.msn.unwrap(), ack.part.unwrap()));
                    }
                }
                Step::Numbered { ahead, part } => {
                    let media = scene.encoder.part(300, true);
                    let msn = scene.track().last_complete().map_or(0, |last| last + 1) + ahead;
                    if let Ok(ack) = scene.send(DataKind::Part(numbered(msn, part)), media.clone()) {
                        prop_assert_eq!((ack.msn, ack.part), (Some(msn), Some(part)));
                        acknowledged.push((media, msn, part));
                    }
                }
                Step::Again { back } => {
                    let Some((media, msn, part)) = acknowledged.iter().rev().nth(back).cloned() else { continue };
                    // What silence has made due since comes first, and may forget what was long ago.
                    scene.tick();
                    let track = scene.track();
                    let is_own = track.owner.as_ref() == Some(&scene.publisher) && msn >= track.owner_since;
                    let is_kept = is_own && track.segment(msn).is_some_and(|segment| segment.parts.len() > part as usize);
                    let unchanged = scene.stream.clone();
                    let again = scene.send(DataKind::Part(numbered(msn, part)), media);
                    prop_assert_eq!(again.is_ok(), is_kept);
                    prop_assert_eq!(&scene.stream, &unchanged);
                }
                Step::Init { other } => {
                    let media = if other { other_video_init() } else { video_init() };
                    scene.send(DataKind::Init(InitFields::default()), media).unwrap();
                }
                Step::NewPublisher => {
                    scene.publisher = if scene.publisher.as_str() == "ann" { "ben" } else { "ann" }.parse().unwrap();
                    scene.encoder.decode_time = 0;
                }
                Step::End => {
                    scene.send(DataKind::End, Bytes::new()).unwrap();
                }
                Step::Wait { millis } => {
                    scene.wait(millis);
                    scene.tick();
                }
                Step::Garbage => {
                    let unchanged = scene.stream.clone();
                    prop_assert!(scene.send(DataKind::Part(PartFields::default()), Bytes::from_static(b"junk")).is_err());
                    prop_assert_eq!(&scene.stream, &unchanged);
                }
            }
            let track = scene.track();
            prop_assert!(track.next_msn >= before.0, "the media sequence number never goes back");
            prop_assert!(track.discontinuity_sequence >= before.2);
            let now = listed(track);
            for (number, pair) in now.windows(2).enumerate() {
                prop_assert_eq!(pair[0].0 + 1, pair[1].0, "no number is left out at {}", number);
            }
            for was in before.1 {
                // What was listed is listed the same, or has left at the front.
                if let Some(is) = now.iter().find(|is| is.0 == was.0) {
                    prop_assert_eq!(*is, was);
                } else {
                    prop_assert!(now.first().is_none_or(|first| first.0 > was.0));
                }
            }
            let target = u64::from(scene.stream.part_target.unwrap_or(u32::MAX)) * 1000;
            for segment in track.segments.iter().chain(&track.open) {
                prop_assert!(segment.parts.iter().all(|part| part.duration <= target));
                prop_assert_eq!(segment.part_count as usize, segment.parts.len());
                prop_assert!(segment.duration < u64::from(scene.stream.target_duration) * 1_000_000 + 500_000);
            }
        }
        // Every acknowledged part that is still listed is listed once, with its own bytes.
        for (media, msn, part) in acknowledged {
            if let Some(segment) = scene.track().segment(msn).filter(|segment| !segment.gap) {
                prop_assert_eq!(segment.parts[part as usize].digest, Digest::of(&media));
            }
        }
    }
}
