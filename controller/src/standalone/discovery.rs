//! What is served, as clients discover it.
