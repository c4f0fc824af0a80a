//! The host as the rest of the program sees it.

use sluice_port::{
    Answer, Change, Components, Delivery, Fault, Measurement, MetricCall, Notice, ObjectQuery,
    Rights, Routing, StepAnswer, StepCall, Verification,
};

use crate::call::For::{Validation, Work};
use crate::host::ComponentHost;
use crate::limits::Kind;
use crate::{metric, step, traffic};

impl Components for ComponentHost {
    fn measure<'a>(&'a self, provider: &'a str, call: &'a MetricCall) -> Answer<'a, Measurement> {
        Box::pin(async move {
            let context = metric::context(call);
            let act = async |guest: &Provider, store: &mut Store| {
                guest.call_run(&mut *store, &context).await
            };
            self.measured(provider, call, act).await
        })
    }

    fn resume<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, Measurement> {
        Box::pin(async move {
            let (context, token) = (metric::context(call), token.to_owned());
            let act = async |guest: &Provider, store: &mut Store| {
                guest.call_resume(&mut *store, &context, &token).await
            };
            self.measured(provider, call, act).await
        })
    }

    fn terminate<'a>(
        &'a self,
        provider: &'a str,
        call: &'a MetricCall,
        token: &'a str,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let (context, token) = (metric::context(call), token.to_owned());
            let act = async |guest: &Provider, store: &mut Store| {
                guest.call_terminate(&mut *store, &context, &token).await
            };
            let generation = self.provider_of(provider, call).await?;
            self.provider(generation, Work, act, Ok).await
        })
    }

    fn validate_metric<'a>(&'a self, provider: &'a str, config: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = config.to_owned();
            let act = async |guest: &Provider, store: &mut Store| {
                guest.call_validate(&mut *store, &config).await
            };
            let generation = self.current(Kind::Metric, provider)?;
            self.provider(generation, Validation, act, Ok).await
        })
    }

    fn capabilities(&self, router: &str) -> Result<Vec<String>, Fault> {
        Ok(self.current(Kind::Router, router)?.capabilities.clone())
    }

    fn rights(&self, router: &str) -> Rights {
        // Who is not there is asked nothing, and has no right to anything.
        let current = self.current(Kind::Router, router);
        current.map_or(Rights::NONE, |generation| generation.grants.rights())
    }

    fn validate_router<'a>(&'a self, router: &'a str, config: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = config.to_owned();
            let act = async |guest: &Router, store: &mut Store| {
                guest.call_validate(&mut *store, &config).await
            };
            self.router(router, Validation, act, Ok).await
        })
    }

    fn references<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        found: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        Box::pin(async move {
            let wanted = traffic::routing(wanted);
            let act = async |guest: &Router, store: &mut Store| {
                guest.call_references(&mut *store, &wanted, found).await
            };
            self.router(router, Work, act, traffic::queries).await
        })
    }

    fn route<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        Box::pin(async move {
            let wanted = traffic::routing(wanted);
            let act = async |guest: &Router, store: &mut Store| {
                guest.call_route(&mut *store, &wanted, objects).await
            };
            self.router(router, Work, act, traffic::changes).await
        })
    }

    fn verify<'a>(
        &'a self,
        router: &'a str,
        wanted: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Verification> {
        Box::pin(async move {
            let wanted = traffic::routing(wanted);
            let act = async |guest: &Router, store: &mut Store| {
                guest.call_verify(&mut *store, &wanted, objects).await
            };
            self.router(router, Work, act, traffic::verification).await
        })
    }

    fn release<'a>(
        &'a self,
        router: &'a str,
        last: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        Box::pin(async move {
            let last = traffic::routing(last);
            let act = async |guest: &Router, store: &mut Store| {
                guest.call_release(&mut *store, &last, objects).await
            };
            self.router(router, Work, act, traffic::changes).await
        })
    }

    fn validate_step<'a>(&'a self, step: &'a str, config: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = config.to_owned();
            let act = async |guest: &Step, store: &mut Store| {
                guest.call_validate(&mut *store, &config).await
            };
            self.step(step, Validation, act, Ok).await
        })
    }

    fn run_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, StepAnswer> {
        Box::pin(async move {
            let context = step::context(call);
            let act =
                async |guest: &Step, store: &mut Store| guest.call_run(&mut *store, &context).await;
            self.step(step, Work, act, step::answer).await
        })
    }

    fn terminate_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, ()> {
        Box::pin(async move {
            let context = step::context(call);
            let act = async |guest: &Step, store: &mut Store| {
                guest.call_terminate(&mut *store, &context).await
            };
            self.step(step, Work, act, Ok).await
        })
    }

    fn abort_step<'a>(&'a self, step: &'a str, call: &'a StepCall) -> Answer<'a, ()> {
        Box::pin(async move {
            let context = step::context(call);
            let act = async |guest: &Step, store: &mut Store| {
                guest.call_abort(&mut *store, &context).await
            };
            self.step(step, Work, act, Ok).await
        })
    }

    fn deliver<'a>(&'a self, notifier: &'a str, notice: &'a Notice) -> Answer<'a, Delivery> {
        Box::pin(self.deliver_with(notifier, None, notice))
    }
}

type Provider = crate::bindings::metric::exports::sluice::metric::provider::Guest;
type Router = crate::bindings::traffic::exports::sluice::traffic::router::Guest;
type Step = crate::bindings::step::exports::sluice::step::step::Guest;
type Store = wasmtime::Store<crate::ctx::Ctx>;
