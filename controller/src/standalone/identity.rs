//! Who is asking, as its client certificate says.
