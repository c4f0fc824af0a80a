//! A router that is in charge no more takes back what is its, and nothing that others use.

#![expect(clippy::panic, reason = "a call that must not come ends the test")]

use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use sluice_port::drive::{Access, How, Objects, Trouble, Written, release};
use sluice_port::{
    Answer, Change, Components, Fault, Measurement, MetricCall, ObjectQuery, ObjectRef, Routing,
    Verification,
};

/// Routers that refer to the Ingress of their configuration, and remove it with one of their own.
struct Ingresses;

fn ready<'a, T: Send + 'a>(value: Result<T, Fault>) -> Answer<'a, T> {
    Box::pin(std::future::ready(value))
}

fn ingress(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "networking.k8s.io/v1".to_owned(),
        kind: "Ingress".to_owned(),
        namespace: None,
        name: name.to_owned(),
    }
}

impl Components for Ingresses {
    fn measure<'a>(&'a self, _: &'a str, _: &'a MetricCall) -> Answer<'a, Measurement> {
        panic!("nothing is measured")
    }

    fn resume<'a>(&'a self, _: &'a str, _: &'a MetricCall, _: &'a str) -> Answer<'a, Measurement> {
        panic!("nothing is measured")
    }

    fn terminate<'a>(&'a self, _: &'a str, _: &'a MetricCall, _: &'a str) -> Answer<'a, ()> {
        panic!("nothing is measured")
    }

    fn validate_metric<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        panic!("nothing is measured")
    }

    fn capabilities(&self, _: &str) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    fn validate_router<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        ready(Ok(()))
    }

    fn references<'a>(
        &'a self,
        _: &'a str,
        wanted: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Vec<ObjectQuery>> {
        let ObjectRef { api_version, kind, namespace, name } = ingress(&wanted.config);
        let (name, label_selector) = (Some(name), None);
        ready(Ok(vec![ObjectQuery { api_version, kind, namespace, name, label_selector }]))
    }

    fn route<'a>(&'a self, _: &'a str, _: &'a Routing, _: &'a [String]) -> Answer<'a, Vec<Change>> {
        panic!("nobody is asked to route")
    }

    fn verify<'a>(
        &'a self,
        _: &'a str,
        _: &'a Routing,
        _: &'a [String],
    ) -> Answer<'a, Verification> {
        panic!("nobody is asked to route")
    }

    fn release<'a>(
        &'a self,
        router: &'a str,
        last: &'a Routing,
        objects: &'a [String],
    ) -> Answer<'a, Vec<Change>> {
        assert_eq!(objects, [last.config.as_str()], "it sees what it refers to");
        if router == "broken" {
            return ready(Err(Fault::Malformed("no list".to_owned())));
        }
        let all = [last.config.as_str(), "own"];
        ready(Ok(all.map(|name| Change::Remove(ingress(name))).to_vec()))
    }
}

#[derive(Default)]
struct Removed(Mutex<Vec<String>>);

impl Objects for Removed {
    fn find<'a>(&'a self, query: &'a ObjectQuery) -> Access<'a, Vec<String>> {
        Box::pin(std::future::ready(Ok(query.name.iter().cloned().collect())))
    }

    fn put<'a>(&'a self, _: &'a str, _: &'a [String]) -> Access<'a, (String, Written)> {
        panic!("nothing is put")
    }

    fn reference(&self, _: &str) -> Option<ObjectRef> {
        panic!("nothing is put")
    }

    fn remove<'a>(&'a self, target: &'a ObjectRef) -> Access<'a, Written> {
        if let Ok(mut removed) = self.0.lock() {
            removed.push(target.name.clone());
        }
        let written = Written { how: How::Removed, target: target.clone() };
        Box::pin(std::future::ready(Ok(written)))
    }
}

/// What is removed when `router` lets go, while another has the Ingress `kept`.
fn removed(router: &str, kept: &str) -> (Vec<String>, Result<(), Trouble>) {
    let of = |name: &str| Routing { config: name.to_owned(), ..Routing::default() };
    let (objects, last, other) = (Removed::default(), of("shared"), of(kept));
    let others = [("other", &other)];
    let mut future = pin!(release(&Ingresses, &objects, (router, &last), &others));
    let Poll::Ready((_, result)) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("everything answers at once")
    };
    (objects.0.lock().map(|removed| removed.clone()).unwrap_or_default(), result)
}

#[test]
fn objects_that_are_still_in_use_are_left_alone() {
    assert_eq!(removed("former", "shared"), (vec!["own".to_owned()], Ok(())));
    let both = vec!["shared".to_owned(), "own".to_owned()];
    assert_eq!(removed("former", "other"), (both, Ok(())));
}

#[test]
fn a_router_that_fails_changes_nothing() {
    let (removed, result) = removed("broken", "other");
    assert!(removed.is_empty());
    assert_eq!(result, Err(Trouble::Router(Fault::Malformed("no list".to_owned()))));
}
