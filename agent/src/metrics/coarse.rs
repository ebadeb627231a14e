//! The coarse scale of the default histograms: 14 buckets, `+Inf` included.

/// Inclusive upper bounds in nanoseconds. Powers of two, since those are bounds of the kernel's scale:
/// each coarse bucket is an exact sum of fine ones. Twice the bound before from 33 µs to 17 ms, where
/// volumes live; four times above.
pub(super) const BOUNDS_NS: [u64; 13] = [
    1 << 15, // 33 µs
    1 << 16,
    1 << 17,
    1 << 18,
    1 << 19,
    1 << 20, // 1.05 ms
    1 << 21,
    1 << 22,
    1 << 23,
    1 << 24, // 16.8 ms
    1 << 26,
    1 << 28,
    1 << 30, // 1.07 s
];

#[cfg(test)]
mod tests {
    use super::*;
    use weir_agent_ebpf::scale::{bucket_of, upper_bound_ns};

    /// Seen red with: `(1 << 15) + 1` as the first bound.
    #[test]
    fn every_bound_is_a_bound_of_the_kernels_scale() {
        for bound in BOUNDS_NS {
            assert_eq!(upper_bound_ns(bucket_of(bound)), Some(bound));
        }
        assert!(BOUNDS_NS.is_sorted());
    }
}
