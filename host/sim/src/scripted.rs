//! Real components, but for the steps that a scenario plays itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluice_port::{
    Answer, Change, Components, Fault, Measurement, MetricCall, ObjectQuery, Rights, Routing,
    StepAnswer, StepCall, Verification,
};

use crate::plane::Plane;

/// Components of which some are played.
pub struct Scripted {
    /// Those that are not.
    pub components: Arc<dyn Components>,
    /// Who plays the others.
    pub plane: Arc<Plane>,
    /// The names of the steps that are played.
    pub names: BTreeSet<String>,
}

impl Scripted {
    fn of_step(&self, step: &str) -> &dyn Components {
        if self.names.contains(step) { &*self.plane } else { &*self.components }
    }
}

impl Components for Scripted {
    fn measure<'a>(&'a self, provider: &'a str, call: &'a MetricCall) -> Answer<'a, Measurement> {
        self.components.measure(provider, call)
    }

    fn resume<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, Measurement> {
        self.components.resume(provider, call, token)
    }

    fn terminate<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, ()> {
        self.components.terminate(provider, call, token)
    }

    fn validate_metric<'a>(&'a self, provider: &'a str, config: &'a str) -> Answer<'a, ()> {
        self.components.validate_metric(provider, config)
    }

    fn capabilities(&self, router: &str) -> Result<Vec<String>, Fault> {
        self.components.capabilities(router)
    }

    fn rights(&self, router: &str) -> Rights {
        self.components.rights(router)
    }

    fn validate_router<'a>(&'a self, router: &'a str, config: &'a str) -> Answer<'a, ()> {
        self.components.validate_router(router, config)
    }

    fn references<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        found: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        self.components.references(router, wanted, found)
    }

    fn route<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        self.components.route(router, wanted, objects)
    }

    fn verify<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Verification> {
        self.components.verify(router, wanted, objects)
    }

    fn release<'a>(
        &'a self,
        router: &'a str,
        last: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        self.components.release(router, last, objects)
    }

    fn validate_step<'a>(&'a self, step: &'a str, config: &'a str) -> Answer<'a, ()> {
        self.of_step(step).validate_step(step, config)
    }

    fn run_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, StepAnswer> {
        self.of_step(step).run_step(step, call)
    }

    fn terminate_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, ()> {
        self.of_step(step).terminate_step(step, call)
    }

    fn abort_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, ()> {
        self.of_step(step).abort_step(step, call)
    }
}
