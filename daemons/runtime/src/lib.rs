//! Load, apply, commit, perform; start-up, shutdown, telemetry, clock. May touch core and tokio; no wire format.
