//! Signatures that cosign makes with a key: a payload that names the digest of a manifest, and a
//! signature of that payload, in the repository under a tag that is made of the digest.
//!
//! Nothing is asked of anybody but the registry: no transparency log, no certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};

use super::layer;
use crate::fetch::digest_of;

/// How a public key on the curve P-256 begins in DER, up to its point.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const POINT: usize = 65;

/// A layer with a payload.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of such a layer that is the signature.
pub const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// What a payload says that it is, so that nothing else that was signed with the key passes for
/// one.
const TYPE: &str = "cosign container image signature";

/// A public key of cosign's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// The text is no such key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the text of cosign.pub, an ECDSA public key on the curve P-256 in PEM")]
pub struct NoKey;

impl Key {
    /// Read `cosign.pub`.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn read(text: &str) -> Result<Self, NoKey> {
        let pem = pem::parse(text).ok().filter(|pem| pem.tag() == "PUBLIC KEY").ok_or(NoKey)?;
        let point = pem.contents().strip_prefix(&P256);
        let point = point.filter(|point| point.len() == POINT).ok_or(NoKey)?;
        Ok(Self(point.to_vec()))
    }

    /// Whether a payload is signed with this key's other half, and is about this manifest.
    fn verify(&self, signature: &Signature, manifest: &str) -> Result<(), &'static str> {
        let Signature { payload, text } = signature;
        let bytes = STANDARD.decode(text).map_err(|_| "a signature that is no base64")?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(payload, &bytes)
            .map_err(|_| "one of another key, or of something else")?;
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        let critical = &payload["critical"];
        if critical["type"] != TYPE {
            return Err("one of this key for something that is no image");
        }
        match critical["image"]["docker-manifest-digest"].as_str() {
            Some(signed) if signed == manifest => Ok(()),
            Some(_) | None => Err("one of this key for another manifest"),
        }
    }
}

/// A payload and its signature in base64, as they are in the registry: not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What was signed.
    pub payload: Vec<u8>,
    /// The signature.
    pub text: String,
}

/// What can show who signed a component: not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The manifest, which names the component by its digest.
    pub manifest: Vec<u8>,
    /// What there is for the manifest.
    pub signatures: Vec<Signature>,
}

impl Evidence {
    /// Whether the component of this digest is signed with this key.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self, key: &Key, component: &str) -> Result<(), String> {
        let (named, _) = layer(&self.manifest)?;
        if named != component {
            return Err(format!("the manifest that was pulled is about {named}"));
        }
        let manifest = digest_of(&self.manifest);
        let mut found = Vec::new();
        for signature in &self.signatures {
            match key.verify(signature, &manifest) {
                Ok(()) => return Ok(()),
                Err(why) => found.push(why),
            }
        }
        let tag = tag(&manifest);
        match found[..] {
            [] => Err(format!("there is no signature of {manifest} under the tag {tag}")),
            _ => Err(format!("under the tag {tag} is only {}", found.join(", and "))),
        }
    }

    /// All of it as text, to be kept.
    pub fn to_text(&self) -> String {
        let signatures: Vec<_> = self
            .signatures
            .iter()
            .map(|one| json!([STANDARD.encode(&one.payload), one.text]))
            .collect();
        json!([STANDARD.encode(&self.manifest), signatures]).to_string()
    }

    /// What [`Self::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let (manifest, signatures): (String, Vec<(String, String)>) =
            serde_json::from_str(text).ok()?;
        let signatures = signatures.into_iter().map(|(payload, text)| {
            Some(Signature { payload: STANDARD.decode(payload).ok()?, text })
        });
        let manifest = STANDARD.decode(manifest).ok()?;
        Some(Self { manifest, signatures: signatures.collect::<Option<_>>()? })
    }
}

/// The tag under which the signatures of a manifest are.
pub fn tag(manifest: &str) -> String {
    format!("{}.sig", manifest.replacen(':', "-", 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    /// A key as cosign writes it, and what signs with its other half.
    fn pair() -> (EcdsaKeyPair, Key) {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let text = text([&P256[..], pair.public_key().as_ref()].concat());
        (pair, Key::read(&text).unwrap())
    }

    fn text(der: Vec<u8>) -> String {
        pem::encode(&pem::Pem::new("PUBLIC KEY", der))
    }

    fn signed(pair: &EcdsaKeyPair, payload: &Value) -> Signature {
        let payload = payload.to_string().into_bytes();
        let signature = pair.sign(&SystemRandom::new(), &payload).unwrap();
        Signature { payload, text: STANDARD.encode(signature.as_ref()) }
    }

    fn manifest(component: &str) -> Vec<u8> {
        let layer = json!({"mediaType": "application/wasm", "digest": component, "size": 1});
        json!({"layers": [layer]}).to_string().into_bytes()
    }

    fn payload(digest: &str) -> Value {
        json!({"critical": {"type": TYPE, "image": {"docker-manifest-digest": digest}}})
    }

    fn digest(digit: &str) -> String {
        format!("sha256:{}", digit.repeat(64))
    }

    #[test]
    fn a_signature_is_of_its_key_its_manifest_and_so_its_component() {
        let ((pair, key), (_, stranger)) = (pair(), pair());
        let manifest = manifest(&digest("a"));
        let signatures = vec![signed(&pair, &payload(&digest_of(&manifest)))];
        let evidence = Evidence { manifest, signatures };
        assert_eq!(evidence.check(&key, &digest("a")), Ok(()));
        let refused = |evidence: &Evidence, key: &Key, component: &str, why: &str| {
            let error = evidence.check(key, component).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        refused(&evidence, &stranger, &digest("a"), "only one of another key");
        refused(&evidence, &key, &digest("b"), "the manifest that was pulled is about");
        // The signature is fine, and of a manifest that is not the one which was pulled.
        let moved = Evidence { manifest: self::manifest(&digest("b")), ..evidence.clone() };
        refused(&moved, &key, &digest("b"), "one of this key for another manifest");
        let missing = Evidence { signatures: Vec::new(), ..evidence.clone() };
        refused(&missing, &key, &digest("a"), "there is no signature of sha256:");
        let mut changed = evidence.clone();
        changed.signatures[0].payload = payload(&digest("c")).to_string().into_bytes();
        refused(&changed, &key, &digest("a"), "of something else");
        let mut broken = evidence.clone();
        broken.signatures[0].text = "?".to_owned();
        refused(&broken, &key, &digest("a"), "no base64");
        let mut second = evidence;
        second.signatures.insert(0, broken.signatures[0].clone());
        assert_eq!(second.check(&key, &digest("a")), Ok(()), "one good signature is enough");
    }

    #[test]
    fn what_was_signed_for_another_purpose_is_no_signature() {
        let (pair, key) = pair();
        let manifest = manifest(&digest("a"));
        let mut other = payload(&digest_of(&manifest));
        other["critical"]["type"] = "a login".into();
        for (payload, why) in
            [(other, "no image"), (json!({}), "no image"), (json!([]), "no image")]
        {
            let signatures = vec![signed(&pair, &payload)];
            let error = Evidence { manifest: manifest.clone(), signatures };
            let error = error.check(&key, &digest("a")).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let point = [&P256[..], &[4; POINT]].concat();
        assert!(Key::read(&text(point.clone())).is_ok());
        let private = text(point.clone()).replace("PUBLIC", "PRIVATE");
        let texts =
            ["", "key", &private, &text(point[1..].to_vec()), &text([&point[..], &[0]].concat())];
        for text in texts {
            assert_eq!(Key::read(text), Err(NoKey), "{text}");
        }
    }

    #[test]
    fn what_is_kept_is_what_was_pulled() {
        let signature = Signature { payload: b"{}".to_vec(), text: "MEQ=".to_owned() };
        let evidence = Evidence { manifest: b"manifest".to_vec(), signatures: vec![signature] };
        assert_eq!(Evidence::from_text(&evidence.to_text()), Some(evidence));
        for text in ["", "{}", r#"["?", []]"#] {
            assert_eq!(Evidence::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn signatures_are_beside_what_they_sign() {
        assert_eq!(tag("sha256:ab"), "sha256-ab.sig");
    }
}
