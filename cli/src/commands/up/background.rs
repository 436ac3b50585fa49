//! `up --detach`: the stack in a process of its own, which outlives the terminal.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::ready::Ready;
use crate::args::stack::Up;
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;
use crate::stack;

/// How many logs of earlier detached stacks are kept.
const LOGS_KEPT: usize = 5;
/// How long a stack that did not become ready is given to say why.
const GRACE: Duration = Duration::from_secs(2);

/// Starts the stack again in the background, and waits until it is ready.
pub(super) fn start(args: &Up, output: &Output) -> Result<Exit> {
    let what = "cannot start the stack in the background";
    let failed =
        |error: io::Error| Failure::failed(what, os(&error), "start it in the foreground, without --detach");
    let log = new_log().map_err(failed)?;
    let mut child = spawn(&log).map_err(failed)?;
    let progress = Progress::waiting(output, "waiting for the stack to be ready");
    let line = first_line(&mut child, args.timeout);
    drop(progress);
    match line {
        Some(line) => {
            let ready: Ready = serde_json::from_str(&line).map_err(|error| {
                Failure::failed(what, format!("it said {line:?}: {error}"), format!("see {}", log.display()))
            })?;
            let ending = format!(
                "It runs in the background: `mobzctl status`, `mobzctl down`.\nLog: {}",
                log.display()
            );
            ready.print(output, &ending)?;
            Ok(Exit::Done)
        }
        None => Err(not_ready(child, &log, args.timeout)),
    }
}

/// Leaves the terminal's session: its end is not this process's end.
pub(super) fn detach() -> Result<()> {
    rustix::process::setsid().map(drop).map_err(|error| {
        Failure::failed(
            "cannot go to the background",
            os(&error.into()),
            "use --detach and not --in-background",
        )
    })
}

fn spawn(log: &Path) -> io::Result<Child> {
    let stderr = File::options().append(true).open(log)?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .arg("--in-background")
        .arg(log)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
}

/// The line by which it says that it is ready; `None` when it ends, or takes too long.
fn first_line(child: &mut Child, patience: Duration) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(read.ok().filter(|length| *length > 0).map(|_| line));
    });
    receiver.recv_timeout(patience).ok().flatten()
}

fn not_ready(mut child: Child, log: &Path, patience: Duration) -> Failure {
    let deadline = SystemTime::now() + GRACE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if SystemTime::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) | Err(_) => break None,
        }
    };
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        return Failure::timed_out(
            "the stack did not become ready",
            format!("it still was not after {} s, and was ended", patience.as_secs()),
            format!("see {}, or wait longer with --timeout", log.display()),
        );
    };
    // It told its failure in its log, in the words it would have told here.
    let said = fs::read_to_string(log).unwrap_or_default();
    let told = said.rfind("error: ").map(|at| &said[at + "error: ".len()..]);
    let part = |label: &str| {
        told.and_then(|told| told.lines().find_map(|line| line.trim().strip_prefix(label)))
            .map(|words| words.trim().to_owned())
    };
    let exit = status.code().and_then(Exit::from_code).unwrap_or(Exit::Failed);
    let what = told.and_then(|told| told.lines().next()).unwrap_or("the stack ended before it was ready");
    Failure::new(
        exit,
        what,
        part("why:").unwrap_or_else(|| status.to_string()),
        part("do:").unwrap_or_else(|| format!("see {}", log.display())),
    )
}

/// A log of its own for this stack; the oldest of earlier ones go.
fn new_log() -> io::Result<PathBuf> {
    let folder =
        stack::folder().ok_or_else(|| io::Error::other("neither XDG_RUNTIME_DIR nor HOME is set"))?;
    fs::create_dir_all(&folder)?;
    let mut logs: Vec<PathBuf> = fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    let living = stack::living();
    let in_use = |path: &PathBuf| living.iter().any(|stack| stack.log.as_ref() == Some(path));
    for old in logs.iter().rev().skip(LOGS_KEPT - 1).filter(|path| !in_use(path)) {
        let _ = fs::remove_file(old);
    }
    let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let path = folder.join(format!("up-{seconds}-{}.log", std::process::id()));
    File::create_new(&path)?;
    Ok(path)
}
