//! Certificates: the authority that the server makes for itself, and a kubeconfig for each identity.
