//! The WebSocket and control-API daemon. May touch core, runtime and HTTP; it holds no room rule.
