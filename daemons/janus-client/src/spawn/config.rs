//! Janus' configuration files.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// The plugins of Janus, but for VideoRoom: each would be loaded, and the samples of some open ports.
const PLUGINS_DISABLED: &[&str] = &[
    "audiobridge",
    "duktape",
    "echotest",
    "lua",
    "nosip",
    "recordplay",
    "sip",
    "streaming",
    "textroom",
    "videocall",
    "voicemail",
];
/// The transports of Janus, but for WebSockets.
const TRANSPORTS_DISABLED: &[&str] = &["http", "mqtt", "nanomsg", "pfunix", "rabbitmq"];
/// The loggers of Janus that are loaded unless told otherwise.
const LOGGERS_DISABLED: &[&str] = &["jsonlog"];

/// How many threads handles share unless told otherwise.
pub const EVENT_LOOPS: u32 = 4;

/// How a Janus of one's own runs: VideoRoom with string ids, over WebSockets, nothing else.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where its API listens; port 0 is any that is free. There is no access control: keep it to loopback.
    pub listen: SocketAddr,
    /// Where its Admin API listens; port 0 is any that is free. `None` is nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// What requests to the Admin API must hold.
    pub admin_secret: String,
    /// The UDP ports of media. Two per peer connection do, one with ICE bundling: as all browsers do.
    pub rtp_ports: RangeInclusive<u16>,
    /// The address to write into candidates where Janus is behind a 1:1 NAT.
    pub public_ip: Option<IpAddr>,
    /// Interfaces or addresses to gather candidates on, and no others: all but loopback where it is empty.
    /// Janus always skips loopback, and takes `"lo"` for all.
    pub ice_enforce: Vec<String>,
    /// How many threads handles share; 0 is a thread for each handle, which costs 11 KiB of it. What a thread
    /// does for a packet grows with how many handles it has: with hundreds of them on each, four on two cores
    /// relay what two cannot.
    pub event_loops: u32,
    /// How long a silent session lives, in whole seconds.
    pub session_timeout: Duration,
    /// How long a session without a connection can be claimed, in whole seconds; below `session_timeout`.
    pub reclaim_session_timeout: Duration,
    /// Whether IPv6 is used for media.
    pub ipv6: bool,
    /// Whether candidates are told one by one, in place of in the description.
    pub full_trickle: bool,
    /// How long no media makes [`crate::Event::Media`] say so, in whole seconds; 0 is never.
    pub no_media_timer: Duration,
    /// How many lost packets a second make [`crate::Event::SlowLink`]; 0 is never.
    pub slowlink_threshold: u32,
    /// How much it logs, 0–7; 3 is warnings.
    pub log_level: u8,
    /// What it calls itself: how it is told from another Janus. Best left as it is.
    pub server_name: String,
    /// For how long it goes on when this process has ended, killed or not, in whole seconds: so long another
    /// may take it over ([`super::Janus::adopt`]), then it ends by itself. Its log is `janus.log` in its directory.
    /// `None` is not at all: its log is traced, and it is killed with this process (where `setpriv` is installed,
    /// from util-linux). Dropping [`super::Janus`] kills it in either case.
    pub outlives_us: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            listen: loopback,
            admin_listen: Some(loopback),
            admin_secret: random(),
            rtp_ports: 20_000..=20_999,
            public_ip: None,
            ice_enforce: Vec::new(),
            event_loops: EVENT_LOOPS,
            session_timeout: Duration::from_secs(60),
            reclaim_session_timeout: Duration::from_secs(45),
            ipv6: false,
            full_trickle: false,
            no_media_timer: Duration::from_secs(1),
            slowlink_threshold: 0,
            log_level: 3,
            server_name: format!("janus-{}", random()),
            outlives_us: None,
        }
    }
}

impl Config {
    /// Puts free ports where any will do.
    pub(super) fn with_free_ports(mut self) -> io::Result<Self> {
        // Both are held until both are known: so they are not the same.
        let mut held = Vec::new();
        for address in [Some(&mut self.listen), self.admin_listen.as_mut()].into_iter().flatten() {
            if address.port() == 0 {
                let listener = TcpListener::bind(*address)?;
                address.set_port(listener.local_addr()?.port());
                held.push(listener);
            }
        }
        Ok(self)
    }

    /// Writes the files into a directory.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        write_private(&directory.join("janus.jcfg"), &self.core(directory))?;
        fs::write(directory.join("janus.transport.websockets.jcfg"), self.websockets())?;
        fs::write(directory.join("janus.plugin.videoroom.jcfg"), "general: {\n  string_ids = true\n}\n")
    }

    fn core(&self, directory: &Path) -> String {
        let mut file = String::new();
        let mut line = |line: std::fmt::Arguments| {
            let _infallible = writeln!(file, "{line}");
        };
        line(format_args!("general: {{"));
        line(format_args!("  configs_folder = {}", quoted(&directory.display().to_string())));
        line(format_args!("  server_name = {}", quoted(&self.server_name)));
        line(format_args!("  admin_secret = {}", quoted(&self.admin_secret)));
        line(format_args!("  debug_level = {}", self.log_level));
        line(format_args!("  debug_colors = false"));
        line(format_args!("  session_timeout = {}", self.session_timeout.as_secs()));
        line(format_args!("  reclaim_session_timeout = {}", self.reclaim_session_timeout.as_secs()));
        if self.event_loops > 0 {
            line(format_args!("  event_loops = {}", self.event_loops));
        }
        line(format_args!("}}\nmedia: {{"));
        line(format_args!("  ipv6 = {}", self.ipv6));
        line(format_args!("  rtp_port_range = \"{}-{}\"", self.rtp_ports.start(), self.rtp_ports.end()));
        line(format_args!("  no_media_timer = {}", self.no_media_timer.as_secs()));
        line(format_args!("  slowlink_threshold = {}", self.slowlink_threshold));
        line(format_args!("}}\nnat: {{"));
        line(format_args!("  full_trickle = {}", self.full_trickle));
        if let Some(public_ip) = self.public_ip {
            line(format_args!("  nat_1_1_mapping = \"{public_ip}\""));
        }
        if !self.ice_enforce.is_empty() {
            line(format_args!("  ice_enforce_list = {}", quoted(&self.ice_enforce.join(","))));
        }
        line(format_args!("}}\nplugins: {{\n  disable = \"{}\"", libraries(PLUGINS_DISABLED)));
        line(format_args!("}}\ntransports: {{\n  disable = \"{}\"", libraries(TRANSPORTS_DISABLED)));
        line(format_args!("}}\nloggers: {{\n  disable = \"{}\"", libraries(LOGGERS_DISABLED)));
        line(format_args!("}}\nevents: {{\n  broadcast = false\n}}"));
        file
    }

    fn websockets(&self) -> String {
        let mut file = format!(
            "general: {{\n  json = \"compact\"\n  ws = true\n  ws_ip = \"{}\"\n  ws_port = {}\n  wss = false\n}}\nadmin: {{\n",
            self.listen.ip(),
            self.listen.port()
        );
        let _infallible = match self.admin_listen {
            Some(admin) => writeln!(
                file,
                "  admin_ws = true\n  admin_ws_ip = \"{}\"\n  admin_ws_port = {}",
                admin.ip(),
                admin.port()
            ),
            None => writeln!(file, "  admin_ws = false"),
        };
        file.push_str("  admin_wss = false\n}\n");
        file
    }
}

/// A string of libconfig.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn libraries(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("libjanus_{name}.so")).collect();
    names.join(",")
}

/// The file holds the admin secret.
fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

/// 128 random bits, from the seed the standard library gets of the system.
fn random() -> String {
    let draw = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", draw(), draw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_wanted_is_not_written() {
        let core = Config::default().core("/tmp/x".as_ref());
        assert!(!core.contains("nat_1_1_mapping") && !core.contains("ice_enforce_list"), "{core}");
        let public = Config { public_ip: Some([192, 0, 2, 7].into()), ..Config::default() };
        assert!(public.core("/tmp/x".as_ref()).contains("nat_1_1_mapping = \"192.0.2.7\""));
    }

    #[test]
    fn text_cannot_leave_its_quotes() {
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
    }

    #[test]
    fn free_ports_are_two() {
        let config = Config::default().with_free_ports().unwrap();
        assert_ne!(config.listen.port(), config.admin_listen.unwrap().port());
        assert_ne!(config.listen.port(), 0);
    }
}
