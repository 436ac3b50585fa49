//! Memory and Redis adapters of core's store port, mirrored file by file. May touch core and Redis, nothing else.
