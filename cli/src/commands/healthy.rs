//! `mobzctl healthy`.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::args::stack::Healthy;
use crate::error::{Failure, Result, os};
use crate::exit::Exit;
use crate::output::Output;

/// As much of an answer as its first line needs.
const ANSWER_LENGTH_MAX: u64 = 64;

/// Asks a daemon of this machine whether it is well.
pub fn run(args: &Healthy, output: &Output) -> Result<Exit> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let remedy = "read its log; an orchestrator starts it anew";
    let what = format!("port {} is not well", args.port);
    match ask(address, args.path.as_deref(), args.timeout) {
        Ok(line) if args.path.is_none() || line.split(' ').nth(1) == Some("200") => {
            output.note("well");
            Ok(Exit::Done)
        }
        Ok(line) => Err(Failure::failed(what, format!("it answers {line:?}"), remedy)),
        Err(error) => Err(Failure::failed(what, os(&error), remedy)),
    }
}

/// The first line of its answer; empty where nothing is asked.
fn ask(address: SocketAddr, path: Option<&str>, timeout: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    let Some(path) = path else { return Ok(String::new()) };
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LENGTH_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that gives one answer to one request.
    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn the_first_line_of_the_answer_is_read() {
        let address = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nno store\n");
        let line = ask(address, Some("/readyz"), Duration::from_secs(5)).unwrap();
        assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    }

    #[test]
    fn without_a_path_listening_is_enough_and_not_listening_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(ask(address, None, Duration::from_secs(5)).unwrap(), "");
        drop(listener);
        assert!(ask(address, None, Duration::from_secs(5)).is_err());
    }
}
