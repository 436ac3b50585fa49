//! Where a Janus is, how it is reached, and how what an earlier regulator left there is taken over.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use janus_client::spawn::SpawnError;
use janus_client::{Admin, Changes, Client, Error, Events, Fresh, HandleId, Options, SessionId, events};
use mobz_core::id::MunitId;
use parking_lot::Mutex;
use thiserror::Error as ThisError;
use tokio::sync::RwLock;

use super::super::house::House;
use super::super::port::{Reach, Reached};
use super::{Janus, LOOKS_AT_ONCE, REQUEST_MAX, Spares};

/// How many events of Janus wait to be taken in; at more, the driver looks for itself how things stand.
const EVENTS_MAX: usize = 4096;

/// Where Janus is.
#[derive(Debug)]
pub enum Place {
    /// It runs already.
    There {
        /// Its API.
        url: String,
        /// Its Admin API, without which no session is taken over.
        admin_url: Option<String>,
        /// The Admin API's secret.
        admin_secret: Option<String>,
    },
    /// It is the munit's own: started here, and ended with the munit.
    Own(Box<House>),
}

/// Why there is no Janus.
#[derive(Debug, ThisError)]
#[allow(missing_docs, reason = "the words say it")]
pub enum JanusError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Api(#[from] Error),
    #[error("cannot make a folder for Janus' configuration")]
    Folder(#[source] std::io::Error),
}

/// What is written on the handle for rooms.
fn keeper(munit: &MunitId, instance: &str) -> String {
    format!("mobz-rooms/{munit}/{instance}")
}

#[async_trait]
impl Reach for Place {
    async fn reach(&self, munit: &MunitId, instance: &str) -> Result<Reached, JanusError> {
        let mut options = Options { request_timeout: REQUEST_MAX, ..Options::default() };
        let (url, admin_url, tenant) = match self {
            Self::There { url, admin_url, admin_secret } => {
                options.admin_secret.clone_from(admin_secret);
                (url.clone(), admin_url.clone(), None)
            }
            Self::Own(house) => {
                let tenant = house.tenant().await?;
                options.admin_secret = Some(tenant.janus.config().admin_secret.clone());
                (tenant.janus.url(), tenant.janus.admin_url(), Some(tenant))
            }
        };
        let client = Client::connect(&url, options.clone()).await?;
        let changes = stream::unfold(client.changes(), async |mut changes: Changes| {
            changes.next().await.map(|change| (change, changes))
        });
        let admin = match admin_url {
            Some(url) => Some(Admin::connect(&url, options).await?),
            None => None,
        };
        let (sink, events) = events(EVENTS_MAX);
        let events =
            stream::unfold(events, async |mut events: Events| events.next().await.map(|told| (told, events)));
        let earlier = match &admin {
            Some(admin) => earlier(admin, munit).await?,
            None => None,
        };
        let (session, predecessor) = match earlier {
            Some(earlier) => (client.claim(earlier.session).await?, Some(earlier)),
            None => (client.create_session().await?, None),
        };
        let rooms = session.attach(Some(&keeper(munit, instance)), &sink).await?;
        if let Some(earlier) = &predecessor {
            session.adopt::<Fresh>(earlier.keeper, &sink).detach().await?;
        }
        let janus = Janus {
            url,
            client,
            admin,
            session,
            sink,
            rooms,
            examining: tokio::sync::Mutex::default(),
            handles: Mutex::default(),
            spares: Spares::new(instance),
            freeing: RwLock::default(),
            tenant,
        };
        let predecessor = predecessor.map(|earlier| earlier.instance);
        Ok(Reached {
            janus: Arc::new(janus),
            events: events.fuse().boxed(),
            changes: changes.fuse().boxed(),
            predecessor,
        })
    }

    fn is_own(&self) -> bool {
        match self {
            Self::There { .. } => false,
            Self::Own(_) => true,
        }
    }

    async fn end(&self) {
        match self {
            Self::There { .. } => {}
            Self::Own(house) => house.end().await,
        }
    }
}

/// What an earlier regulator of this munit left.
struct Earlier {
    session: SessionId,
    keeper: HandleId,
    instance: String,
}

/// Looks through Janus' sessions for the one of an earlier regulator of `munit`.
async fn earlier(admin: &Admin, munit: &MunitId) -> Result<Option<Earlier>, Error> {
    let ours = keeper(munit, "");
    for session in admin.list_sessions().await? {
        // One that goes meanwhile is not it.
        let Ok(handles) = admin.list_handles(session).await else { continue };
        let infos = stream::iter(handles).map(|handle| admin.handle_info(session, handle));
        let mut infos = infos.buffer_unordered(LOOKS_AT_ONCE);
        while let Some(info) = infos.next().await {
            let Ok(info) = info else { continue };
            if let Some(instance) = info.opaque_id.as_deref().and_then(|opaque| opaque.strip_prefix(&ours)) {
                let instance = instance.to_owned();
                return Ok(Some(Earlier { session, keeper: info.handle, instance }));
            }
        }
    }
    Ok(None)
}
