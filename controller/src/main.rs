//! `weir-controller`.

fn main() {}
