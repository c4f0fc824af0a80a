//! One decision after the other, as a shell would ask for them.

use super::*;
use serde_json::{Value, json};

const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A Plugin and all that is known of it; a test changes what it is about.
struct Scene {
    plugin: Plugin,
    keeps: bool,
    now: Timestamp,
    rival: Option<String>,
    running: Option<Running>,
    bundled: Option<String>,
    tried: Option<Tried>,
    restored: Option<bool>,
    takeback: Option<Takeback>,
    users: Option<Vec<Use>>,
}

impl Scene {
    /// A Plugin that is held already and wants [`NEW`].
    fn new() -> Self {
        let plugin = json!({
            "metadata": {"name": "datadog", "generation": 1, "finalizers": [FINALIZER]},
            "spec": {"source": {"configMap": {"name": "m"}}, "digest": NEW},
        });
        Self {
            plugin: serde_json::from_value(plugin).unwrap(),
            keeps: true,
            now: Timestamp(1_000_000),
            rival: None,
            running: None,
            bundled: None,
            tried: None,
            restored: None,
            takeback: None,
            users: None,
        }
    }

    fn spec(mut self, spec: Value) -> Self {
        self.plugin.spec = serde_json::from_value(spec).unwrap();
        self
    }

    fn runs(mut self, digest: &str) -> Self {
        self.running = Some(Running { digest: digest.to_owned(), ..Running::default() });
        self
    }

    fn ended(mut self, outcome: Outcome) -> Self {
        self.tried = Some(Tried { generation: 1, at: self.now, attempts: 1, outcome });
        self
    }

    fn deleted(mut self) -> Self {
        let mut plugin = serde_json::to_value(&self.plugin).unwrap();
        plugin["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.plugin = serde_json::from_value(plugin).unwrap();
        self
    }

    /// Decide, record the status as a shell does, and say the order and the announcements.
    fn decide(&mut self) -> (String, Vec<String>) {
        let wish = Wish::read(&self.plugin);
        let plugin = self.plugin.clone();
        let decision = decide(Observed {
            plugin: &plugin,
            wish: wish.as_ref(),
            keeps: self.keeps,
            now: self.now,
            rival: self.rival.as_deref(),
            running: self.running.as_ref(),
            bundled: self.bundled.as_deref(),
            tried: self.tried.as_ref(),
            restored: self.restored,
            takeback: self.takeback.as_ref(),
            users: self.users.as_deref(),
        });
        let order = decision.order.map(|order| format!("{order:?}")).unwrap_or_default();
        self.plugin.status = Some(decision.status);
        (order, decision.said.into_iter().map(|s| format!("{}: {}", s.reason, s.message)).collect())
    }

    fn order(&mut self) -> String {
        self.decide().0
    }

    fn status(&self) -> &PluginStatus {
        self.plugin.status.as_ref().unwrap()
    }

    fn phase(&self) -> &str {
        self.status().phase.as_deref().unwrap()
    }

    fn message(&self) -> &str {
        self.status().message.as_deref().unwrap()
    }
}

#[test]
fn it_is_held_taken_and_told_once() {
    let mut scene = Scene::new();
    scene.plugin.metadata.finalizers = None;
    assert_eq!(scene.decide(), ("Hold".to_owned(), Vec::new()));
    let mut scene = Scene::new();
    assert_eq!(scene.order(), "Take");
    assert_eq!(scene.phase(), "Pending");
    let mut scene = scene.runs(NEW).ended(Outcome::InUse);
    let said = format!("PluginReady: {NEW} is in use");
    assert_eq!(scene.decide(), (String::new(), vec![said]));
    assert_eq!(scene.decide(), (String::new(), Vec::new()), "it is no news any more");
    assert_eq!((scene.phase(), scene.status().digest.as_deref()), ("Ready", Some(NEW)));
}

#[test]
fn who_does_not_keep_an_object_has_its_component_and_holds_nothing() {
    let mut scene = Scene::new();
    (scene.keeps, scene.plugin.metadata.finalizers) = (false, None);
    assert_eq!(scene.order(), "Take", "no finalizer is waited for");
    let mut scene = Scene::new().runs(NEW).ended(Outcome::InUse).deleted();
    scene.keeps = false;
    assert_eq!(scene.order(), "", "it stays as long as its keeper holds it");
    scene.plugin.metadata.finalizers = None;
    assert_eq!(scene.order(), "Remove");
}

#[test]
fn what_is_not_signed_is_looked_at_again() {
    let mut scene = Scene::new().ended(Outcome::Unsigned("there is no signature".to_owned()));
    let (order, said) = scene.decide();
    assert_eq!((order.as_str(), scene.phase()), ("", "Failed"));
    assert!(said[0].starts_with("PluginFailed: there is no signature; nothing is in use"));
    scene.now = scene.now.after(FIRST_WAIT);
    assert_eq!(scene.order(), "Take");
}

#[test]
fn another_spec_is_another_attempt() {
    let mut scene = Scene::new().runs(OLD).ended(Outcome::InUse);
    assert_eq!(scene.order(), "");
    scene.plugin.metadata.generation = Some(2);
    assert_eq!(scene.order(), "Take");
    scene.tried = Some(Tried { generation: 2, ..scene.tried.unwrap() });
    let mut scene = scene.runs(NEW);
    scene.order();
    assert_eq!(scene.status().previous_digest.as_deref(), Some(OLD));
}

#[test]
fn a_wrong_digest_changes_nothing_says_why_and_is_tried_again() {
    let mut scene = Scene::new().runs(OLD).ended(Outcome::InUse);
    scene.order();
    let found = "sha256:cc".to_owned();
    let mut scene = scene.ended(Outcome::OtherDigest { found });
    let (order, said) = scene.decide();
    assert_eq!((order.as_str(), said.len()), ("", 1));
    assert!(said[0].starts_with("PluginFailed: the digest of what was found is sha256:cc, and"));
    assert!(scene.message().ends_with(&format!("{OLD} stays in use")), "{}", scene.message());
    assert_eq!((scene.phase(), scene.status().digest.as_deref()), ("Failed", Some(OLD)));
    scene.now = scene.now.after(FIRST_WAIT);
    assert_eq!(scene.order(), "Take");
}

#[test]
fn attempts_get_rarer_up_to_five_minutes() {
    let seconds = |attempts| {
        let outcome = Outcome::Unavailable("no answer".to_owned());
        wait(&Tried { generation: 1, at: Timestamp(0), attempts, outcome }).as_secs()
    };
    assert_eq!([1, 2, 3, 7, 50].map(seconds), [5, 10, 20, 300, 300]);
}

#[test]
fn a_server_that_asks_to_be_left_alone_is() {
    let rest = Duration::from_secs(1_000);
    let mut scene = Scene::new().ended(Outcome::Later { why: "too many".into(), rest });
    scene.now = scene.now.after(LONGEST_WAIT);
    assert_eq!(scene.order(), "", "usually it would be asked again by now");
    assert!(scene.message().starts_with("too many"), "{}", scene.message());
    scene.now = scene.now.after(rest - LONGEST_WAIT);
    assert_eq!(scene.order(), "Take");
}

#[test]
fn what_asks_for_more_waits_for_approval() {
    let denied = Outcome::Denied { asked: vec!["a".into(), "b".into()], missing: vec!["b".into()] };
    let mut scene = Scene::new().ended(denied);
    scene.bundled = Some(OLD.to_owned());
    let (order, said) = scene.decide();
    assert_eq!(order, "", "only another spec helps");
    let why = "asks for more than it is given: b; the bundled component stays in use";
    assert_eq!(said, [format!("PluginPendingApproval: {why}")]);
    let status = scene.status();
    assert_eq!(status.pending.as_deref(), Some(&["b".to_owned()][..]));
    assert_eq!(status.requested.as_ref().unwrap().len(), 2);
    assert_eq!(status.granted, None);
}

#[test]
fn what_refuses_configurations_is_rehearsed_again_later() {
    let refusals: Vec<_> = (0..5).map(|n| format!("Rollout shop/web-{n}: no")).collect();
    let mut scene = Scene::new().ended(Outcome::Incompatible(refusals));
    assert_eq!(scene.order(), "");
    assert!(scene.message().contains("Rollout shop/web-2: no; and 2 more"), "{}", scene.message());
    scene.now = scene.now.after(REHEARSED_AGAIN);
    assert_eq!(scene.order(), "Take");
}

#[test]
fn what_is_taken_back_is_not_tried_again_even_after_a_restart() {
    let mut scene = Scene::new().runs(NEW).ended(Outcome::InUse);
    scene.order();
    scene.takeback = Some(Takeback {
        digest: NEW.into(),
        instead: OLD.into(),
        calls: 5,
        faults: 3,
        first: "the component trapped: unreachable\nat …".into(),
    });
    let mut scene = scene.runs(OLD);
    let (order, said) = scene.decide();
    assert_eq!(order, "");
    let why = format!(
        "{NEW} misbehaved in 3 of its first 5 calls, and {OLD} is back: the component trapped: \
         unreachable"
    );
    assert_eq!(said, [format!("PluginRolledBack: {why}")]);
    let status = scene.status();
    assert_eq!((scene.phase(), status.digest.as_deref()), ("Degraded", Some(OLD)));
    assert_eq!(status.rejected_digest.as_deref(), Some(NEW));

    (scene.tried, scene.takeback, scene.running) = (None, None, None);
    assert_eq!(scene.decide(), (format!("Restore({OLD:?})"), Vec::new()));
    scene.restored = Some(true);
    let mut scene = scene.runs(OLD);
    assert_eq!(scene.decide(), (String::new(), Vec::new()));
    assert_eq!((scene.phase(), scene.message()), ("Degraded", &*why));

    scene.plugin.metadata.generation = Some(2);
    assert_eq!(scene.order(), "Take", "another spec is another matter");
}

#[test]
fn after_a_restart_what_was_in_use_comes_back_if_what_is_wanted_cannot_be_had() {
    let mut scene = Scene::new().runs(OLD).ended(Outcome::InUse);
    scene.order();
    (scene.tried, scene.running) = (None, None);
    assert_eq!(scene.order(), "Take");
    let mut scene = scene.ended(Outcome::Unavailable("no answer".into()));
    assert_eq!(scene.order(), format!("Restore({OLD:?})"));
    scene.restored = Some(false);
    assert_eq!(scene.order(), "");
    assert_eq!(scene.status().digest, None, "it is not at hand any more");

    let mut bundled = Scene::new().runs(OLD).ended(Outcome::InUse);
    bundled.order();
    (bundled.running, bundled.bundled) = (None, Some(OLD.to_owned()));
    let mut bundled = bundled.ended(Outcome::Unavailable("no answer".into()));
    assert_eq!(bundled.order(), "", "what is bundled is there already");
}

#[test]
fn one_that_misbehaves_later_is_degraded() {
    let mut scene = Scene::new().runs(NEW).ended(Outcome::InUse);
    let running = scene.running.as_mut().unwrap();
    (running.suspended, running.last_fault) = (true, Some("trapped\nat …".into()));
    let (_, said) = scene.decide();
    assert!(said[0].starts_with("PluginSuspended: ") && said[0].ends_with(": trapped"), "{said:?}");
    assert_eq!(scene.phase(), "Degraded");
    assert_eq!(scene.status().last_error.as_ref().unwrap().message, "trapped\nat …");
}

#[test]
fn what_is_unclear_or_claimed_changes_nothing() {
    let mut scene = Scene::new().runs(OLD).spec(json!({"source": {}}));
    assert_eq!(scene.order(), "");
    assert!(scene.message().starts_with("spec.source: name exactly one"), "{}", scene.message());
    let mut scene = Scene::new();
    scene.rival = Some("first".into());
    assert_eq!(scene.order(), "");
    assert!(scene.message().starts_with("Plugin first is older"), "{}", scene.message());
    assert_eq!(scene.phase(), "Failed");
}

#[test]
fn a_removal_is_refused_while_somebody_would_be_left_without() {
    let mut scene = Scene::new().runs(NEW).ended(Outcome::InUse).deleted();
    assert_eq!(scene.order(), "Survey");
    let by = "Rollout shop/web".to_owned();
    let user = |field: &str| Use { by: by.clone(), field: field.into(), config: "{}".into() };
    scene.users = Some(vec![user("a"), user("b")]);
    let said = "PluginRemovalRefused: stays until nobody refers to it: Rollout shop/web";
    assert_eq!(scene.decide(), (String::new(), vec![said.to_owned()]));
    assert_eq!(scene.decide(), (String::new(), Vec::new()));
    scene.users = Some(Vec::new());
    assert_eq!(scene.order(), "Remove");
    scene.running = None;
    assert_eq!(scene.order(), "LetGo");
}

#[test]
fn a_removal_that_brings_the_bundled_one_back_is_not_refused() {
    let mut scene = Scene::new().runs(NEW).ended(Outcome::InUse).deleted();
    scene.bundled = Some(OLD.to_owned());
    assert_eq!(scene.order(), "Remove");
}

#[test]
fn counts_alone_are_written_from_time_to_time() {
    let mut scene = Scene::new().runs(NEW).ended(Outcome::InUse);
    scene.order();
    let old = scene.status().clone();
    let counted = PluginStatus { calls: Some(7), ..old.clone() };
    let told = PluginStatus { phase: Some("Failed".into()), ..old.clone() };
    let soon = Duration::from_secs(1);
    assert!(!crate::worth_writing(Some(&old), &old, Duration::MAX));
    assert!(!crate::worth_writing(Some(&old), &counted, soon));
    assert!(crate::worth_writing(Some(&old), &counted, Duration::from_secs(30)));
    assert!(crate::worth_writing(Some(&old), &told, soon));
    assert!(crate::worth_writing(None, &old, soon));
}
