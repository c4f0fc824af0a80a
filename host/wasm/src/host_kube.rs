//! `sluice:host/kubernetes`: linked, so that components which import it load, and denied to all.
//! Routers need none of it: the host reads and writes for them, within their rights.

use crate::bindings::host::sluice::host::kubernetes::{Host, KubeError, ListOptions, PatchType};
use crate::bindings::host::sluice::plugin::types::ObjectRef;
use crate::ctx::Ctx;

impl Ctx {
    fn deny(&mut self, verb: &str, target: &ObjectRef) -> KubeError {
        self.denied += 1;
        let ObjectRef { api_version, kind, .. } = target;
        KubeError::NotGranted(format!("needs a grant to {verb} {kind} of {api_version}"))
    }
}

impl Host for Ctx {
    async fn get(&mut self, target: ObjectRef, _: Vec<String>) -> Result<String, KubeError> {
        Err(self.deny("get", &target))
    }

    async fn find(&mut self, target: ObjectRef, _: ListOptions) -> Result<Vec<String>, KubeError> {
        Err(self.deny("find", &target))
    }

    async fn apply(&mut self, object: String, _: bool) -> Result<String, KubeError> {
        let object: serde_json::Value = serde_json::from_str(&object).unwrap_or_default();
        let text = |field: &str| object[field].as_str().unwrap_or("?").to_owned();
        let target = ObjectRef {
            api_version: text("apiVersion"),
            kind: text("kind"),
            namespace: None,
            name: String::new(),
        };
        Err(self.deny("patch", &target))
    }

    async fn patch(
        &mut self,
        target: ObjectRef,
        _: PatchType,
        _: String,
    ) -> Result<String, KubeError> {
        Err(self.deny("patch", &target))
    }

    async fn remove(&mut self, target: ObjectRef) -> Result<(), KubeError> {
        Err(self.deny("remove", &target))
    }
}
