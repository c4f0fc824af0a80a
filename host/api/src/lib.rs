//! Wire types and custom resource definitions, for everyone; no client.
