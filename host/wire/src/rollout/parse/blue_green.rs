//! What a user wants of the blue-green strategy.

use std::time::Duration;

use sluice_core::Pods;
use sluice_core::rollout::{self, Promotion};

use crate::field::{Field, Refusals};
use crate::rollout::percent::{Rounding, pods};

const SCALE_DOWN_DELAY: u32 = 30;

/// What `strategy.blueGreen` says, for the core.
pub(super) struct BlueGreen {
    pub(super) strategy: rollout::BlueGreen,
    pub(super) max_unavailable: Pods,
}

/// `history` is `spec.revisionHistoryLimit`.
pub(super) fn blue_green(
    field: &Field<'_>,
    replicas: Pods,
    history: u32,
    bad: &mut Refusals,
) -> BlueGreen {
    services(field, bad);
    let limit = field.get("scaleDownDelayRevisionLimit");
    let limit_count = bad.count(&limit, 0);
    if limit.is_set() && limit_count > history {
        bad.add(
            &limit,
            format!("Invalid value: {limit_count}: This rollout's revision history limit can not be smaller than the rollout's scale down limit"),
        );
    }
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let delay = field.get("scaleDownDelaySeconds");
    let delay_seconds = bad.count(&delay, SCALE_DOWN_DELAY);
    let abort_seconds = bad.count(&field.get("abortScaleDownDelaySeconds"), SCALE_DOWN_DELAY);
    let preview = field.get("previewReplicaCount");
    let preview_replicas = Pods(bad.count(&preview, 0));
    let post_analysis = field.get("postPromotionAnalysis").is_set();
    let strategy = rollout::BlueGreen {
        preview_replicas: preview.is_set().then_some(preview_replicas),
        promotion: promotion(field, bad),
        pre_analysis: field.get("prePromotionAnalysis").is_set(),
        post_analysis,
        scale_down_delay: seconds(delay_seconds),
        scale_down_delay_revisions: limit.is_set().then_some(limit_count as usize),
        keep_until_proven: post_analysis && !delay.is_set(),
        abort_scale_down_delay: (abort_seconds > 0).then(|| seconds(abort_seconds)),
    };
    let unavailable = field.get("maxUnavailable");
    let max_unavailable = unavailable.value().cloned().unwrap_or_else(|| "25".into());
    let max_unavailable = pods(&max_unavailable, replicas, Rounding::Down).unwrap_or_default();
    BlueGreen { strategy, max_unavailable: max_unavailable.min(replicas) }
}

fn services(field: &Field<'_>, bad: &mut Refusals) {
    let active = field.get("activeService");
    if active.name().is_none() {
        bad.add(
            &active,
            "Required value: a blue-green rollout turns this Service from one revision to the next; name one",
        );
    } else if active.name() == field.get("previewService").name() {
        bad.add(
            &active,
            "Invalid value: This rollout uses the same service for the active and preview services, but two different services are required.",
        );
    }
}

fn promotion(field: &Field<'_>, bad: &mut Refusals) -> Promotion {
    let enabled = field.get("autoPromotionEnabled");
    if enabled.is_set() && enabled.value().is_none_or(|value| !value.is_boolean()) {
        bad.add(&enabled, "Invalid value: must be true or false");
    }
    let seconds = bad.count(&field.get("autoPromotionSeconds"), 0);
    match (enabled.is_set() && !enabled.bool(), seconds) {
        (true, _) => Promotion::ByUser,
        (false, 0) => Promotion::AtOnce,
        (false, seconds) => Promotion::After(Duration::from_secs(u64::from(seconds))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::rollout::parse::parse;

    fn parsed(blue_green: Value) -> Result<rollout::BlueGreen, Vec<String>> {
        let rollout = json!({"spec": {
            "replicas": 4, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
            "strategy": {"blueGreen": blue_green},
        }});
        match parse(&rollout) {
            Ok(intent) => Ok(intent.rollout.blue_green().unwrap().clone()),
            Err(refusals) => Err(refusals.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_is_left_out_has_argos_defaults() {
        let plain = parsed(json!({"activeService": "live"})).unwrap();
        let half_a_minute = Duration::from_secs(30);
        assert_eq!(
            plain,
            rollout::BlueGreen {
                preview_replicas: None,
                promotion: Promotion::AtOnce,
                pre_analysis: false,
                post_analysis: false,
                scale_down_delay: half_a_minute,
                scale_down_delay_revisions: None,
                keep_until_proven: false,
                abort_scale_down_delay: Some(half_a_minute),
            }
        );
    }

    #[test]
    fn a_promotion_that_is_not_automatic_ignores_its_seconds() {
        let table = [
            (json!({}), Promotion::AtOnce),
            (json!({"autoPromotionEnabled": true}), Promotion::AtOnce),
            (json!({"autoPromotionSeconds": 9}), Promotion::After(Duration::from_secs(9))),
            (json!({"autoPromotionEnabled": false}), Promotion::ByUser),
            (json!({"autoPromotionEnabled": false, "autoPromotionSeconds": 9}), Promotion::ByUser),
        ];
        for (mut fields, expected) in table {
            fields["activeService"] = "live".into();
            assert_eq!(parsed(fields.clone()).unwrap().promotion, expected, "{fields}");
        }
    }

    #[test]
    fn nothing_is_for_ever_only_where_a_user_says_so() {
        let never = parsed(json!({"activeService": "live", "abortScaleDownDelaySeconds": 0}));
        assert_eq!(never.unwrap().abort_scale_down_delay, None);
        let analysis = json!({"activeService": "live", "postPromotionAnalysis": {}});
        assert!(parsed(analysis.clone()).unwrap().keep_until_proven);
        let mut with_delay = analysis;
        with_delay["scaleDownDelaySeconds"] = 5.into();
        assert!(!parsed(with_delay).unwrap().keep_until_proven);
    }

    #[test]
    fn every_complaint_names_its_field() {
        let bad = json!({
            "activeService": "web", "previewService": "web", "scaleDownDelayRevisionLimit": 11,
            "previewReplicaCount": -1, "autoPromotionEnabled": "no", "antiAffinity": {},
            "previewMetadata": {"labels": {}},
        });
        let complaints = parsed(bad).unwrap_err();
        let path = |line: &String| line.split(": ").next().unwrap_or_default().to_owned();
        let paths: Vec<_> = complaints.iter().map(path).collect();
        let expected = [
            "antiAffinity",
            "activeService",
            "scaleDownDelayRevisionLimit",
            "previewReplicaCount",
            "autoPromotionEnabled",
        ];
        let expected: Vec<_> =
            expected.iter().map(|name| format!("spec.strategy.blueGreen.{name}")).collect();
        assert_eq!(paths, expected, "{complaints:#?}");
        assert!(parsed(json!({})).unwrap_err()[0].contains("activeService: Required value"));
    }
}
