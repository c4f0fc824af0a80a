//! The Kubernetes shell: watches, collects, records, performs, leads.
