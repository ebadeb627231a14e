//! What the definitions are.
