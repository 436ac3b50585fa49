//! What munits say that they hold. Works on any store, whether the node here runs or not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use mobz_core::id::{MunitId, StationId};
use mobz_core::signal::{Detail, Holding, MunitAck, MunitMessage, MunitSignal, REPORT_MAX, Report};
use mobz_core::store::{BusEvent, Store, StoreError, Subscription};
use tokio::time::{Instant, timeout_at};

use crate::clock;

/// How long a munit has for one report; one that takes longer is as good as silent.
const REPORT_WAIT: Duration = Duration::from_secs(2);

/// A channel on which munits report, for as long as somebody wants to know.
pub(super) struct Reports {
    store: Arc<dyn Store>,
    channel: String,
    answers: Box<dyn Subscription>,
    asked: u64,
}

/// A report that is asked for.
#[derive(Clone)]
struct Asking {
    munit: MunitId,
    stations: Vec<StationId>,
    after: Option<StationId>,
    detail: Detail,
}

impl Reports {
    pub(super) async fn open(store: &Arc<dyn Store>) -> Result<Self, StoreError> {
        let channel = store.reply_channel(&clock::node_id());
        let answers = store.listen_replies(&channel).await?;
        Ok(Self { store: store.clone(), channel, answers, asked: 0 })
    }

    /// What of these stations their munits hold. Nothing is known of those whose munit does not say.
    pub(super) async fn of_stations(
        &mut self,
        stations: Vec<StationId>,
        detail: Detail,
    ) -> Result<BTreeMap<StationId, Holding>, StoreError> {
        let mut by_munit: BTreeMap<MunitId, Vec<StationId>> = BTreeMap::new();
        for station in stations {
            if let Some(munit) = station.munit() {
                by_munit.entry(munit).or_default().push(station);
            }
        }
        let mut asking = Vec::new();
        for (munit, stations) in by_munit {
            asking.extend(stations.chunks(REPORT_MAX).map(|stations| Asking {
                munit: munit.clone(),
                stations: stations.to_vec(),
                after: None,
                detail,
            }));
        }
        let answers = self.ask(&asking).await?;
        Ok(answers.into_iter().flatten().flat_map(|report| report.stations).collect())
    }

    /// All that these munits hold, each page by page; `None` for one that does not say.
    pub(super) async fn of_munits(
        &mut self,
        munits: Vec<MunitId>,
        detail: Detail,
    ) -> Result<BTreeMap<MunitId, Option<BTreeMap<StationId, Holding>>>, StoreError> {
        let mut held = BTreeMap::new();
        let first = |munit| Asking { munit, stations: Vec::new(), after: None, detail };
        let mut asking: Vec<Asking> = munits.into_iter().map(first).collect();
        while !asking.is_empty() {
            let answers = self.ask(&asking).await?;
            let mut further = Vec::new();
            for (asked, answer) in asking.into_iter().zip(answers) {
                let Some(Report { stations, more }) = answer else {
                    held.insert(asked.munit, None);
                    continue;
                };
                let last = stations.keys().next_back().filter(|_| more).cloned();
                let so_far = held.entry(asked.munit.clone()).or_insert_with(|| Some(BTreeMap::new()));
                if let Some(so_far) = so_far {
                    so_far.extend(stations);
                }
                // It grows with every page: what goes on for ever is ended by its munit's silence.
                further.extend(last.map(|last| Asking { after: Some(last), ..asked }));
            }
            asking = further;
        }
        Ok(held)
    }

    /// Asks all of these at once.
    async fn ask(&mut self, asking: &[Asking]) -> Result<Vec<Option<Report>>, StoreError> {
        let first = self.asked;
        self.asked += asking.len() as u64;
        // Not of `self`: a subscription is not shared between tasks.
        let (store, channel) = (&self.store, &self.channel);
        let sent = asking.iter().zip(first..).map(|(asking, id)| send(store, channel, asking.clone(), id));
        let mut waiting: HashMap<String, usize> = HashMap::new();
        for (index, heard) in try_join_all(sent).await?.into_iter().enumerate() {
            if heard {
                waiting.insert((first + index as u64).to_string(), index);
            }
        }
        let mut answers: Vec<Option<Report>> = vec![None; asking.len()];
        let deadline = Instant::now() + REPORT_WAIT;
        while !waiting.is_empty() {
            let Ok(Some(event)) = timeout_at(deadline, self.answers.next()).await else { break };
            let BusEvent::Message(message) = event else { continue };
            let Ok(ack) = serde_json::from_slice::<MunitAck>(&message) else { continue };
            // Answers to what was asked before, and came too late, are of nobody.
            if let Some(index) = waiting.remove(&ack.re) {
                answers[index] = ack.ok.and_then(|done| done.report).map(|report| *report);
            }
        }
        Ok(answers)
    }
}

/// Asks a munit; whether it listens.
async fn send(store: &Arc<dyn Store>, channel: &str, asking: Asking, id: u64) -> Result<bool, StoreError> {
    let Asking { munit, stations, after, detail } = asking;
    let signal = MunitSignal::Report { stations, after, detail };
    let message = MunitMessage { signal, id: id.to_string(), reply_to: channel.to_owned(), from: None };
    let message = serde_json::to_vec(&message).unwrap_or_else(|_| unreachable!("no map with odd keys"));
    store.signal_munit(&munit, Bytes::from(message)).await
}
