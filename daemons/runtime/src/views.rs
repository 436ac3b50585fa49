//! Live views of streams: one per room and node, shared by all who watch, gone when nobody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use futures_util::FutureExt as _;
use mobz_core::hls::stream::Stream;
use mobz_core::id::RoomId;
use mobz_core::store::{BusEvent, Revision, Store, StoreError, Subscription};
use mobz_core::time::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::streams::{Now, load};

/// How long a view is kept after its last watcher has gone.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// How often a view looks whether it is still wanted.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// The most views a node has at once; beyond it rooms are answered as unavailable.
pub const VIEWS_MAX: usize = 100_000;
/// How long after a failed read the stream is read again.
const RETRY: Duration = Duration::from_millis(500);

/// What is known of a room's stream now.
#[derive(Debug)]
pub enum Seen<S> {
    /// Nothing yet.
    Loading,
    /// There is no stream.
    Absent,
    /// It cannot be told: the store does not answer.
    Unavailable,
    /// This.
    Here(Arc<S>),
}

impl<S> Clone for Seen<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Loading => Self::Loading,
            Self::Absent => Self::Absent,
            Self::Unavailable => Self::Unavailable,
            Self::Here(state) => Self::Here(Arc::clone(state)),
        }
    }
}

/// What watchers share of a stream's state; made once for each state, from the one before where that helps.
pub type Make<S> = fn(Arc<Stream>, Option<&S>) -> S;

/// All live views of this node.
pub struct Views<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    store: Arc<dyn Store>,
    now: Now,
    make: Make<S>,
    rooms: DashMap<RoomId, Arc<View<S>>>,
    shutdown: CancellationToken,
}

struct View<S> {
    seen: watch::Sender<Seen<S>>,
    watchers: AtomicUsize,
    /// When the last watcher went, in milliseconds since the Unix epoch.
    left: AtomicU64,
}

/// One watcher of a room's stream; dropping it stops watching.
pub struct Watcher<S> {
    view: Arc<View<S>>,
    now: Now,
    /// The stream as it changes.
    pub seen: watch::Receiver<Seen<S>>,
}

impl<S> Drop for Watcher<S> {
    fn drop(&mut self) {
        self.view.left.store((self.now)().as_millis(), Ordering::Relaxed);
        self.view.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<S: Send + Sync + 'static> Views<S> {
    /// No view yet; all end at `shutdown`.
    pub fn new(store: Arc<dyn Store>, now: Now, make: Make<S>, shutdown: CancellationToken) -> Self {
        Self { inner: Arc::new(Inner { store, now, make, rooms: DashMap::new(), shutdown }) }
    }

    /// Watches a room's stream, in the view that is there or a new one. `None` beyond [`VIEWS_MAX`].
    pub fn watch(&self, room: &RoomId) -> Option<Watcher<S>> {
        // Joined under the map's lock, under which an idle view leaves the map: none is joined and then lost.
        if let Some(view) = self.inner.rooms.get(room) {
            return Some(self.inner.attach(&view));
        }
        if self.inner.rooms.len() >= VIEWS_MAX {
            return None;
        }
        let entry = match self.inner.rooms.entry(room.clone()) {
            Entry::Occupied(there) => return Some(self.inner.attach(there.get())),
            Entry::Vacant(free) => free.insert(View::new()),
        };
        let view = Arc::clone(&entry);
        let watcher = self.inner.attach(&view);
        drop(entry);
        tokio::spawn(Arc::clone(&self.inner).follow(room.clone(), view));
        Some(watcher)
    }

    /// How many rooms are watched now.
    pub fn len(&self) -> usize {
        self.inner.rooms.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.inner.rooms.is_empty()
    }

    /// How many watchers there are now.
    pub fn watchers(&self) -> usize {
        self.inner.rooms.iter().map(|view| view.watchers.load(Ordering::Relaxed)).sum()
    }
}

impl<S> View<S> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: watch::Sender::new(Seen::Loading),
            watchers: AtomicUsize::new(0),
            left: AtomicU64::new(0),
        })
    }
}

impl<S: Send + Sync + 'static> Inner<S> {
    fn attach(&self, view: &Arc<View<S>>) -> Watcher<S> {
        view.watchers.fetch_add(1, Ordering::AcqRel);
        Watcher { view: Arc::clone(view), now: Arc::clone(&self.now), seen: view.seen.subscribe() }
    }

    /// Keeps one view up to date until nobody watches it, there is no stream, or the node ends.
    async fn follow(self: Arc<Self>, room: RoomId, view: Arc<View<S>>) {
        let end = tokio::select! {
            () = self.shutdown.cancelled() => Seen::Unavailable,
            end = self.follow_stream(&room, &view) => end,
        };
        self.rooms.remove_if(&room, |_, there| Arc::ptr_eq(there, &view));
        view.seen.send_replace(end);
    }

    async fn follow_stream(&self, room: &RoomId, view: &Arc<View<S>>) -> Seen<S> {
        // Before the first read, so that nothing is missed in between.
        let mut subscription = match self.store.listen_stream(room).await {
            Ok(subscription) => subscription,
            Err(error) => return unavailable(room, &error),
        };
        let mut current = match self.read(room).await {
            Ok(Some(current)) => current,
            Ok(None) => return Seen::Absent,
            Err(error) => return unavailable(room, &error),
        };
        if current.1.due().is_some_and(|due| due <= (self.now)()) {
            // Nobody has looked for a while: what silence has made of it since is shown, not what it was.
            if let Err(error) = self.tick(room, view, &mut current).await {
                return unavailable(room, &error);
            }
        }
        self.show(view, &current.1);
        loop {
            match self.next(&mut *subscription, view, &current.1).await {
                Next::Idle if self.leave(room, view) => return Seen::Absent,
                Next::Idle => {}
                Next::Closed => return Seen::Unavailable,
                Next::Told(stream) => {
                    // Notices may arrive twice or late.
                    if stream.serial > current.1.serial {
                        current = (None, stream);
                        self.show(view, &current.1);
                    }
                }
                Next::Read => match self.read(room).await {
                    Ok(Some(read)) => {
                        let is_other = *read.1 != *current.1;
                        current = read;
                        if is_other {
                            self.show(view, &current.1);
                        }
                    }
                    // The store came back empty: whoever publishes gives it the stream back.
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%room, %error, "cannot read a watched stream");
                        tokio::time::sleep(RETRY).await;
                    }
                },
                Next::Due => {
                    if let Err(error) = self.tick(room, view, &mut current).await {
                        tracing::warn!(%room, %error, "cannot list the gap of a silent publisher");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    }

    async fn next(&self, subscription: &mut dyn Subscription, view: &View<S>, stream: &Stream) -> Next {
        let due = stream.due();
        loop {
            let wait = due.map_or(IDLE_INTERVAL, |due| due.since((self.now)()).min(IDLE_INTERVAL));
            let event = tokio::time::timeout(wait, subscription.next()).await;
            match event {
                Ok(None) => return Next::Closed,
                Ok(Some(BusEvent::Resubscribed)) => return Next::Read,
                Ok(Some(BusEvent::Message(message))) => return newest(subscription, message),
                Err(_) if self.is_idle(view) => return Next::Idle,
                Err(_) if due.is_some_and(|due| due <= (self.now)()) => return Next::Due,
                Err(_) => {}
            }
        }
    }

    /// Takes an idle view out of the map, unless someone has joined it by now.
    fn leave(&self, room: &RoomId, view: &Arc<View<S>>) -> bool {
        self.rooms.remove_if(room, |_, there| Arc::ptr_eq(there, view) && self.is_idle(view)).is_some()
    }

    fn is_idle(&self, view: &View<S>) -> bool {
        let left = Timestamp::from_millis(view.left.load(Ordering::Relaxed));
        view.watchers.load(Ordering::Acquire) == 0 && (self.now)().since(left) >= IDLE_MAX
    }

    fn show(&self, view: &View<S>, stream: &Arc<Stream>) {
        // Made outside of the channel's lock: watchers go on with the state before it meanwhile.
        let before = match &*view.seen.borrow() {
            Seen::Here(state) => Some(Arc::clone(state)),
            Seen::Loading | Seen::Absent | Seen::Unavailable => None,
        };
        let state = Arc::new((self.make)(Arc::clone(stream), before.as_deref()));
        view.seen.send_replace(Seen::Here(state));
    }

    async fn read(&self, room: &RoomId) -> Result<Option<(Option<Revision>, Arc<Stream>)>, StoreError> {
        let (revision, stream) = load(&*self.store, room).await?;
        Ok(stream.map(|stream| (Some(revision), Arc::new(stream))))
    }

    /// Lists a silent publisher's gap; several nodes may try, one succeeds, all are told.
    async fn tick(
        &self,
        room: &RoomId,
        view: &View<S>,
        current: &mut (Option<Revision>, Arc<Stream>),
    ) -> Result<(), StoreError> {
        // A notice carries no revision, and the publisher's node may have been faster.
        let Some(read) = self.read(room).await? else {
            // The store came back empty: whoever publishes gives it the stream back.
            tokio::time::sleep(RETRY).await;
            return Ok(());
        };
        *current = read;
        let (Some(revision), Some(ticked)) = (current.0, current.1.tick((self.now)())) else {
            self.show(view, &current.1);
            return Ok(());
        };
        if self.store.commit_stream(room, revision, ticked.change).await?.is_some() {
            *current = (None, Arc::new(ticked.next));
            self.show(view, &current.1);
        }
        Ok(())
    }
}

enum Next {
    /// A newer state, perhaps.
    Told(Arc<Stream>),
    /// The state must be read: something was missed, or was too large to be told.
    Read,
    /// Silence has made something due.
    Due,
    /// Nobody watches any more.
    Idle,
    /// The store is gone for good.
    Closed,
}

/// Of the states that were told meanwhile the last alone counts: a node that is behind catches up at once.
fn newest(subscription: &mut dyn Subscription, first: Bytes) -> Next {
    let mut message = first;
    loop {
        match subscription.next().now_or_never() {
            None => break,
            Some(None) => return Next::Closed,
            Some(Some(BusEvent::Resubscribed)) => return Next::Read,
            Some(Some(BusEvent::Message(next))) => message = next,
        }
    }
    // One that is too large to be told is empty, and no state.
    Stream::decode(&message).map_or(Next::Read, |stream| Next::Told(Arc::new(stream)))
}

fn unavailable<S>(room: &RoomId, error: &StoreError) -> Seen<S> {
    tracing::warn!(%room, %error, "cannot watch a stream");
    Seen::Unavailable
}
