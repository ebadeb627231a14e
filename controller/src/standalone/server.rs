//! The HTTP server: connections, limits, routes.
