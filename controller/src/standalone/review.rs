//! Reviews of access: `kubectl auth can-i` and `whoami`.
