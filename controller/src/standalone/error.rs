//! What is answered when a request can't be carried out: Kubernetes' `Status`.
