//! Files that were cut off or changed: each is refused with a reason, or is a component that is
//! held like any other. Nothing panics.

use std::sync::Arc;

use sluice_bundled::BUNDLED;
use sluice_hostile::{Record, assert_calm, fixture, host, measure};
use sluice_wasm::Origin;

#[tokio::test]
async fn a_file_that_ends_anywhere_is_refused() {
    let host = host(Arc::new(Record::default())).await;
    let whole = fixture::provider(1.0);
    let step = (whole.len() / 300).max(1);
    for length in (0..whole.len()).step_by(step) {
        let error = host.install("attacker", whole[..length].to_vec(), Origin::Bundled).await;
        let Err(error) = error else { panic!("the first {length} bytes are a component") };
        assert!(!error.to_string().is_empty());
    }
    assert_calm(&host).await;
}

#[tokio::test]
async fn a_file_with_one_bit_changed_is_refused_or_contained() {
    let host = host(Arc::new(Record::default())).await;
    let whole = fixture::provider(1.0);
    let step = (whole.len() / 400).max(1);
    let (mut refused, mut loaded) = (0, 0);
    for at in (0..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        match host.install("attacker", bytes, Origin::Bundled).await {
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
            Ok(_) => {
                // Whatever it does now is a result or a fault, and in time.
                let _ = measure(&host, "attacker").await;
                loaded += 1;
            }
        }
    }
    assert!(refused > 50 && loaded > 10, "{refused} refused and {loaded} loaded prove little");
    assert_calm(&host).await;
}

#[tokio::test]
async fn a_real_component_that_is_damaged_is_refused_or_contained() {
    let host = host(Arc::new(Record::default())).await;
    let prometheus = BUNDLED.iter().find(|component| component.name == "prometheus").unwrap();
    let whole = prometheus.bytes;
    for part in 1..12 {
        let at = whole.len() * part / 12;
        let cut = host.install("attacker", whole[..at].to_vec(), Origin::Bundled).await;
        assert!(cut.is_err(), "the first {at} bytes are a component");
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x10;
        if host.install("attacker", bytes, Origin::Bundled).await.is_ok() {
            let _ = measure(&host, "attacker").await;
        }
    }
    assert_calm(&host).await;
}

#[tokio::test]
async fn what_is_no_component_at_all_is_refused_in_words() {
    let host = host(Arc::new(Record::default())).await;
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("a script", b"#!/bin/sh\nexit 0\n".to_vec()),
        ("an ELF file", b"\x7fELF\x02\x01\x01\0".to_vec()),
        ("a gzip bomb's head", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        ("a zip file", b"PK\x03\x04\x14\0".to_vec()),
        ("a core module", wat::parse_str("(module)").unwrap()),
        ("an empty component", wat::parse_str("(component)").unwrap()),
        ("zeros", vec![0; 1 << 20]),
    ] {
        let error = host.install("attacker", bytes, Origin::Bundled).await;
        let Err(error) = error else { panic!("{what} is taken as a component") };
        let text = error.to_string();
        let known =
            text.starts_with("not a WebAssembly component") || text.starts_with("it exports");
        assert!(known, "{what}: {text}");
    }
}
