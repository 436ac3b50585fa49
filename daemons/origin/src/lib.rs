//! The LL-HLS origin daemon: HTTP over core's playlists. May touch core, runtime and HTTP.
