//! The bundled istio component.
