//! Map layouts and the histogram scale.
