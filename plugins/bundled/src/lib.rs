//! The bundled components, compiled to WebAssembly and carried as bytes.

/// A component that comes with the controller.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The name that it is installed by, which is that of the provider or router in the API.
    pub name: &'static str,
    /// The component's binary.
    pub bytes: &'static [u8],
}

/// Every component that comes with the controller.
pub const BUNDLED: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
