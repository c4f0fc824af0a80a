//! What makes a struct a kind of the API.

/// The `apiVersion` of `K`, for objects that were read without one.
pub(crate) fn api_version<K: k8s_openapi::Resource>() -> String {
    K::API_VERSION.to_owned()
}

/// The `kind` of `K`, for objects that were read without one.
pub(crate) fn kind<K: k8s_openapi::Resource>() -> String {
    K::KIND.to_owned()
}

/// Implements the traits that clients expect of a kind. `Default` names the kind, so that an
/// object made from it can be sent as it is.
macro_rules! resource {
    ($kind:ident, $group:literal, $plural:literal, $scope:ident { $($field:ident),* }) => {
        impl k8s_openapi::Resource for $kind {
            const API_VERSION: &'static str = concat!($group, "/v1alpha1");
            const GROUP: &'static str = $group;
            const KIND: &'static str = stringify!($kind);
            const VERSION: &'static str = "v1alpha1";
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = k8s_openapi::$scope;
        }

        impl k8s_openapi::Metadata for $kind {
            type Ty = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

            fn metadata(&self) -> &Self::Ty {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut Self::Ty {
                &mut self.metadata
            }
        }

        impl Default for $kind {
            fn default() -> Self {
                Self {
                    api_version: $crate::resource::api_version::<Self>(),
                    kind: $crate::resource::kind::<Self>(),
                    metadata: Default::default(),
                    $($field: Default::default(),)*
                }
            }
        }
    };
}

pub(crate) use resource;
