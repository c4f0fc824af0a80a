//! One attempt to do what an object wants: fetch, check, rehearse, take over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::api::{ApiResource, GroupVersionKind, ListParams};
use serde_json::Value;
use sluice_api::plugin::PluginStatus;
use sluice_plugins::wish::{Auth, Egress, Permissions, Server as WishedServer, Swap as WishedSwap};
use sluice_plugins::{Asked, Outcome, Role, Source, Use, Wish, uses};
use sluice_port::{Components as _, Fault};
use sluice_wasm::{
    Credential, Detour, Earlier, Grants, HttpGrant, Kind, KubernetesGrant, Limits, Origin, Outline,
    Prepared, Private, Server, Swap, Terms, Way,
};

use super::source::{SourceError, check, fetch, key, secret};
use super::store::Store;
use super::{Around, Shared};
use crate::client::{causes, has_ended};
use crate::fetch::{digest_of, words};
use crate::registry::{Evidence, Key};

/// The most configurations that a component is rehearsed on.
const MOST_REHEARSED: usize = 200;

/// A component that is called now.
#[derive(Clone, Debug)]
pub struct Entered {
    pub kind: Kind,
    pub name: String,
    pub requested: Vec<String>,
    pub granted: Vec<String>,
    pub private: Private,
}

/// Do what is wanted.
pub async fn take(
    shared: &Shared,
    object: &str,
    wish: &Wish,
    status: Option<&PluginStatus>,
) -> (Outcome, Option<Entered>) {
    match attempt(shared, object, wish, status).await {
        Ok(entered) => (Outcome::InUse, Some(entered)),
        Err(outcome) => {
            if !shared.around.keeps() {
                // The status of the object is not this controller's to write.
                tracing::warn!(plugin = object, ?outcome, "a component is not taken in");
            }
            (outcome, None)
        }
    }
}

async fn attempt(
    shared: &Shared,
    object: &str,
    wish: &Wish,
    status: Option<&PluginStatus>,
) -> Result<Entered, Outcome> {
    let around = &shared.around;
    let key = key(around, wish).await.map_err(outcome)?;
    let kept = wish.digest.as_deref();
    let kept = kept.and_then(|digest| self::kept(&shared.store, digest, key.as_ref()));
    let (digest, bytes, evidence) = match kept {
        Some(bytes) => (digest_of(&bytes), bytes, None),
        None => fetched(around, wish, key.as_ref()).await?,
    };
    let (prepared, entered) = prepare(shared, object, wish, bytes.clone()).await?;
    let refusals = rehearse(around, &prepared, wish).await?;
    if !refusals.is_empty() {
        return Err(Outcome::Incompatible(refusals));
    }
    if !matches!(wish.source, Source::Bundled(_)) {
        shared.store.keep(&digest, &bytes);
        if let Some(evidence) = &evidence {
            shared.store.keep_evidence(&digest, evidence);
        }
    }
    around.host.enter(prepared);
    remember(shared, &entered, &digest, status, key);
    Ok(entered)
}

/// Have runs end with the component that they began with, though this process never had it: the
/// one that was in use before, as the object's status says.
fn remember(
    shared: &Shared,
    entered: &Entered,
    digest: &str,
    status: Option<&PluginStatus>,
    key: Option<Key>,
) {
    if entered.kind != Kind::Metric {
        return;
    }
    let before = status.and_then(|status| {
        let latest = status.digest.as_deref().filter(|latest| *latest != digest);
        let before = latest.or(status.previous_digest.as_deref());
        before.filter(|before| status.rejected_digest.as_deref() != Some(*before))
    });
    let earlier = before.map(|before| {
        let (store, wanted) = (shared.store.clone(), before.to_owned());
        let bytes = Arc::new(move || kept(&store, &wanted, key.as_ref()));
        Earlier { digest: before.to_owned(), bytes }
    });
    shared.around.host.recallable(&entered.name, earlier);
}

/// The component with its digest, from its source: the digest is compared and a signature checked
/// before anybody looks into the bytes.
async fn fetched(
    around: &Around,
    wish: &Wish,
    key: Option<&Key>,
) -> Result<(String, Vec<u8>, Option<Evidence>), Outcome> {
    let (bytes, evidence) = fetch(around, wish).await.map_err(outcome)?;
    let digest =
        check(&bytes, wish.digest.as_deref()).map_err(|found| Outcome::OtherDigest { found })?;
    match (key, &evidence) {
        (None, _) => {}
        (Some(key), Some(evidence)) => evidence.check(key, &digest).map_err(Outcome::Unsigned)?,
        (Some(_), None) => {
            return Err(Outcome::Unsigned("its source carries no signatures".to_owned()));
        }
    }
    Ok((digest, bytes, evidence))
}

/// The component of this digest, if it was fetched before and is signed with the key. What was
/// fetched for somebody who wanted no signature is not taken for signed.
fn kept(store: &Store, digest: &str, key: Option<&Key>) -> Option<Vec<u8>> {
    if let Some(key) = key {
        store.evidence(digest)?.check(key, digest).ok()?;
    }
    store.find(digest)
}

/// Bring a component back that was in use before a restart. It was rehearsed then.
pub async fn restore(
    shared: &Shared,
    object: &str,
    wish: &Wish,
    digest: &str,
    status: Option<&PluginStatus>,
) -> Option<Entered> {
    let key = key(&shared.around, wish).await.ok()?;
    let bytes = kept(&shared.store, digest, key.as_ref())?;
    match prepare(shared, object, wish, bytes).await {
        Ok((prepared, entered)) => {
            shared.around.host.enter(prepared);
            remember(shared, &entered, digest, status, key);
            Some(entered)
        }
        Err(outcome) => {
            tracing::warn!(plugin = object, digest, ?outcome, "what was in use cannot come back");
            None
        }
    }
}

fn outcome(error: SourceError) -> Outcome {
    match error {
        SourceError::Unavailable(why) => Outcome::Unavailable(why),
        SourceError::Later { why, rest } => Outcome::Later { why, rest },
        SourceError::Wrong(why) => Outcome::Unusable(why),
    }
}

/// Look at it, compare what it asks for with what it is given, and compile it.
async fn prepare(
    shared: &Shared,
    object: &str,
    wish: &Wish,
    bytes: Vec<u8>,
) -> Result<(Prepared, Entered), Outcome> {
    let around = &shared.around;
    let unusable = |error: sluice_wasm::LoadError| Outcome::Unusable(error.to_string());
    let outline = Outline::of(&bytes).map_err(unusable)?;
    let asked = Asked::read(&outline.imports, outline.manifest.as_deref());
    if let Some(given) = &wish.permissions {
        let missing = asked.missing(given);
        if !missing.is_empty() {
            return Err(Outcome::Denied { asked: asked.lines(), missing });
        }
    }
    let objects = wish.permissions.as_ref().and_then(|given| given.kubernetes.as_ref());
    if outline.kind != Kind::Router && objects.is_some_and(|list| !list.is_empty()) {
        let why = format!(
            "spec.permissions.kubernetes: is for routers, and this is a {}; take it out",
            outline.kind.name()
        );
        return Err(Outcome::Unusable(why));
    }
    let private = private(around, wish).await.map_err(outcome)?;
    let terms = terms(around, wish, outline.kind, private.clone())?;
    let origin = Origin::Object(object.to_owned());
    let prepared = around.host.prepare(&wish.name, bytes, origin, terms).await.map_err(unusable)?;
    let entered = Entered {
        kind: outline.kind,
        name: wish.name.clone(),
        requested: asked.lines(),
        granted: match &wish.permissions {
            Some(given) => given.lines(),
            None => vec!["what the bundled component may".to_owned()],
        },
        private,
    };
    Ok((prepared, entered))
}

/// The values of all Secrets that are needed.
///
/// # Errors
/// One cannot be read, or cannot be in a header.
pub async fn private(around: &Around, wish: &Wish) -> Result<Private, SourceError> {
    let mut values = BTreeMap::new();
    for wanted in wish.secrets() {
        values.insert(wanted.clone(), secret(around, wanted).await?);
    }
    let Some(Permissions { http, secrets, .. }) = &wish.permissions else {
        return Ok(Private::default());
    };
    let mut private = Private::default();
    for grant in http {
        if let (Some(Auth { header, prefix, secret }), WishedServer::At(at)) =
            (&grant.auth, &grant.server)
        {
            let value = String::from_utf8(values[secret].clone()).ok();
            let value = value.map(|value| format!("{prefix}{}", value.trim_end_matches('\n')));
            let value = value.filter(|value| http::HeaderValue::from_str(value).is_ok());
            let value = value.ok_or_else(|| {
                let (name, key) = (&secret.name, &secret.key);
                SourceError::Unavailable(format!(
                    "key {key:?} of Secret {name} is no text for a header"
                ))
            })?;
            let server = server(at)?;
            private.credentials.push(Credential { server, header: header.clone(), value });
        }
    }
    for (alias, secret) in secrets {
        private.secrets.insert(alias.clone(), values[secret].clone());
    }
    Ok(private)
}

fn server(text: &str) -> Result<Server, SourceError> {
    Server::try_from(text.to_owned()).map_err(|error| SourceError::Wrong(error.to_string()))
}

fn terms(around: &Around, wish: &Wish, kind: Kind, private: Private) -> Result<Terms, Outcome> {
    let grants = match (&wish.permissions, &wish.source) {
        (None, _) => Grants::any_server(),
        (Some(given), _) => {
            let http = given.http.iter().map(|grant| {
                let url = match &grant.server {
                    WishedServer::Any => Server::Any,
                    WishedServer::At(at) => server(at).map_err(outcome)?,
                };
                let (methods, insecure) = (grant.methods.clone(), grant.insecure);
                Ok(HttpGrant { url, methods, insecure })
            });
            let secrets = given.secrets.iter().map(|(alias, _)| alias.clone()).collect();
            let kubernetes = given.kubernetes.as_ref();
            let kubernetes =
                kubernetes.map(|all| all.iter().cloned().map(KubernetesGrant).collect());
            Grants { http: http.collect::<Result<_, Outcome>>()?, secrets, kubernetes }
        }
    };
    let usual = Limits::of(kind);
    let own = wish.limits;
    let limits = Limits {
        memory: own.memory.unwrap_or(usual.memory),
        wall: own.wall.unwrap_or(usual.wall),
        cpu: own.cpu.unwrap_or(usual.cpu),
        concurrency: own.concurrency.unwrap_or(usual.concurrency),
        ..usual
    };
    let swap = match (wish.swap, kind) {
        (Some(WishedSwap::Immediate), _) | (None, Kind::Router | Kind::Step | Kind::Notifier) => {
            Swap::Immediate
        }
        (Some(WishedSwap::OnNewRun), _) | (None, Kind::Metric) => Swap::OnNewRun,
    };
    let way = way(around, &wish.egress)?;
    let config = wish.config.clone();
    Ok(Terms { grants: Some(grants), limits: Some(limits), private, swap, way, config })
}

/// The way of its requests, if it is not the usual one.
fn way(around: &Around, egress: &Egress) -> Result<Option<Way>, Outcome> {
    if *egress == Egress::default() {
        return Ok(None);
    }
    let Egress { public_only, proxy, authorities } = egress.clone();
    let way = Way::new(around.bounds.clone(), &Detour { public_only, proxy, authorities });
    way.map(Some).map_err(|error| Outcome::Unusable(format!("spec.egress: {}", words(error))))
}

/// Configurations that are in use, that what is called now finds right, and that this one does
/// not; where and why, a line each.
async fn rehearse(
    around: &Around,
    prepared: &Prepared,
    wish: &Wish,
) -> Result<Vec<String>, Outcome> {
    let kind = prepared.info().kind;
    // How a notifier is configured was looked at when it was compiled, and it is so for everybody.
    if kind == Kind::Notifier {
        return Ok(Vec::new());
    }
    let users = users(around, kind, &wish.name).await.map_err(Outcome::Unavailable)?;
    let mut rehearsed = BTreeSet::new();
    let mut refusals = Vec::new();
    for user in &users {
        if rehearsed.len() >= MOST_REHEARSED || !rehearsed.insert(&user.config) {
            continue;
        }
        let Err(refusal) = around.host.rehearse(prepared, &user.config).await else { continue };
        let current = match kind {
            Kind::Metric => around.host.validate_metric(&wish.name, &user.config).await,
            Kind::Router => around.host.validate_router(&wish.name, &user.config).await,
            Kind::Step => around.host.validate_step(&wish.name, &user.config).await,
            Kind::Notifier => around.host.validate_notifier(&wish.name, &user.config).await,
        };
        // What is wrong for both is no reason against either, and what nothing is there for yet
        // cannot get worse.
        if matches!(current, Err(Fault::InvalidConfig(_) | Fault::Missing { .. })) {
            continue;
        }
        refusals.push(format!("{} {}: {refusal}", user.by, user.field));
    }
    Ok(refusals)
}

/// Who refers to a component, as far as this controller looks. Runs that have ended do not.
///
/// # Errors
/// Something cannot be listed.
pub async fn users(around: &Around, kind: Kind, name: &str) -> Result<Vec<Use>, String> {
    let kinds: &[(&str, &str)] = match kind {
        Kind::Router | Kind::Step | Kind::Notifier => &[("Rollout", "rollouts")],
        Kind::Metric if !around.keeps() => {
            &[("AnalysisTemplate", "analysistemplates"), ("AnalysisRun", "analysisruns")]
        }
        Kind::Metric => &[
            ("AnalysisTemplate", "analysistemplates"),
            ("ClusterAnalysisTemplate", "clusteranalysistemplates"),
            ("AnalysisRun", "analysisruns"),
        ],
    };
    let mut objects = Vec::new();
    for (kind, plural) in kinds {
        let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let list = around.api(&resource).list(&ListParams::default()).await;
        let list = list.map_err(|error| format!("list {plural}: {}", causes(&error)))?;
        objects.extend(list.items.into_iter().filter_map(|object| {
            let mut object = serde_json::to_value(object).ok()?;
            // Items of lists do not say what they are.
            object["kind"] = Value::from(*kind);
            let ended = *kind == "AnalysisRun" && has_ended(&object);
            (!ended).then_some(object)
        }));
    }
    let role = match kind {
        Kind::Metric => Role::Metric,
        Kind::Router => Role::Router,
        Kind::Step => Role::Step,
        Kind::Notifier => Role::Notifier,
    };
    Ok(uses(name, role, &objects))
}
