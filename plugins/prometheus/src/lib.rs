//! The bundled prometheus component.
