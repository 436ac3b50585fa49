//! What is known of the server while it is probed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mobz_core::hls::fmp4::Init;
use reqwest::Url;

use super::super::playlist::{self, Media, Multivariant};
use super::fetch::{ANSWER_MAX, Answer, Fetcher, Trouble};
use super::figures::Figures;
use super::judge::Judge;
use super::rules;
use super::tags;

/// How long a blocked request may take beyond the three target durations that it may be held.
const BLOCK_GRACE: Duration = Duration::from_secs(2);
/// The longest target duration that is believed, in seconds.
const TARGET_MAX: f64 = 600.0;

/// A probe under way.
#[derive(Debug)]
pub(super) struct Session {
    pub fetcher: Fetcher,
    /// The media playlist.
    pub url: Url,
    pub judge: Judge,
    pub figures: Figures,
    /// The newest playlist.
    pub now: Media,
    /// The multivariant playlist that it was found in, and where that is.
    pub multivariant: Option<(Url, Multivariant)>,
    /// The media playlists of the other renditions.
    pub others: Vec<Url>,
    /// Each initialization section that was read.
    pub maps: BTreeMap<String, Init>,
    /// The segment that was looked into last.
    pub last: Option<Looked>,
    /// Bytes of parts of the segment under way and the one before.
    pub parts: BTreeMap<(u64, usize), Bytes>,
    pub reloads: u64,
}

/// What is remembered of a segment that was looked into.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    pub msn: u64,
    /// The key of its initialization section.
    pub map: String,
    /// When its media ends on its own timeline, in seconds.
    pub ends: f64,
}

/// Delivery directives (§6.2.5), in the order their names sort.
#[derive(Clone, Debug, Default)]
pub(super) struct Directives {
    pub msn: Option<String>,
    pub part: Option<String>,
    pub skip: Option<&'static str>,
}

impl Directives {
    /// Waits for a segment, or a part of it.
    pub(super) fn until(msn: u64, part: Option<u64>) -> Self {
        Self { msn: Some(msn.to_string()), part: part.map(|part| part.to_string()), skip: None }
    }

    /// The same with `_HLS_skip=YES`.
    pub(super) fn skipping(self) -> Self {
        Self { skip: Some("YES"), ..self }
    }

    /// The same with `_HLS_skip=v2`: date ranges may be left out too.
    pub(super) fn skipping_ranges(self) -> Self {
        Self { skip: Some("v2"), ..self }
    }
}

impl Session {
    /// The playlist's URL with directives.
    pub(super) fn with(&self, directives: &Directives) -> Url {
        let mut url = self.url.clone();
        let mut pairs: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        pairs.extend(directives.msn.clone().map(|msn| ("_HLS_msn".to_owned(), msn)));
        pairs.extend(directives.part.clone().map(|part| ("_HLS_part".to_owned(), part)));
        pairs.extend(directives.skip.map(|skip| ("_HLS_skip".to_owned(), skip.to_owned())));
        url.set_query(None);
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(&pairs);
        }
        url
    }

    /// How long a blocked request is waited for.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.now.target_duration.clamp(0.0, TARGET_MAX) * 3.0) + BLOCK_GRACE
    }

    /// A request for the playlist that has nothing to wait for.
    pub(super) async fn ask(&self, directives: &Directives) -> Result<Answer, Trouble> {
        self.fetcher.get(&self.with(directives), ANSWER_MAX).await
    }

    /// A request for the playlist that waits.
    pub(super) async fn wait(&self, directives: &Directives) -> Result<Answer, Trouble> {
        self.fetcher.get(&self.with(directives), self.patience()).await
    }

    /// Whether a blocked request came to nothing in the time it may be held; notes how that was told.
    pub(super) fn is_overdue(&mut self, answered: &Result<Answer, Trouble>) -> bool {
        let limit = self.now.target_duration * 3.0;
        match answered {
            // One that comes early is a server that cannot serve.
            Ok(answer) if answer.status.as_u16() == 503 && answer.took.as_secs_f64() >= limit / 2.0 => {
                let after = answer.took.as_secs_f64();
                self.judge.check(
                    &rules::OVERDUE,
                    true,
                    format!("503 after {after:.1} s, the limit is {limit} s"),
                );
                true
            }
            Err(Trouble::Overdue(after)) => {
                let after = after.as_secs_f64();
                let seen = format!("nothing in {after:.1} s, the limit is {limit} s");
                self.judge.check(&rules::OVERDUE, false, seen);
                true
            }
            Ok(_) | Err(Trouble::Broken(_)) => false,
        }
    }

    /// Reads a playlist and looks at what it says; `None` when it cannot be read.
    pub(super) fn read(&mut self, answer: &Answer) -> Option<Media> {
        let text = answer.text();
        let clean = std::str::from_utf8(&answer.body).is_ok() && !text.starts_with('\u{feff}');
        match playlist::media(&text) {
            Ok(media) => {
                self.judge.check(
                    &rules::READABLE,
                    clean,
                    if clean { "UTF-8, no BOM" } else { "not plain UTF-8" },
                );
                tags::look(&mut self.judge, &text, &media);
                Some(media)
            }
            Err(why) => {
                self.judge.check(&rules::READABLE, false, why);
                None
            }
        }
    }
}
