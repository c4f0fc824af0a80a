//! Labels and annotations, by the names they have in here. What they are is said once, in
//! [`sluice_api::keys`].

pub use sluice_api::keys::{
    CONTROLLER_INSTANCE_ID as INSTANCE_ID, DESIRED_REPLICAS, EPHEMERAL_METADATA, EXPERIMENT_NAME,
    EXPERIMENT_TEMPLATE_NAME, MANAGED_BY_ROLLOUTS as MANAGED_BY, NOTIFICATION_SUBSCRIBE_PREFIX,
    NOTIFIED, POD_TEMPLATE_HASH as HASH, REVISION, REVISION_HISTORY, ROLLOUT_TYPE,
    SCALE_DOWN_DEADLINE, STEP_INDEX, WORKLOAD_GENERATION,
};

/// Annotation on ReplicaSets: JSON of the metadata that pods from before may still have to lose.
/// It is there until they have been seen to.
pub const PODS_LAG: &str = "sluice.dev/pods-lag";

/// Annotation on Rollouts: JSON of what notifiers have still to tell of it; see [`crate::notify`].
/// It is not copied to ReplicaSets.
pub const OUTBOX: &str = "sluice.dev/notifications";

/// Annotation that is not copied to ReplicaSets.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Annotation on a Rollout: JSON of the routers that are in charge of its traffic, and of those
/// that were and have yet to take back what is theirs.
pub const ROUTERS: &str = "sluice.dev/routers";

/// Label on a Deployment whose pods a rollout replaces, so that those alone need to be watched.
pub const TAKEN: &str = "sluice.dev/taken-over";

/// Annotation on such a Deployment: the rollout's name.
pub const TAKEN_BY: &str = "sluice.dev/taken-over-by";

/// Annotation on such a Deployment: the pods that it had before.
pub const BEFORE: &str = "sluice.dev/replicas-before";
