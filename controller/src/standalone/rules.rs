//! CEL rules (`x-kubernetes-validations`) of our own definitions.
