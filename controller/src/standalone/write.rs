//! Writes as functions of data: what an object becomes, or why not.
