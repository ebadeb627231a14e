//! What is to be done about one object: functions of what is known of it.
//!
//! Each answers with at most one write. Whatever comes of it, the object is looked at again.

mod home;
mod pool;
mod telemetry;
mod tombstone;
mod volume;

pub use home::{Home, Homing, MOST_NAMES, home};
pub use pool::{AgentState, pool};
pub use telemetry::{Hearing, telemetry};
pub use tombstone::{Grave, Tidy, is_done, tombstone};
pub use volume::{Around, Held, Step, placed, volume, waits};
