//! The interfaces in `wit/`, and what lies between them and the SDK's own types. Only a component
//! has this module.

mod convert;
mod notifiers;
mod provider;
mod router;
mod steps;

/// The world of metric providers.
#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated")]
pub mod metric {
    wit_bindgen::generate!({
        path: "wit",
        world: "sluice:metric/metric-provider",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_metric_provider",
    });
}

/// The world of traffic routers.
#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated")]
pub mod traffic {
    wit_bindgen::generate!({
        path: "wit",
        world: "sluice:traffic/traffic-router",
        with: {
            "sluice:host/log@0.1.0": crate::wit::metric::sluice::host::log,
            "sluice:plugin/types@0.1.0": crate::wit::metric::sluice::plugin::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_traffic_router",
    });
}

/// The world of steps.
#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated")]
pub mod step {
    wit_bindgen::generate!({
        path: "wit",
        world: "sluice:step/step-plugin",
        with: {
            "sluice:host/http@0.1.0": crate::wit::metric::sluice::host::http,
            "sluice:host/kubernetes@0.1.0": crate::wit::metric::sluice::host::kubernetes,
            "sluice:host/log@0.1.0": crate::wit::metric::sluice::host::log,
            "sluice:host/secrets@0.1.0": crate::wit::metric::sluice::host::secrets,
            "sluice:plugin/types@0.1.0": crate::wit::metric::sluice::plugin::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_step",
    });
}

/// The world of notifiers.
#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated")]
pub mod notifier {
    wit_bindgen::generate!({
        path: "wit",
        world: "sluice:notifier/notifier",
        with: {
            "sluice:host/http@0.1.0": crate::wit::metric::sluice::host::http,
            "sluice:host/kubernetes@0.1.0": crate::wit::metric::sluice::host::kubernetes,
            "sluice:host/log@0.1.0": crate::wit::metric::sluice::host::log,
            "sluice:host/secrets@0.1.0": crate::wit::metric::sluice::host::secrets,
            "sluice:plugin/types@0.1.0": crate::wit::metric::sluice::plugin::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_notifier",
    });
}

pub use notifiers::NotifierOf;
pub use provider::ProviderOf;
pub use router::RouterOf;
pub use steps::StepOf;

/// What the host does for a plugin.
pub(crate) mod calls {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::metric::sluice::host;
    use crate::http::{HttpError, Request, Response};
    use crate::log::Level;
    use crate::secrets::SecretError;

    pub(crate) fn send(request: &Request) -> Result<Response, HttpError> {
        host::http::send(&request.clone().into()).map(Into::into).map_err(Into::into)
    }

    pub(crate) fn secret(alias: &str) -> Result<Vec<u8>, SecretError> {
        host::secrets::get(alias).map_err(Into::into)
    }

    pub(crate) fn enabled(level: Level) -> bool {
        host::log::enabled(level.into())
    }

    pub(crate) fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        host::log::write(level.into(), message, &fields);
    }

    pub(crate) fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    pub(crate) fn now_ms() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
