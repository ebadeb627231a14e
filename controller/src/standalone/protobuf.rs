//! The few messages that `kubectl` sends as protobuf.
