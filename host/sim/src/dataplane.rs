//! Where requests go by the objects that real routers write: what an nginx controller or a mesh
//! would make of them, read here with no help from the routers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plane::Live;
use crate::world::World;

/// Where the requests to this rollout go, by router; nowhere while no object says so.
pub fn live(world: &World, namespace: &str, rollout: &Value) -> Vec<Live> {
    let Some(routing) = rollout.pointer("/spec/strategy/canary/trafficRouting") else {
        return Vec::new();
    };
    let (stable_service, canary_service) = services(rollout);
    let found = [
        ("nginx", nginx(world, namespace, rollout, routing).map(|(w, all)| (w, all, false))),
        ("istio", istio(world, namespace, &canary_service, routing)),
    ];
    let hash = |which| subset_hash(world, namespace, routing, which).unwrap_or_default();
    let live = found.into_iter().filter_map(|(router, found)| {
        let (canary, whole, special) = found?;
        Some(Live {
            router: router.to_owned(),
            config: String::new(),
            canary_service: canary_service.clone(),
            stable_service: stable_service.clone(),
            special,
            canary: canary.min(whole),
            // What experiments get is not read here.
            extra: BTreeMap::new(),
            whole,
            canary_hash: hash("canarySubsetName"),
            stable_hash: hash("stableSubsetName"),
        })
    });
    live.collect()
}

/// The Services of the stable and the canary side; empty where there are none.
fn services(rollout: &Value) -> (String, String) {
    let named = |pointer: &str| {
        let name = rollout.pointer(&format!("/spec/strategy/canary{pointer}"));
        name.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let pong = rollout.pointer("/status/canary/stablePingPong").and_then(Value::as_str);
    let (ping_service, pong_service) =
        (named("/pingPong/pingService"), named("/pingPong/pongService"));
    match (ping_service.is_empty(), pong) {
        (true, _) => (named("/stableService"), named("/canaryService")),
        (false, Some("pong")) => (pong_service, ping_service),
        (false, _) => (ping_service, pong_service),
    }
}

/// The canary Ingress is the one that sends to the canary's Service and says so.
fn nginx(world: &World, namespace: &str, rollout: &Value, routing: &Value) -> Option<(u32, u32)> {
    let config = routing.get("nginx")?;
    let prefix = config.get("annotationPrefix").and_then(Value::as_str);
    let prefix = prefix.unwrap_or("nginx.ingress.kubernetes.io");
    let owner = rollout.pointer("/metadata/uid")?;
    let ours = |ingress: &Value| ingress.pointer("/metadata/ownerReferences/0/uid") == Some(owner);
    let mut ingresses = world.list("Ingress").filter(|(place, _)| place.1 == namespace);
    let (_, ingress) = ingresses.find(|(_, ingress)| ours(ingress))?;
    let annotation = |name: &str| -> Option<u32> {
        let annotations = ingress.pointer("/metadata/annotations")?;
        annotations.get(format!("{prefix}/{name}"))?.as_str()?.parse().ok()
    };
    Some((
        annotation("canary-weight").unwrap_or(0),
        annotation("canary-weight-total").unwrap_or(100),
    ))
}

/// The weights of the first route that has both sides, and whether there are managed routes.
fn istio(
    world: &World,
    namespace: &str,
    canary_service: &str,
    routing: &Value,
) -> Option<(u32, u32, bool)> {
    let config = routing.get("istio")?;
    let name = config
        .pointer("/virtualService/name")
        .or_else(|| config.pointer("/virtualServices/0/name"))?
        .as_str()?;
    let service = world.get("VirtualService", namespace, name)?;
    let canary_subset = config.pointer("/destinationRule/canarySubsetName").and_then(Value::as_str);
    let routes =
        ["http", "tls", "tcp"].iter().filter_map(|kind| service.pointer(&format!("/spec/{kind}")));
    let routes: Vec<_> = routes.filter_map(Value::as_array).flatten().collect();
    let managed = routing.get("managedRoutes").and_then(Value::as_array);
    let managed = managed.map(Vec::as_slice).unwrap_or_default();
    let is_managed = |route: &Value| {
        managed.iter().any(|one| one.get("name").is_some() && one.get("name") == route.get("name"))
    };
    let special = routes.iter().any(|route| is_managed(route));
    for route in routes.iter().filter(|route| !is_managed(route)) {
        let destinations = route.get("route").and_then(Value::as_array).map(Vec::as_slice);
        for destination in destinations.unwrap_or_default() {
            let host = destination.pointer("/destination/host").and_then(Value::as_str);
            let host = host.and_then(|host| host.split('.').next());
            let subset = destination.pointer("/destination/subset").and_then(Value::as_str);
            let is_canary = match canary_subset {
                Some(name) => subset == Some(name),
                None => !canary_service.is_empty() && host == Some(canary_service),
            };
            if is_canary {
                let weight = destination.get("weight").and_then(Value::as_u64).unwrap_or(0);
                return Some((u32::try_from(weight).unwrap_or(100), 100, special));
            }
        }
    }
    None
}

fn subset_hash(world: &World, namespace: &str, routing: &Value, which: &str) -> Option<String> {
    let config = routing.pointer("/istio/destinationRule")?;
    let rule = world.get("DestinationRule", namespace, config.get("name")?.as_str()?)?;
    let wanted = config.get(which)?;
    let subsets = rule.pointer("/spec/subsets")?.as_array()?;
    let subset = subsets.iter().find(|subset| subset.get("name") == Some(wanted))?;
    Some(subset.pointer("/labels")?.get("rollouts-pod-template-hash")?.as_str()?.to_owned())
}
