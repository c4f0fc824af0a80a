//! One routing, from reading to verification; the same in every shell.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::traffic::capability;
use crate::{Change, Components, Fault, ObjectQuery, ObjectRef, Routing, Verification};

/// How often a router may ask for more objects in view of what was found.
const ROUNDS: usize = 4;

/// A result of an access, later.
pub type Access<'a, T> = Pin<Box<dyn Future<Output = Result<T, AccessError>> + Send + 'a>>;

/// Reading and writing the objects that carry a routing, on behalf of one rollout.
pub trait Objects: Send + Sync {
    /// Every object that `query` names, as JSON; none is no error. A query without a namespace is
    /// about the rollout's.
    fn find<'a>(&'a self, query: &'a ObjectQuery) -> Access<'a, Vec<String>>;
    /// Make an object what `object` says. `found` is what was read before: a write is only right
    /// for the version that was read. Answers the object as it is then, and what was done.
    fn put<'a>(&'a self, object: &'a str, found: &'a [String]) -> Access<'a, (String, Written)>;
    /// Which object `object` is, as JSON; `None` if it does not say.
    fn reference(&self, object: &str) -> Option<ObjectRef>;
    /// Remove an object; that it is gone already is no error.
    fn remove<'a>(&'a self, target: &'a ObjectRef) -> Access<'a, Written>;
}

/// One object that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What was done.
    pub how: How,
    /// To which object.
    pub target: ObjectRef,
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It was not there before.
    Created,
    /// It was there, and changed.
    Changed,
    /// It was as wanted.
    Unchanged,
    /// It was removed.
    Removed,
}

/// Why an object could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// The router may not touch this; the text names what is missing.
    NotGranted(String),
    /// It changed since it was read.
    Conflict(String),
    /// The API server refuses the object.
    Invalid(String),
    /// The API server cannot be reached, is overloaded, or failed.
    Unavailable(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(what) => write!(f, "not granted: {what}"),
            Self::Conflict(what) => write!(f, "changed meanwhile: {what}"),
            Self::Invalid(what) => write!(f, "refused by the API server: {what}"),
            Self::Unavailable(what) => write!(f, "API server: {what}"),
        }
    }
}

impl std::error::Error for AccessError {}

/// What became of a routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was written, in order, also when it failed later.
    pub written: Vec<Written>,
    /// How it ended.
    pub result: Result<Verification, Trouble>,
}

/// Why a routing could not be brought to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The component.
    Router(Fault),
    /// The objects.
    Objects(AccessError),
}

impl Trouble {
    /// Whether what the user asked for cannot be done, so that no further try helps until the
    /// user, or an object that the user named, changes.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Router(Fault::InvalidConfig(_) | Fault::Missing { .. }))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router(fault) => fault.fmt(f),
            Self::Objects(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Router(fault)
    }
}

impl From<AccessError> for Trouble {
    fn from(error: AccessError) -> Self {
        Self::Objects(error)
    }
}

/// Read what the router must see, apply what it wants changed in its order, and ask it whether
/// the data plane has taken it up.
pub async fn drive(
    components: &dyn Components,
    objects: &dyn Objects,
    router: &str,
    wanted: &Routing,
) -> Outcome {
    let mut written = Vec::new();
    let result = route(components, objects, router, wanted, &mut written).await;
    Outcome { written, result }
}

async fn route(
    components: &dyn Components,
    objects: &dyn Objects,
    router: &str,
    wanted: &Routing,
    written: &mut Vec<Written>,
) -> Result<Verification, Trouble> {
    able(components, router, wanted)?;
    let mut found = read(components, objects, router, wanted).await?;
    let changes = components.route(router, wanted, &found).await?;
    let changed = !changes.is_empty();
    for change in changes {
        match change {
            Change::Put(object) => written.push(objects.put(&object, &found).await?.1),
            Change::Remove(target) => written.push(objects.remove(&target).await?),
        }
    }
    if changed {
        found = read(components, objects, router, wanted).await?;
    }
    Ok(components.verify(router, wanted, &found).await?)
}

/// Let a router that is in charge no more take back what is its, but for the objects that the
/// routings in force refer to: those have their own say about them. Safe to repeat.
///
/// Answers what was written, and why it could not be brought to its end, if it could not.
pub async fn release(
    components: &dyn Components,
    objects: &dyn Objects,
    (router, last): (&str, &Routing),
    kept: &[(&str, &Routing)],
) -> (Vec<Written>, Result<(), Trouble>) {
    let mut written = Vec::new();
    let result = take_back(components, objects, (router, last), kept, &mut written).await;
    (written, result)
}

async fn take_back(
    components: &dyn Components,
    objects: &dyn Objects,
    (router, last): (&str, &Routing),
    kept: &[(&str, &Routing)],
    written: &mut Vec<Written>,
) -> Result<(), Trouble> {
    let mut in_use = BTreeSet::new();
    for (other, routing) in kept {
        in_use.extend(queried(components, objects, other, routing).await?.1);
    }
    let found = read(components, objects, router, last).await?;
    for change in components.release(router, last, &found).await? {
        let target = match &change {
            Change::Put(object) => objects.reference(object),
            Change::Remove(target) => Some(target.clone()),
        };
        let is_kept = |query: &ObjectQuery| {
            target.as_ref().is_some_and(|target| names(query, target, &last.namespace))
        };
        if in_use.iter().any(is_kept) {
            continue;
        }
        match change {
            Change::Put(object) => written.push(objects.put(&object, &found).await?.1),
            Change::Remove(target) => written.push(objects.remove(&target).await?),
        }
    }
    Ok(())
}

/// Whether a query of a router names the object.
fn names(query: &ObjectQuery, object: &ObjectRef, own: &str) -> bool {
    let of_query = query.namespace.as_deref().unwrap_or(own);
    let of_object = object.namespace.as_deref().filter(|space| !space.is_empty()).unwrap_or(own);
    query.kind == object.kind && query.name.as_ref() == Some(&object.name) && of_query == of_object
}

/// Whether the router lists what the routing needs of it.
fn able(components: &dyn Components, router: &str, wanted: &Routing) -> Result<(), Fault> {
    let needs = [
        (!wanted.header_routes.is_empty(), capability::HEADER_ROUTES, "setHeaderRoute"),
        (!wanted.mirror_routes.is_empty(), capability::MIRROR_ROUTES, "setMirrorRoute"),
        (
            !wanted.additional.is_empty(),
            capability::ADDITIONAL_DESTINATIONS,
            "a weighted experiment template",
        ),
    ];
    let mut needs = needs.into_iter().filter(|(needed, ..)| *needed).peekable();
    if needs.peek().is_none() {
        return Ok(());
    }
    let has = components.capabilities(router)?;
    match needs.find(|(_, name, _)| !has.iter().any(|known| known == name)) {
        None => Ok(()),
        Some((_, name, field)) => Err(Fault::InvalidConfig(format!(
            "the router {router} cannot do {field}: its capabilities are [{}], and {name} is not among them; remove the step, or take another router",
            has.join(", ")
        ))),
    }
}

async fn read(
    components: &dyn Components,
    objects: &dyn Objects,
    router: &str,
    wanted: &Routing,
) -> Result<Vec<String>, Trouble> {
    Ok(queried(components, objects, router, wanted).await?.0)
}

/// What a router must see, and by which queries.
async fn queried(
    components: &dyn Components,
    objects: &dyn Objects,
    router: &str,
    wanted: &Routing,
) -> Result<(Vec<String>, BTreeSet<ObjectQuery>), Trouble> {
    let mut found = Vec::new();
    let mut asked = BTreeSet::new();
    for _ in 0..ROUNDS {
        let queries = components.references(router, wanted, &found).await?;
        let fresh: Vec<_> = queries.into_iter().filter(|query| !asked.contains(query)).collect();
        if fresh.is_empty() {
            break;
        }
        for query in fresh {
            found.extend(objects.find(&query).await?);
            asked.insert(query);
        }
    }
    Ok((found, asked))
}
