//! One operation per volume at a time. Who comes second is told to come again, and not made to wait: a queue behind a stuck
//! operation would hold everything that comes after it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use weir_api::names::ObjectName;

use crate::failure::Failure;

/// The volumes that something is being done about.
#[derive(Clone, Debug, Default)]
pub struct Locks(Arc<Mutex<BTreeSet<ObjectName>>>);

/// A volume's turn. It ends with this, also where the operation was given up.
#[derive(Debug)]
pub struct Turn {
    locks: Locks,
    name: ObjectName,
}

impl Locks {
    /// A volume's turn.
    ///
    /// # Errors
    /// Somebody has it.
    pub fn take(&self, name: &ObjectName) -> Result<Turn, Failure> {
        let is_free = self.with(|busy| busy.insert(name.clone()));
        if !is_free {
            let message = format!("something else is being done about volume `{name}`: try again");
            return Err(Failure::Busy(message));
        }
        Ok(Turn {
            locks: self.clone(),
            name: name.clone(),
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeSet<ObjectName>) -> T) -> T {
        // Nothing that panics is done under it.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.locks.with(|busy| busy.remove(&self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `insert` replaced by `true`.
    #[test]
    fn a_volume_has_one_operation_at_a_time() {
        let (locks, a, b) = (Locks::default(), "a".parse().unwrap(), "b".parse().unwrap());
        let first = locks.take(&a).unwrap();
        assert_eq!(locks.take(&a).unwrap_err().code(), tonic::Code::Aborted);
        let other = locks.take(&b).unwrap();
        drop(first);
        let again = locks.take(&a).unwrap();
        drop((other, again));
    }
}
