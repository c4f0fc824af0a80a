//! Where requests go by the objects that real routers write: what an nginx controller or a mesh
//! would make of them, read here with no help from the routers.

use serde_json::Value;

use crate::plane::Live;
use crate::world::World;

/// Where the requests to this rollout go; `None` while no object says so.
pub fn live(world: &World, namespace: &str, rollout: &Value) -> Option<Live> {
    let routing = rollout.pointer("/spec/strategy/canary/trafficRouting")?;
    let found = nginx(world, namespace, rollout, routing)
        .or_else(|| istio(world, namespace, rollout, routing));
    found.map(|(canary, whole)| Live {
        canary: canary.min(whole),
        whole,
        canary_hash: subset_hash(world, namespace, routing, "canarySubsetName").unwrap_or_default(),
        stable_hash: subset_hash(world, namespace, routing, "stableSubsetName").unwrap_or_default(),
    })
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

/// The weights of the first route that has both sides.
fn istio(world: &World, namespace: &str, rollout: &Value, routing: &Value) -> Option<(u32, u32)> {
    let config = routing.get("istio")?;
    let name = config
        .pointer("/virtualService/name")
        .or_else(|| config.pointer("/virtualServices/0/name"))?
        .as_str()?;
    let service = world.get("VirtualService", namespace, name)?;
    let canary_service =
        rollout.pointer("/spec/strategy/canary/canaryService").and_then(Value::as_str);
    let canary_subset = config.pointer("/destinationRule/canarySubsetName").and_then(Value::as_str);
    let routes =
        ["http", "tls", "tcp"].iter().filter_map(|kind| service.pointer(&format!("/spec/{kind}")));
    let routes = routes.filter_map(Value::as_array).flatten();
    for route in routes {
        let destinations = route.get("route").and_then(Value::as_array).map(Vec::as_slice);
        for destination in destinations.unwrap_or_default() {
            let host = destination.pointer("/destination/host").and_then(Value::as_str);
            let host = host.and_then(|host| host.split('.').next());
            let subset = destination.pointer("/destination/subset").and_then(Value::as_str);
            let is_canary = match canary_subset {
                Some(name) => subset == Some(name),
                None => canary_service.is_some() && host == canary_service,
            };
            if is_canary {
                let weight = destination.get("weight").and_then(Value::as_u64).unwrap_or(0);
                return Some((u32::try_from(weight).unwrap_or(100), 100));
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
