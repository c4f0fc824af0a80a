//! Labels and annotations, as Argo Rollouts writes them.

/// Label: the identity of a revision.
pub const HASH: &str = "rollouts-pod-template-hash";
/// Annotation: the revision number.
pub const REVISION: &str = "rollout.argoproj.io/revision";
/// Annotation: former revision numbers of a ReplicaSet that was used again.
pub const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// Annotation: the fleet size that a ReplicaSet was last scaled for.
pub const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation: when a ReplicaSet is to lose its pods. Without a prefix, as Argo writes it.
pub const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";
/// Annotation: the rollout that manages a Service.
pub const MANAGED_BY: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
/// Label: which controller instance an object belongs to.
pub const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";
/// Label: what an analysis run is for.
pub const ROLLOUT_TYPE: &str = "rollout-type";
/// Label: the step that an analysis run belongs to.
pub const STEP_INDEX: &str = "step-index";
/// Annotation that is not copied to ReplicaSets.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotation that is not copied to ReplicaSets.
pub const NOTIFIED: &str = "notified.notifications.argoproj.io";
