//! The bundled nginx component.
