//! A routing that needs what a router cannot do is refused before anything is read or written.

#![expect(clippy::panic, reason = "a call that must not come ends the test")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sluice_port::drive::{Access, Objects, Trouble, Written, drive};
use sluice_port::traffic::{HeaderRoute, MirrorRoute};
use sluice_port::{
    Answer, Change, Components, Fault, Measurement, MetricCall, ObjectQuery, ObjectRef, Routing,
    Verification,
};

/// One router that lists these abilities and wants no change.
struct Only(&'static [&'static str]);

fn ready<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Components for Only {
    fn measure<'a>(&'a self, _: &'a str, _: &'a MetricCall) -> Answer<'a, Measurement> {
        panic!("nothing is measured")
    }

    fn resume<'a>(&'a self, _: &'a str, _: &'a MetricCall, _: &'a str) -> Answer<'a, Measurement> {
        panic!("nothing is measured")
    }

    fn terminate<'a>(&'a self, _: &'a str, _: &'a MetricCall, _: &'a str) -> Answer<'a, ()> {
        ready(())
    }

    fn validate_metric<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        ready(())
    }

    fn capabilities(&self, _: &str) -> Result<Vec<String>, Fault> {
        Ok(self.0.iter().map(|name| (*name).to_owned()).collect())
    }

    fn validate_router<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        ready(())
    }

    fn references<'a>(
        &'a self,
        _: &'a str,
        _: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        ready(Vec::new())
    }

    fn route<'a>(&'a self, _: &'a str, _: &'a Routing, _: &'a [String]) -> Answer<'a, Vec<Change>> {
        ready(Vec::new())
    }

    fn verify<'a>(
        &'a self,
        _: &'a str,
        _: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Verification> {
        ready(Verification::Converged)
    }

    fn release<'a>(
        &'a self,
        _: &'a str,
        _: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        ready(Vec::new())
    }
}

struct Untouched;

impl Objects for Untouched {
    fn find<'a>(&'a self, _: &'a ObjectQuery) -> Access<'a, Vec<String>> {
        panic!("nothing is read")
    }

    fn put<'a>(&'a self, _: &'a str, _: &'a [String]) -> Access<'a, (String, Written)> {
        panic!("nothing is written")
    }

    fn reference(&self, _: &str) -> Option<ObjectRef> {
        panic!("nothing is changed")
    }

    fn remove<'a>(&'a self, _: &'a ObjectRef) -> Access<'a, Written> {
        panic!("nothing is removed")
    }
}

fn outcome(abilities: &'static [&'static str], wanted: &Routing) -> Result<Verification, Trouble> {
    let components = Only(abilities);
    let mut future = pin!(drive(&components, &Untouched, "mesh", wanted));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.result,
        Poll::Pending => panic!("everything answers at once"),
    }
}

#[test]
fn a_router_is_asked_for_what_it_lists_and_for_nothing_else() {
    let plain = Routing::default();
    assert_eq!(outcome(&[], &plain), Ok(Verification::Converged));
    let header = HeaderRoute { name: "beta".to_owned(), headers: Vec::new() };
    let mirror = MirrorRoute { name: "beta".to_owned(), matches: Vec::new(), percentage: 1 };
    let headers = Routing { header_routes: vec![header], ..plain.clone() };
    let mirrors = Routing { mirror_routes: vec![mirror], ..plain };
    assert_eq!(outcome(&["header-routes"], &headers), Ok(Verification::Converged));
    for (abilities, wanted, field) in
        [(&[][..], &headers, "setHeaderRoute"), (&["header-routes"], &mirrors, "setMirrorRoute")]
    {
        let Err(Trouble::Router(Fault::InvalidConfig(why))) = outcome(abilities, wanted) else {
            panic!("{field} is taken");
        };
        assert!(why.contains("mesh") && why.contains(field), "{why}");
    }
}
