//! The bundled components, compiled to WebAssembly and carried as bytes.
