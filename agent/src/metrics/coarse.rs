//! The coarse scale of the default histograms: 8 buckets, `+Inf` included. More would not fit: a scrape of a thousand
//! volumes is to stay below 5 MB (`tests/scrape.rs`).

/// Inclusive upper bounds in nanoseconds. Powers of two, since those are bounds of the kernel's scale:
/// each coarse bucket is an exact sum of fine ones. Four times the bound before up to 17 ms, where volumes
/// live; eight times above, where only what hangs is.
pub(super) const BOUNDS_NS: [u64; 7] = [
    1 << 16, // 66 µs
    1 << 18, // 262 µs
    1 << 20, // 1.05 ms
    1 << 22, // 4.2 ms
    1 << 24, // 16.8 ms
    1 << 27, // 134 ms
    1 << 30, // 1.07 s
];

#[cfg(test)]
mod tests {
    use super::*;
    use weir_agent_ebpf::scale::{bucket_of, upper_bound_ns};

    /// Seen red with: `(1 << 16) + 1` as the first bound.
    #[test]
    fn every_bound_is_a_bound_of_the_kernels_scale() {
        for bound in BOUNDS_NS {
            assert_eq!(upper_bound_ns(bucket_of(bound)), Some(bound));
        }
        assert!(BOUNDS_NS.is_sorted());
    }
}
