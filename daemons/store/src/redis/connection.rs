//! The connection that commands take: one server or a cluster, found out by asking.

use std::sync::Arc;
use std::time::Duration;

use mobz_core::store::StoreError;
use parking_lot::RwLock;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult, ServerErrorKind,
};
use tokio::time::timeout;

/// How long one operation may take, waiting for a lost connection included; past it, it has failed.
pub const OPERATION_MAX: Duration = Duration::from_millis(2500);
/// How long making one connection may take.
pub(super) const CONNECT_MAX: Duration = Duration::from_millis(1500);
/// How long the answer to one command may take on a standing connection.
pub(super) const RESPONSE_MAX: Duration = Duration::from_secs(2);
/// After how long without an acknowledgement of the other side's TCP a connection is given up.
const TCP_SILENCE_MAX: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to connect again.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How often connecting is tried again before that waits for the next operation.
const RECONNECT_ATTEMPTS_MAX: usize = 120;
/// How many commands wait to be written before the next waits outside.
const PIPELINE_MAX: usize = 4096;
/// How often a cluster command is sent again: after a redirection, or when its node is gone.
const CLUSTER_RETRIES_MAX: u32 = 3;

/// Connections to where the store is.
#[derive(Clone)]
pub(super) struct Connection {
    to: To,
    addresses: Vec<ConnectionInfo>,
}

#[derive(Clone)]
enum To {
    Single(Arc<Single>),
    Cluster(ClusterConnection),
}

/// The connection to one server, which reconnects by itself when it breaks.
struct Single {
    client: Client,
    manager: RwLock<ConnectionManager>,
}

impl Single {
    fn new(client: Client) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), manager_config())?;
        Ok(Self { client, manager: RwLock::new(manager) })
    }

    async fn send(&self, command: &Cmd) -> RedisResult<redis::Value> {
        let mut manager = self.manager.read().clone();
        let answer = manager.req_packed_command(command).await.and_then(redis::Value::extract_error);
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        {
            // The server was the primary and is a replica now: its name may lead to the new primary.
            *self.manager.write() =
                ConnectionManager::new_lazy_with_config(self.client.clone(), manager_config())?;
        }
        answer
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Connection {
    /// Connects to the first of the addresses in `url` that answers, or to the cluster it belongs to.
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let fail = |error: &RedisError| unreachable("open the store", error);
        let addresses = addresses(url).map_err(|error| fail(&error))?;
        let mut refused = None;
        for address in &addresses {
            match Self::open_at(address, &addresses).await {
                Ok(connection) => return Ok(connection),
                Err(error) => refused = Some(unreachable(&format!("connect to {}", place(address)), &error)),
            }
        }
        Err(refused
            .unwrap_or_else(|| fail(&(ErrorKind::InvalidClientConfig, "the URL names no host").into())))
    }

    async fn open_at(address: &ConnectionInfo, addresses: &[ConnectionInfo]) -> RedisResult<Self> {
        let client = Client::open(address.clone())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(RESPONSE_MAX));
        let mut first = client.get_multiplexed_async_connection_with_config(&config).await?;
        // Who may not ask is taken to a single server, which managed offers without INFO are.
        let info: String =
            redis::cmd("INFO").arg("cluster").query_async(&mut first).await.unwrap_or_default();
        let to = if info.contains("cluster_enabled:1") {
            To::Cluster(cluster(addresses).await?)
        } else {
            To::Single(Arc::new(Single::new(client)?))
        };
        let addresses = if matches!(to, To::Single(_)) { vec![address.clone()] } else { addresses.to_vec() };
        Ok(Self { to, addresses })
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.to, To::Cluster(_))
    }

    /// The server, or the cluster's nodes known at first.
    pub(super) fn addresses(&self) -> &[ConnectionInfo] {
        &self.addresses
    }

    /// The command that publishes so that only subscribers' servers hear of it.
    pub(super) fn publish(&self) -> &'static str {
        if self.is_cluster() { "SPUBLISH" } else { "PUBLISH" }
    }

    pub(super) fn describe(&self) -> String {
        let places: Vec<String> = self.addresses.iter().map(place).collect();
        if self.is_cluster() { format!("{} (cluster)", places.join(",")) } else { places.join(",") }
    }

    /// Sends one command.
    pub(super) async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
        doing: impl FnOnce() -> String + Send,
    ) -> Result<T, StoreError> {
        self.run(command, || command.clone(), doing).await
    }

    /// Sends one command, and another instead where the server does not know the script it names.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        command: &Cmd,
        instead: impl FnOnce() -> Cmd + Send,
        doing: impl FnOnce() -> String + Send,
    ) -> Result<T, StoreError> {
        let asked = async {
            match self.send(command).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.send(&instead()).await
                }
                answer => answer,
            }
        };
        match timeout(OPERATION_MAX, asked).await {
            Ok(Ok(value)) => T::from_redis_value(value).map_err(|error| corrupt(doing(), &error)),
            Ok(Err(error)) => Err(unreachable(&doing(), &error)),
            Err(_) => Err(StoreError::Unreachable {
                doing: doing(),
                cause: format!("no answer from {} within {} ms", self.describe(), OPERATION_MAX.as_millis()),
            }),
        }
    }

    async fn send(&self, command: &Cmd) -> RedisResult<redis::Value> {
        match &self.to {
            To::Single(single) => single.send(command).await,
            To::Cluster(cluster) => {
                cluster.clone().req_packed_command(command).await.and_then(redis::Value::extract_error)
            }
        }
    }
}

fn manager_config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_MAX))
        .set_response_timeout(Some(RESPONSE_MAX))
        .set_number_of_retries(RECONNECT_ATTEMPTS_MAX)
        .set_max_delay(RECONNECT_PAUSE_MAX)
        .set_pipeline_buffer_size(PIPELINE_MAX)
}

async fn cluster(addresses: &[ConnectionInfo]) -> RedisResult<ClusterConnection> {
    let client = ClusterClientBuilder::new(addresses.to_vec())
        .connection_timeout(CONNECT_MAX)
        .response_timeout(RESPONSE_MAX)
        .retries(CLUSTER_RETRIES_MAX)
        .max_retry_wait(u64::try_from(RECONNECT_PAUSE_MAX.as_millis()).unwrap_or(u64::MAX))
        .use_protocol(ProtocolVersion::RESP3)
        .tcp_settings(tcp_settings())
        .build()?;
    match timeout(OPERATION_MAX, client.get_async_connection()).await {
        Ok(connection) => connection,
        Err(_) => Err((ErrorKind::Io, "the cluster's nodes do not answer in time").into()),
    }
}

/// Reads `redis://[user:secret@]host[:port][,host[:port]…][/database]`, `rediss://…` for TLS, or several
/// such URLs joined by commas, of which the first says how to log in.
fn addresses(url: &str) -> RedisResult<Vec<ConnectionInfo>> {
    let known = url.split_once("://").filter(|(scheme, _)| ["redis", "rediss"].contains(scheme));
    let Some((scheme, rest)) = known else {
        return Err(
            (ErrorKind::InvalidClientConfig, "a store's URL begins with redis:// or rediss://").into()
        );
    };
    let split = |text: &'_ str| match text.rsplit_once('@') {
        Some((login, host)) => (Some(login.to_owned()), host.to_owned()),
        None => (None, text.to_owned()),
    };
    let mut login = None;
    let mut hosts = Vec::new();
    // A secret may hold a comma only percent-encoded, as in any URL.
    for part in rest.split(',') {
        let part = part.split_once("://").map_or(part, |(_, part)| part);
        let (named, host) = split(part);
        login = login.or(named);
        hosts.push(host);
    }
    let login = login.map(|login| format!("{login}@")).unwrap_or_default();
    let path = hosts.last().and_then(|last| last.find(['/', '?', '#']).map(|at| last[at..].to_owned()));
    let path = path.unwrap_or_default();
    let hosts = hosts.iter().map(|host| host.split(['/', '?', '#']).next().unwrap_or_default());
    hosts
        .map(|host| {
            let info = format!("{scheme}://{login}{host}{path}").into_connection_info()?;
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            Ok(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
        })
        .collect()
}

fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(TCP_SILENCE_MAX);
    settings.set_keepalive(redis::io::tcp::socket2::TcpKeepalive::new().with_time(TCP_SILENCE_MAX))
}

/// Where an address is, without its secrets.
pub(super) fn place(address: &ConnectionInfo) -> String {
    let scheme = if has_tls(address) { "rediss" } else { "redis" };
    format!("{scheme}://{}", address.addr())
}

fn has_tls(address: &ConnectionInfo) -> bool {
    matches!(address.addr(), ConnectionAddr::TcpTls { .. })
}

pub(super) fn unreachable(doing: &str, error: &RedisError) -> StoreError {
    StoreError::Unreachable { doing: doing.to_owned(), cause: error.to_string() }
}

pub(super) fn corrupt(doing: String, error: &impl ToString) -> StoreError {
    StoreError::Corrupt { doing, cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(url: &str) -> Vec<String> {
        addresses(url).unwrap().iter().map(place).collect()
    }

    #[test]
    fn one_url_names_one_server_or_several() {
        assert_eq!(places("redis://a"), ["redis://a:6379"]);
        assert_eq!(places("redis://a:1,b:2"), ["redis://a:1", "redis://b:2"]);
        assert_eq!(places("rediss://a:1,rediss://b:2/0"), ["rediss://a:1", "rediss://b:2"]);
        assert!(addresses("a:1").is_err());
        assert!(addresses("http://a:1").is_err());
    }

    #[test]
    fn the_login_counts_for_every_host_and_is_never_shown() {
        let found = addresses("redis://ann:pass%2Cword@a:1,b:2/3").unwrap();
        assert!(found.iter().all(|address| address.redis_settings().username() == Some("ann")));
        assert!(found.iter().all(|address| address.redis_settings().password() == Some("pass,word")));
        assert!(found.iter().all(|address| address.redis_settings().db() == 3));
        assert!(found.iter().all(|address| !place(address).contains("pass")));
    }
}
