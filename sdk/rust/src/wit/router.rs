//! A traffic router as the host calls it.

use std::marker::PhantomData;

use serde_json::Value;

use super::metric::sluice::plugin::types::{ObjectRef as Place, PluginError};
use super::traffic::exports::sluice::traffic::router::Guest;
use super::traffic::sluice::traffic::types as wire;
use crate::error::{Error, Result};
use crate::traffic::{
    Change, Destination, HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, ObjectQuery, Router,
    Routing, StringMatch, Verification,
};

/// The exports of a component whose router is `R`.
pub struct RouterOf<R>(PhantomData<R>);

impl<R: Router + 'static> Guest for RouterOf<R> {
    fn capabilities() -> Vec<String> {
        R::capabilities().iter().map(|&name| name.to_owned()).collect()
    }

    fn validate(config: String) -> Result<(), PluginError> {
        Ok(R::validate(&crate::parse_config(&config)?)?)
    }

    fn references(
        wanted: wire::Routing,
        found: Vec<String>,
    ) -> Result<Vec<wire::ObjectQuery>, PluginError> {
        let (wanted, config) = open::<R>(wanted)?;
        let queries = R::references(&wanted, &config, &read(&found)?)?;
        Ok(queries.into_iter().map(Into::into).collect())
    }

    fn route(
        wanted: wire::Routing,
        objects: Vec<String>,
    ) -> Result<Vec<wire::Change>, PluginError> {
        let (wanted, config) = open::<R>(wanted)?;
        let changes = R::route(&wanted, &config, &read(&objects)?)?;
        Ok(changes.into_iter().map(Into::into).collect())
    }

    fn verify(
        wanted: wire::Routing,
        objects: Vec<String>,
    ) -> Result<wire::Verification, PluginError> {
        let (wanted, config) = open::<R>(wanted)?;
        Ok(match R::verify(&wanted, &config, &read(&objects)?)? {
            Verification::Converged => wire::Verification::Converged,
            Verification::Pending(why) => wire::Verification::Pending(why),
            Verification::CannotTell => wire::Verification::CannotTell,
        })
    }

    fn release(
        last: wire::Routing,
        objects: Vec<String>,
    ) -> Result<Vec<wire::Change>, PluginError> {
        let (last, config) = open::<R>(last)?;
        let changes = R::release(&last, &config, &read(&objects)?)?;
        Ok(changes.into_iter().map(Into::into).collect())
    }
}

fn read(objects: &[String]) -> Result<Vec<Value>> {
    let broken = |error| Error::failed("bad-object", format!("cannot read an object: {error}"));
    objects.iter().map(|object| serde_json::from_str(object).map_err(broken)).collect()
}

fn open<R: Router>(wanted: wire::Routing) -> Result<(Routing, R::Config)> {
    let config = crate::parse_config(&wanted.config)?;
    let routing = Routing {
        namespace: wanted.namespace,
        rollout: wanted.rollout,
        rollout_uid: wanted.rollout_uid,
        stable: wanted.stable.into(),
        canary: wanted.canary.into(),
        additional: all(wanted.additional),
        total_weight: wanted.total_weight,
        header_routes: all(wanted.header_routes),
        mirror_routes: all(wanted.mirror_routes),
        managed_routes: wanted.managed_routes,
        extensions: serde_json::from_str(&wanted.extensions)?,
    };
    Ok((routing, config))
}

fn all<A, B: From<A>>(from: Vec<A>) -> Vec<B> {
    from.into_iter().map(Into::into).collect()
}

impl From<wire::Destination> for Destination {
    fn from(from: wire::Destination) -> Self {
        Self { service: from.service, pod_hash: from.pod_hash, weight: from.weight }
    }
}

impl From<wire::StringMatch> for StringMatch {
    fn from(from: wire::StringMatch) -> Self {
        match from {
            wire::StringMatch::Exact(text) => Self::Exact(text),
            wire::StringMatch::Prefix(text) => Self::Prefix(text),
            wire::StringMatch::Regex(text) => Self::Regex(text),
        }
    }
}

impl From<wire::HeaderMatch> for HeaderMatch {
    fn from(from: wire::HeaderMatch) -> Self {
        Self { name: from.name, value: from.value.into() }
    }
}

impl From<wire::HeaderRoute> for HeaderRoute {
    fn from(from: wire::HeaderRoute) -> Self {
        Self { name: from.name, headers: all(from.headers) }
    }
}

impl From<wire::MirrorMatch> for MirrorMatch {
    fn from(from: wire::MirrorMatch) -> Self {
        Self {
            method: from.method.map(Into::into),
            path: from.path.map(Into::into),
            headers: all(from.headers),
        }
    }
}

impl From<wire::MirrorRoute> for MirrorRoute {
    fn from(from: wire::MirrorRoute) -> Self {
        Self { name: from.name, matches: all(from.matches), percentage: from.percentage }
    }
}

impl From<ObjectQuery> for wire::ObjectQuery {
    fn from(from: ObjectQuery) -> Self {
        Self {
            api_version: from.api_version,
            kind: from.kind,
            namespace: from.namespace,
            name: from.name,
            label_selector: from.label_selector,
        }
    }
}

impl From<Change> for wire::Change {
    fn from(from: Change) -> Self {
        match from {
            Change::Put(object) => Self::Put(object.to_string()),
            Change::Remove(gone) => Self::Remove(Place {
                api_version: gone.api_version,
                kind: gone.kind,
                namespace: gone.namespace,
                name: gone.name,
            }),
        }
    }
}
