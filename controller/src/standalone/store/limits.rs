//! What a store may use at most.

/// Bounds. The defaults are for 100,000 volumes, 1,000 watchers and 1,000 changes a second in less
/// than 600 MiB.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// How many changes are kept for watches and lists that begin in the past. 32,768: half a minute
    /// at 1,000 changes a second, in which a client that was cut off comes back or a list is read to
    /// its last page; at the rate of a calm cluster it is hours.
    pub history_changes: usize,
    /// How many bytes of objects, old and new, those changes may hold. 64 MiB: 20,000 changes of
    /// objects of 1.2 KiB. Memory needs about half, since an old state is an earlier change's new
    /// one.
    pub history_bytes: usize,
    /// How many changes that concern it a watcher may be behind, 16,384: 16 seconds at 1,000 changes
    /// a second. They are not copied for each watcher; whoever is further behind won't catch up.
    pub watcher_backlog: usize,
    /// How many changes may wait for the writer; whoever comes then waits for room. 1,024.
    pub queue: usize,
    /// How many changes share one transaction at most, 512: enough that the disk's flush is no
    /// longer what limits, and few enough that nobody waits long for the others of his batch.
    pub batch_changes: usize,
    /// How many bytes of objects they may have before no further one joins, 4 MiB.
    pub batch_bytes: usize,
    /// What the database may cache. 16 MiB: reads never come to it, only the branches of its trees
    /// are looked at again and again.
    pub cache_bytes: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            history_changes: 32_768,
            history_bytes: 64 << 20,
            watcher_backlog: 16_384,
            queue: 1_024,
            batch_changes: 512,
            batch_bytes: 4 << 20,
            cache_bytes: 16 << 20,
        }
    }
}
