//! A simulator of clusters: days in seconds, with the placement that the controller runs.
#![forbid(unsafe_code)]
