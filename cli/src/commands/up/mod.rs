//! `mobzctl up`.

mod background;
mod munits;
mod ports;
mod ready;
mod site;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use mobz_runtime::lifecycle;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::ready::Ready;
use crate::args::stack::Up;
use crate::commands::{cannot_start, daemon_failed, open_store, serve_on};
use crate::control::Client;
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::{Format, Output};
use crate::stack::{self, Stack};

/// How long the daemons may take until they can serve.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether they can.
const READY_INTERVAL: Duration = Duration::from_millis(5);
/// How long everything may take to end once it is asked to; what still runs then is cut off.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the whole stack, here or in the background.
pub fn run(args: Up, output: &Output) -> Result<Exit> {
    if args.detach {
        return background::start(&args, output);
    }
    if args.in_background.is_some() {
        background::detach()?;
    }
    let level = match (output.is_quiet(), output.verbosity()) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    lifecycle::log_to_stderr(level);
    serve_on(serve(args, output))
}

async fn serve(args: Up, output: &Output) -> Result<Exit> {
    let shutdown = lifecycle::shutdown_on_signals().map_err(|error| cannot_start(&error))?;
    let keys = args.common.read_keys().map_err(|error| daemon_failed("the stack", &error))?;
    let munits = munits::plan(&args)?;
    let ports = ports::bind(&args).await?;
    args.common
        .check_open(ports.signaling_address, keys.as_ref())
        .map_err(|error| daemon_failed("the stack", &error))?;
    let turn = if args.turn_server { Some(turn::start(args.port_base).await?) } else { None };
    let store = open_store(args.common.redis.as_deref()).await?;
    let urls = ports.urls();
    let mut stack = Stack {
        pid: std::process::id(),
        control: urls.control,
        signal: urls.signal,
        origin: urls.origin,
        demo: urls.demo,
        store: store.describe(),
        keys: args.common.keys.as_ref().and_then(|path| std::path::absolute(path).ok()),
        munits: Vec::new(),
        log: args.in_background.clone(),
        since: format!("{:.3}", jiff::Timestamp::now()),
        port: ports.first,
    };

    let mut daemons = Daemons::new(shutdown.clone());
    let signaling = mobz_signaling::Settings {
        listen: ports.signaling_address,
        common: args.common.clone(),
        clients: {
            let mut clients = args.clients.clone();
            clients.origin_url.get_or_insert_with(|| stack.origin.clone());
            if let Some(turn) = &turn {
                clients.turn = turn.urls();
                clients.turn_secret_file = Some(turn.secret_file());
            }
            clients
        },
    };
    let origin = mobz_origin::Settings {
        listen: ports.origin_address,
        common: args.common.clone(),
        private_playback: args.clients.private_playback,
        playback: args.playback.clone(),
    };
    let (listener, kept, ends) = (ports.origin, Arc::clone(&store), shutdown.clone());
    daemons.start("the origin", async move {
        let served = mobz_origin::serve(origin, kept, listener, ends).await;
        served.map_err(|error| daemon_failed("the origin", &error))
    });
    let (listener, kept, ends) = (ports.signaling, Arc::clone(&store), shutdown.clone());
    daemons.start("signaling", async move {
        let served = mobz_signaling::serve(signaling, kept, listener, ends).await;
        served.map_err(|error| daemon_failed("signaling", &error))
    });
    daemons.start(
        "the demo site",
        site::serve(ports.demo, stack.signal.clone(), stack.origin.clone(), shutdown.clone()),
    );
    let mut take_stations = Vec::new();
    for munit in munits {
        let (daemon, ready) = munits::start(munit, Arc::clone(&store), shutdown.clone());
        daemons.start("a munit", daemon);
        take_stations.push(ready);
    }
    daemons.ready(&stack.control).await?;
    for ready in take_stations {
        stack.munits.push(daemons.told(ready).await?);
    }

    let _held = hold(&stack, output);
    let ready = Ready::of(&stack, turn.as_ref().map(turn::TurnServer::url), keys.is_some());
    if args.in_background.is_some() {
        ready.hand_over(output)?;
    } else {
        ready.print(output, "Ctrl-C stops all of it.")?;
    }
    daemons.end(output).await?;
    Ok(Exit::Done)
}

/// Makes the stack known to the other commands; one that cannot be made known runs all the same.
fn hold(stack: &Stack, output: &Output) -> Option<stack::Held> {
    stack::hold(stack)
        .inspect_err(|error| {
            output.note(&format!(
                "note: `mobzctl down` and `status` will not know of this stack: {}",
                os(error)
            ));
        })
        .ok()
}

/// The daemons of the stack: all end when one does.
struct Daemons {
    running: JoinSet<(&'static str, Result<()>)>,
    shutdown: CancellationToken,
}

impl Daemons {
    fn new(shutdown: CancellationToken) -> Self {
        Self { running: JoinSet::new(), shutdown }
    }

    fn start(&mut self, name: &'static str, daemon: impl Future<Output = Result<()>> + Send + 'static) {
        self.running.spawn(async move { (name, daemon.await) });
    }

    /// Waits until the control API says that it can serve.
    async fn ready(&mut self, control: &str) -> Result<()> {
        let base: Url = control.parse().map_err(|error: <Url as std::str::FromStr>::Err| {
            Failure::failed("cannot start", error.to_string(), "report this as a bug")
        })?;
        let client = Client::new(base, None)?;
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            tokio::select! {
                ended = self.running.join_next() => return Err(early(ended)),
                probed = client.probe("readyz") => match probed {
                    Ok(()) => return Ok(()),
                    Err(failure) if Instant::now() > deadline => {
                        return Err(Failure::timed_out("the stack did not become ready", failure.why(), failure.remedy()));
                    }
                    Err(_) => sleep(READY_INTERVAL).await,
                },
            }
        }
    }

    /// Waits until a munit has told that it takes stations.
    async fn told(&mut self, ready: oneshot::Receiver<stack::Munit>) -> Result<stack::Munit> {
        tokio::select! {
            // What ended says why.
            Ok(munit) = ready => Ok(munit),
            ended = self.running.join_next() => Err(early(ended)),
        }
    }

    /// Waits until it is asked to end, or one daemon breaks; then until all have ended.
    async fn end(mut self, output: &Output) -> Result<()> {
        let mut outcome = Ok(());
        tokio::select! {
            // First: daemons end because they were asked to, and both may be true by now.
            biased;
            () = self.shutdown.cancelled() => {}
            ended = self.running.join_next() => {
                outcome = Err(early(ended));
                self.shutdown.cancel();
            }
        }
        if output.format == Format::Table {
            output.note("ending; Ctrl-C once more ends at once");
        }
        let all = async {
            while let Some(ended) = self.running.join_next().await {
                if let Ok((_, Err(failure))) = ended
                    && outcome.is_ok()
                {
                    outcome = Err(failure);
                }
            }
        };
        if timeout(END_TIMEOUT, all).await.is_err() && outcome.is_ok() {
            outcome = Err(Failure::timed_out(
                "the stack did not end in time",
                format!("something still ran after {} s and was cut off", END_TIMEOUT.as_secs()),
                "look into the log for what it waited for",
            ));
        }
        outcome
    }
}

/// What it means that a daemon ended before anybody asked it to.
fn early(ended: Option<std::result::Result<(&'static str, Result<()>), tokio::task::JoinError>>) -> Failure {
    match ended {
        Some(Ok((_, Err(failure)))) => failure,
        Some(Ok((name, Ok(())))) => {
            Failure::failed(format!("{name} ended"), "nobody asked it to", "look into the log")
        }
        Some(Err(error)) => Failure::failed("a daemon broke", error.to_string(), "report this as a bug"),
        None => Failure::failed("nothing runs", "every daemon has ended", "look into the log"),
    }
}

/// The listeners' kind, for the modules below.
type Listener = TcpListener;
