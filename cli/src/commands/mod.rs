//! What each command does: one file a verb.

mod cloud;
pub mod completions;
pub mod config;
pub mod context;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod down;
pub mod events;
pub mod fsck;
pub mod healthy;
pub mod hls;
pub mod image;
pub mod init;
pub mod launch;
pub mod load;
pub mod logs;
mod media;
pub mod munit;
pub mod outputs;
pub mod plan;
pub mod room;
pub mod signal;
pub mod station;
pub mod status;
pub mod token;
pub mod up;

use std::future::Future;
use std::sync::Arc;

use mobz_core::store::Store;
use mobz_regulator::{JanusError, RegulatorError};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Args, Command};
use crate::endpoint::Where;
use crate::error::{Failure, Result, chain, os};
use crate::exit::Exit;
use crate::output::Output;

/// How many open files a daemon is allowed where it may have more: Janus' WebSockets keep a table of all it may.
const FILES_MAX: u64 = 65_536;

/// Runs the command that was given.
pub fn run(args: Args, output: &Output) -> Result<Exit> {
    let place = Where::from(&args.global);
    match args.command {
        Command::Up(args) => up::run(*args, output),
        Command::Launch(daemon) => launch::run(daemon, output),
        Command::Down(args) => down::run(&args, output),
        Command::Healthy(args) => healthy::run(&args, output),
        Command::Status(args) => block_on(status::run(&args, &place, output)),
        Command::Init(args) => init::run(&args, output),
        Command::Config(verb) => config::run(&verb, output),
        Command::Plan(args) => block_on(plan::run(&args, output)),
        Command::Deploy(args) => block_on(deploy::run(&args, &place, output)),
        Command::Destroy(args) => block_on(destroy::run(&args, output)),
        Command::Outputs(args) => block_on(outputs::run(&args, output)),
        Command::Logs(args) => block_on(logs::run(&args, output)),
        Command::Image(verb) => block_on(image::run(verb, output)),
        Command::Context(verb) => context::run(verb, &args.global, output),
        Command::Doctor(args) => block_on(doctor::run(&args, &place, output)),
        Command::Room(verb) => block_on(room::run(verb, &place, output)),
        Command::Munit(verb) => block_on(munit::run(verb, &place, output)),
        Command::Station(verb) => block_on(station::run(verb, &place, output)),
        Command::Fsck(args) => block_on(fsck::run(&args, &place, output)),
        Command::Hls(verb) => block_on(hls::run(verb, &place, output)),
        Command::Token(verb) => token::run(&verb, &place, output),
        Command::Signal(args) => block_on(signal::run(args, &place, output)),
        Command::Load(verb) => load::run(verb, &place, output),
        Command::Events(args) => block_on(events::run(&args, &place, output)),
        Command::Completions(args) => completions::run(args.shell, output),
    }
}

/// Ends at SIGINT or SIGTERM: how a command that goes on by itself is asked to end. A further SIGINT,
/// while it says good-bye, ends the process at once.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| cannot_start(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| cannot_start(&error))?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            interrupt.recv().await;
            std::process::exit(Exit::Interrupted.code().into());
        });
    })
}

/// Runs a command that serves: on all cores, and with as many open files as it and what it starts may need.
fn serve_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    serve_by(&mut Builder::new_multi_thread(), command)
}

/// Runs a command that serves and has little to do itself: on one thread, so that what goes from task to task waits
/// for no other thread to wake.
fn serve_on_one_thread<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    serve_by(&mut Builder::new_current_thread(), command)
}

fn serve_by<T>(builder: &mut Builder, command: impl Future<Output = Result<T>>) -> Result<T> {
    allow_many_files();
    let runtime = builder.enable_all().build().map_err(|error| cannot_start(&error))?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}

/// Lets this process, and those it starts, have [`FILES_MAX`] open files, or as many as they may: shells give
/// 1,024, and every client and every connection of a Janus takes one.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(FILES_MAX, |maximum| maximum.min(FILES_MAX));
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        // Below the hard limit that is always allowed.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Opens the store that a daemon keeps everything in.
async fn open_store(redis: Option<&str>) -> Result<Arc<dyn Store>> {
    mobz_store::open(redis).await.map_err(|error| {
        Failure::unreachable(
            "cannot open the store",
            error.to_string(),
            "start Redis there, or correct --redis (redis://user:password@host:port)",
        )
    })
}

/// A daemon that could not start, or broke.
fn daemon_failed(daemon: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::failed(
        format!("{daemon} cannot run"),
        chain(error),
        "correct its flags as the cause says, and start it again",
    )
}

/// A regulator that could not start, or broke.
fn regulator_failed(name: &str, error: &RegulatorError) -> Failure {
    let what = format!("{name} cannot run");
    let why = chain(error);
    match error {
        RegulatorError::Janus(JanusError::Spawn(_)) => {
            Failure::failed(what, why, "check that Janus runs here: `mobzctl doctor`")
        }
        RegulatorError::Janus(_) => Failure::unreachable(
            what,
            why,
            "start Janus there, or correct --janus and --janus-admin; --spawn-janus starts one",
        ),
        RegulatorError::Displaced(_) => {
            Failure::refused(what, why, "end the other one, or give this one an id of its own")
        }
        RegulatorError::Store(_) | RegulatorError::Node(_) | RegulatorError::Refused(_) => {
            Failure::failed(what, why, "start it again once the store answers")
        }
    }
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::failed("cannot start", os(error), "check the limits of this machine (ulimit -a)")
}

/// Runs a client command; what it left running ends with it.
fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| cannot_start(&error))?;
    let done = runtime.block_on(command);
    // A read of stdin that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_may_open_as_many_files_as_it_can_use() {
        let mut limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(FILES_MAX, |maximum| maximum.min(FILES_MAX));
        limit.current = Some(most - 1);
        setrlimit(Resource::Nofile, limit).unwrap();
        allow_many_files();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(most));
    }
}
