//! `mobzctl`, the operator's tool.

fn main() -> std::process::ExitCode {
    mobzctl::run()
}
