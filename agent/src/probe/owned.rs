//! An array that only the agent writes: what stands in it is known without asking the kernel, which is a call for
//! each of thousands of elements.

use std::path::Path;

use aya::Pod;

use super::ProbeError;
use super::maps::Elements;

/// The array, and what stands in it.
pub(super) struct Owned<V: Pod> {
    map: Elements<V>,
    elements: Vec<V>,
}

impl<V: Pod> Owned<V> {
    /// Opens it from its pin, as the agent before left it.
    pub(super) fn open(dir: &Path, name: &'static str) -> Result<Self, ProbeError> {
        let map = Elements::open(dir, name)?;
        let elements = map.all()?;
        Ok(Owned { map, elements })
    }

    /// Every element.
    pub(super) fn all(&self) -> &[V] {
        &self.elements
    }

    /// One of them, if there are so many.
    pub(super) fn get(&self, index: u32) -> Option<&V> {
        self.elements.get(usize::try_from(index).ok()?)
    }

    /// Writes one.
    pub(super) fn set(&mut self, index: u32, value: &V) -> Result<(), ProbeError> {
        // The kernel refuses before it changes anything (`array_map_update_elem` in kernel/bpf/arraymap.c).
        self.map.set(index, value)?;
        let element = usize::try_from(index).ok();
        if let Some(element) = element.and_then(|index| self.elements.get_mut(index)) {
            *element = *value;
        }
        Ok(())
    }
}
