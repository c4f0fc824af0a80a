//! Which objects a router may touch.
//!
//! A router reads and writes through the host, which asks here first. What nobody said anything
//! about is what every router may: the kinds that carry routings. A list of grants takes the
//! place of that, and an empty one leaves nothing.

use std::fmt;

/// The API groups whose kinds carry routings.
const GROUPS: [&str; 7] = [
    "networking.k8s.io",
    "gateway.networking.k8s.io",
    "traefik.io",
    "split.smi-spec.io",
    "apisix.apache.org",
    "getambassador.io",
    "appmesh.k8s.aws",
];
/// Every group of Istio ends so.
const ISTIO: &str = ".istio.io";

/// What no grant opens, as group and kind, `*` for all of a group: with these a router would raise
/// its own rights, or those of the release that it serves.
const CLOSED: [(&str, &str); 7] = [
    ("", "Secret"),
    ("", "ServiceAccount"),
    ("rbac.authorization.k8s.io", "*"),
    ("admissionregistration.k8s.io", "*"),
    ("apiextensions.k8s.io", "*"),
    ("argoproj.io", "*"),
    ("sluice.dev", "*"),
];

/// Something to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read one by its name.
    Get,
    /// Look for some by their labels.
    Find,
    /// Change one that is there.
    Patch,
    /// Make one that is not there.
    Create,
    /// Remove one.
    Remove,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Find, Self::Patch, Self::Create, Self::Remove];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Find => "find",
            Self::Patch => "patch",
            Self::Create => "create",
            Self::Remove => "remove",
        }
    }

    fn reads(self) -> bool {
        match self {
            Self::Get | Self::Find => true,
            Self::Patch | Self::Create | Self::Remove => false,
        }
    }
}

/// Where objects may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In the rollout's namespace.
    #[default]
    RolloutNamespace,
    /// Also in other namespaces that the rollout's `trafficRouting` names; and those that belong
    /// to no namespace, to be read.
    Cluster,
}

impl Scope {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::RolloutNamespace, Self::Cluster];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::RolloutNamespace => "rollout-namespace",
            Self::Cluster => "cluster",
        }
    }
}

/// Objects that may be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Such as `networking.istio.io/v1`.
    pub api_version: String,
    /// Such as `VirtualService`.
    pub kinds: Vec<String>,
    /// What may be done with them.
    pub verbs: Vec<Verb>,
    /// Where.
    pub scope: Scope,
    /// Only those of these names; none is any.
    pub names: Vec<String>,
}

/// Why a grant is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The member that is wrong.
    pub member: &'static str,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.member, self.why)
    }
}

impl std::error::Error for Wrong {}

/// A grant as it is written, before anything of it is understood.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// `apiVersion`.
    pub api_version: &'a str,
    /// `kinds`.
    pub kinds: &'a [String],
    /// `verbs`.
    pub verbs: &'a [String],
    /// `scope`, if there is one.
    pub scope: Option<&'a str>,
    /// `names`; absent is any, and an empty list is a mistake.
    pub names: Option<&'a [String]>,
}

impl Grant {
    /// Understand one.
    ///
    /// # Errors
    /// The first member that is wrong, with what would be right.
    pub fn read(written: Written<'_>) -> Result<Self, Wrong> {
        let wrong = |member, why: String| Err(Wrong { member, why });
        let Written { api_version, kinds, verbs, scope, names } = written;
        if api_version.is_empty() || api_version.contains('*') {
            return wrong("apiVersion", "write one, such as networking.istio.io/v1".to_owned());
        }
        let vague = |texts: &[String]| {
            texts.is_empty() || texts.iter().any(|text| text.is_empty() || text.contains('*'))
        };
        if vague(kinds) {
            return wrong("kinds", "write at least one, each in full".to_owned());
        }
        if let Some(kind) = kinds.iter().find(|kind| is_closed(api_version, kind)) {
            let hint = match kind.as_str() {
                "Secret" => "; a secret is granted by its alias, under secrets",
                _ => "",
            };
            return wrong("kinds", format!("no router is given {kind} of {api_version}{hint}"));
        }
        let mut understood = Vec::new();
        for text in verbs {
            match Verb::ALL.into_iter().find(|verb| verb.name() == text) {
                Some(verb) => understood.push(verb),
                None => {
                    let all = Verb::ALL.map(Verb::name).join(", ");
                    return wrong("verbs", format!("{text:?} is none; there are {all}"));
                }
            }
        }
        if understood.is_empty() {
            let all = Verb::ALL.map(Verb::name).join(", ");
            return wrong("verbs", format!("write at least one of {all}"));
        }
        let scope = match scope {
            None => Scope::default(),
            Some(text) => match Scope::ALL.into_iter().find(|scope| scope.name() == text) {
                Some(scope) => scope,
                None => {
                    let all = Scope::ALL.map(Scope::name).join(" and ");
                    return wrong("scope", format!("{text:?} is none; there are {all}"));
                }
            },
        };
        if names.is_some_and(vague) {
            return wrong("names", "write at least one in full, or leave it out".to_owned());
        }
        Ok(Self {
            api_version: api_version.to_owned(),
            kinds: kinds.to_vec(),
            verbs: understood,
            scope,
            names: names.unwrap_or_default().to_vec(),
        })
    }

    fn covers(&self, touch: &Touch<'_>) -> bool {
        let place = match (touch.place, self.scope) {
            (Place::Home, _) | (Place::Elsewhere, Scope::Cluster) => true,
            (Place::Nowhere, Scope::Cluster) => touch.verb.reads(),
            (Place::Elsewhere | Place::Nowhere, Scope::RolloutNamespace) => false,
        };
        let named = |name: &str| self.names.is_empty() || self.names.iter().any(|one| one == name);
        place
            && self.api_version == touch.api_version
            && self.kinds.iter().any(|kind| kind == touch.kind)
            && self.verbs.contains(&touch.verb)
            && touch.name.is_none_or(named)
    }
}

/// In one line, for people.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs: Vec<_> = self.verbs.iter().map(|verb| verb.name()).collect();
        write!(f, "{} of {}: {}", self.kinds.join(", "), self.api_version, verbs.join(", "))?;
        if !self.names.is_empty() {
            write!(f, ", only {}", self.names.join(", "))?;
        }
        match self.scope {
            Scope::RolloutNamespace => f.write_str(", in the rollout's namespace"),
            Scope::Cluster => f.write_str(", in every namespace that trafficRouting names"),
        }
    }
}

/// Where an object is, as seen from a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its namespace.
    Home,
    /// In another one.
    Elsewhere,
    /// It belongs to no namespace.
    Nowhere,
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch<'a> {
    /// What is to be done.
    pub verb: Verb,
    /// With objects of this version.
    pub api_version: &'a str,
    /// And this kind.
    pub kind: &'a str,
    /// With the one of this name; none is whatever is found.
    pub name: Option<&'a str>,
    /// Where.
    pub place: Place,
}

/// What a router may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rights {
    /// What every router may that nobody said anything about: kinds that carry routings, in the
    /// rollout's namespace and those that its `trafficRouting` names.
    #[default]
    Usual,
    /// This and nothing else.
    Granted(Vec<Grant>),
}

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self::Granted(Vec::new());

    /// Whether an access is right.
    ///
    /// # Errors
    /// What the router may not, and why, or which grant is missing; it follows "may not".
    pub fn admit(&self, touch: &Touch<'_>) -> Result<(), String> {
        let Touch { verb, api_version, kind, name, place } = *touch;
        if is_closed(api_version, kind) {
            return Err(format!("touch {kind} of {api_version}: no router is given that"));
        }
        match self {
            Self::Usual if !carries_routing(api_version) => {
                Err(format!("touch {kind} of {api_version}: it carries no routing"))
            }
            Self::Usual if place == Place::Nowhere => {
                // What is the whole cluster's would be shared by rollouts of all namespaces.
                Err(format!("touch {kind}: it belongs to no namespace"))
            }
            Self::Usual => Ok(()),
            Self::Granted(grants) if grants.iter().any(|grant| grant.covers(touch)) => Ok(()),
            Self::Granted(_) if place == Place::Nowhere && !verb.reads() => {
                Err(format!("{} {kind}: it belongs to no namespace", verb.name()))
            }
            Self::Granted(_) => {
                let scope = match place {
                    Place::Home => "",
                    Place::Elsewhere | Place::Nowhere => r#", "scope": "cluster""#,
                };
                let one = name.map(|name| format!(" {name}")).unwrap_or_default();
                let verb = verb.name();
                Err(format!(
                    "{verb} {kind}{one} of {api_version}: it needs the grant {{\"apiVersion\": \
                     \"{api_version}\", \"kinds\": [\"{kind}\"], \"verbs\": [\"{verb}\"]{scope}}}"
                ))
            }
        }
    }

    /// Whether all that a grant opens is open.
    pub fn include(&self, asked: &Grant) -> bool {
        let place = match asked.scope {
            Scope::RolloutNamespace => Place::Home,
            Scope::Cluster => Place::Elsewhere,
        };
        let each_verb = |kind: &str, verb: Verb| {
            let touch = |name| Touch { verb, api_version: &asked.api_version, kind, name, place };
            match (asked.names.as_slice(), self) {
                ([], Self::Usual) => self.admit(&touch(None)).is_ok(),
                // Whoever asks for any name needs a grant for any name.
                ([], Self::Granted(grants)) => {
                    let any = |grant: &&Grant| grant.names.is_empty();
                    grants.iter().filter(any).any(|grant| grant.covers(&touch(None)))
                }
                (names, _) => names.iter().all(|name| self.admit(&touch(Some(name))).is_ok()),
            }
        };
        let each_kind = |kind: &String| asked.verbs.iter().all(|verb| each_verb(kind, *verb));
        asked.kinds.iter().all(each_kind)
    }
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn carries_routing(api_version: &str) -> bool {
    let group = group(api_version);
    GROUPS.contains(&group) || group.ends_with(ISTIO)
}

fn is_closed(api_version: &str, kind: &str) -> bool {
    let group = group(api_version);
    CLOSED.iter().any(|(one, of)| *one == group && (*of == "*" || *of == kind))
}

#[cfg(test)]
mod tests;
