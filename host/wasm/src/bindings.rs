//! What the WebAssembly interfaces are in Rust. Generated; nothing outside this crate sees it.

pub mod host {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "sluice:host/imports",
        imports: { default: async },
    });
}

/// A draft that never became more, as it was when runtimes took it up.
pub mod logging {
    wasmtime::component::bindgen!({
        inline: "
            package wasi:logging@0.1.0-draft;

            interface logging {
                enum level { trace, debug, info, warn, error, critical }
                log: func(level: level, context: string, message: string);
            }

            world imports {
                import logging;
            }
        ",
        world: "wasi:logging/imports",
    });
}

pub mod metric {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "sluice:metric/metric-provider",
        imports: { default: async },
        exports: { default: async },
        with: {
            "sluice:plugin/types@0.1.0": crate::bindings::host::sluice::plugin::types,
            "sluice:host/kubernetes@0.1.0": crate::bindings::host::sluice::host::kubernetes,
            "sluice:host/http@0.1.0": crate::bindings::host::sluice::host::http,
            "sluice:host/secrets@0.1.0": crate::bindings::host::sluice::host::secrets,
            "sluice:host/log@0.1.0": crate::bindings::host::sluice::host::log,
        },
    });
}

pub mod notifier {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "sluice:notifier/notifier",
        imports: { default: async },
        exports: { default: async },
        with: {
            "sluice:plugin/types@0.1.0": crate::bindings::host::sluice::plugin::types,
            "sluice:host/kubernetes@0.1.0": crate::bindings::host::sluice::host::kubernetes,
            "sluice:host/http@0.1.0": crate::bindings::host::sluice::host::http,
            "sluice:host/secrets@0.1.0": crate::bindings::host::sluice::host::secrets,
            "sluice:host/log@0.1.0": crate::bindings::host::sluice::host::log,
        },
    });
}

pub mod step {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "sluice:step/step-plugin",
        imports: { default: async },
        exports: { default: async },
        with: {
            "sluice:plugin/types@0.1.0": crate::bindings::host::sluice::plugin::types,
            "sluice:host/kubernetes@0.1.0": crate::bindings::host::sluice::host::kubernetes,
            "sluice:host/http@0.1.0": crate::bindings::host::sluice::host::http,
            "sluice:host/secrets@0.1.0": crate::bindings::host::sluice::host::secrets,
            "sluice:host/log@0.1.0": crate::bindings::host::sluice::host::log,
        },
    });
}

pub mod traffic {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "sluice:traffic/traffic-router",
        imports: { default: async },
        exports: { default: async },
        with: {
            "sluice:plugin/types@0.1.0": crate::bindings::host::sluice::plugin::types,
            "sluice:host/log@0.1.0": crate::bindings::host::sluice::host::log,
        },
    });
}
