//! What the Node service decides. The service itself is not there yet: these are functions of data, and nothing here touches a device.

pub mod format;
pub mod marker;
pub mod mountinfo;
