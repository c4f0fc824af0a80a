//! Moves weights between the backends of a WeightedRoute.

use sluice_sdk::{Deserialize, Value, json, traffic::*};

const API_VERSION: &str = "gateway.example.com/v1";
const KIND: &str = "WeightedRoute";

/// What a user writes under the plugin's name in a rollout's `trafficRouting.plugins`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The name of the WeightedRoute, in the rollout's namespace.
    route: String,
}

struct Plugin;

impl Router for Plugin {
    type Config = Config;

    fn capabilities() -> &'static [&'static str] {
        &[capability::VERIFY]
    }

    fn validate(config: &Config) -> Result<()> {
        match config.route.is_empty() {
            true => Err(Error::invalid_config("route: must be the name of a WeightedRoute")),
            false => Ok(()),
        }
    }

    fn references(_: &Routing, config: &Config, _: &[Value]) -> Result<Vec<ObjectQuery>> {
        Ok(vec![ObjectQuery::named(API_VERSION, KIND, &config.route)])
    }

    fn route(wanted: &Routing, config: &Config, objects: &[Value]) -> Result<Vec<Change>> {
        let route = one(config, objects)?;
        let mut changed = route.clone();
        for side in [&wanted.stable, &wanted.canary] {
            let backend = backend(&mut changed, config, &side.service)?;
            backend["weight"] = json!(side.weight);
        }
        Ok(if changed == *route { Vec::new() } else { vec![Change::Put(changed)] })
    }

    fn verify(wanted: &Routing, config: &Config, objects: &[Value]) -> Result<Verification> {
        if !Self::route(wanted, config, objects)?.is_empty() {
            return Ok(Verification::Pending(format!("{KIND} {} has other weights", config.route)));
        }
        // The gateway says for which generation of the object its status is.
        let route = one(config, objects)?;
        let seen = &route["status"]["observedGeneration"];
        Ok(match *seen == route["metadata"]["generation"] {
            true => Verification::Converged,
            false => Verification::Pending("the gateway has not read the weights yet".to_owned()),
        })
    }

    fn release(last: &Routing, config: &Config, objects: &[Value]) -> Result<Vec<Change>> {
        // A route that is gone has nothing of the rollout's left in it.
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let mut stable = last.clone();
        stable.stable.weight = last.total_weight;
        stable.canary.weight = 0;
        Self::route(&stable, config, objects)
    }
}

fn one<'a>(config: &Config, objects: &'a [Value]) -> Result<&'a Value> {
    let missing = || Error::invalid_config(format!("route: there is no {KIND} {}", config.route));
    objects.first().ok_or_else(missing)
}

fn backend<'a>(route: &'a mut Value, config: &Config, service: &str) -> Result<&'a mut Value> {
    let backends = route["spec"]["backends"].as_array_mut();
    let found = backends.and_then(|all| all.iter_mut().find(|one| one["service"] == service));
    found.ok_or_else(|| {
        let route = &config.route;
        Error::invalid_config(format!("route: {KIND} {route} has no backend {service:?}"))
    })
}

sluice_sdk::export_traffic_router!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_must_be_named() {
        let nameless = Plugin::validate(&Config { route: String::new() });
        assert!(matches!(nameless, Err(Error::InvalidConfig(_))));
    }
}
