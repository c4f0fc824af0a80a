//! Labels and annotations, as Argo Rollouts writes them.

/// Label on ReplicaSets, pods, Service selectors, analysis runs and experiments: the revision.
pub const POD_TEMPLATE_HASH: &str = "rollouts-pod-template-hash";

/// Annotation: the revision number.
pub const REVISION: &str = "rollout.argoproj.io/revision";
/// Annotation on ReplicaSets: former revision numbers, comma-separated.
pub const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// Annotation on ReplicaSets: the fleet size that they were last scaled for.
pub const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation on Rollouts: the generation of the workload that lends its template.
pub const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";
/// Annotation on ReplicaSets: JSON of the metadata that was added to their pods.
pub const EPHEMERAL_METADATA: &str = "rollout.argoproj.io/ephemeral-metadata";

/// Annotation on ReplicaSets: when they are to lose their pods, RFC 3339. It has no prefix.
pub const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";

/// Annotation on objects that a Rollout manages without owning them: its name.
pub const MANAGED_BY_ROLLOUTS: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
/// Label on everything: which controller instance is responsible.
pub const CONTROLLER_INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// Annotation on ReplicaSets of an experiment: its name.
pub const EXPERIMENT_NAME: &str = "experiment.argoproj.io/name";
/// Annotation on ReplicaSets of an experiment: the template.
pub const EXPERIMENT_TEMPLATE_NAME: &str = "experiment.argoproj.io/template-name";

/// Label on analysis runs: what they are for, one of the `ROLLOUT_TYPE_` values.
pub const ROLLOUT_TYPE: &str = "rollout-type";
/// Value of [`ROLLOUT_TYPE`]: a step.
pub const ROLLOUT_TYPE_STEP: &str = "Step";
/// Value of [`ROLLOUT_TYPE`]: beside the steps.
pub const ROLLOUT_TYPE_BACKGROUND: &str = "Background";
/// Value of [`ROLLOUT_TYPE`]: before the switch.
pub const ROLLOUT_TYPE_PRE_PROMOTION: &str = "PrePromotion";
/// Value of [`ROLLOUT_TYPE`]: after the switch.
pub const ROLLOUT_TYPE_POST_PROMOTION: &str = "PostPromotion";
/// Label on analysis runs: the index of their step.
pub const STEP_INDEX: &str = "step-index";

/// Label on metric Jobs and their pods: the uid of the analysis run.
pub const ANALYSIS_RUN_UID: &str = "analysisrun.argoproj.io/uid";
/// Annotation on metric Jobs: the name of the analysis run.
pub const ANALYSIS_RUN_NAME: &str = "analysisrun.argoproj.io/name";
/// Annotation on metric Jobs: the namespace of the analysis run.
pub const ANALYSIS_RUN_NAMESPACE: &str = "analysisrun.argoproj.io/namespace";
/// Annotation on metric Jobs: the metric.
pub const ANALYSIS_RUN_METRIC_NAME: &str = "analysisrun.argoproj.io/metric-name";

/// Annotation on Ingresses: JSON of the annotations that each Rollout manages.
pub const MANAGED_ALB_ANNOTATIONS: &str = "rollouts.argoproj.io/managed-alb-annotations";
/// Annotation on Ingresses: the former form of [`MANAGED_ALB_ANNOTATIONS`].
pub const MANAGED_ALB_ACTIONS: &str = "rollouts.argoproj.io/managed-alb-actions";

/// Prefix of annotations on Rollouts: `<prefix><trigger>.<service>` names recipients.
pub const NOTIFICATION_SUBSCRIBE_PREFIX: &str = "notifications.argoproj.io/subscribe.";
/// Annotation on Rollouts: what was notified already.
pub const NOTIFIED: &str = "notified.notifications.argoproj.io";
