//! Tokens as other registries believe them: JSON Web Tokens by the rules of the distribution project.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use serde_json::json;

/// A key that signs tokens (ES256), with the certificate that a registry has to trust.
pub struct TokenSigner {
    issuer: String,
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenSigner")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl TokenSigner {
    /// # Panics
    /// When there is no randomness.
    pub fn generate(issuer: &str) -> Self {
        // What rcgen generates by default is P-256.
        let key = KeyPair::generate().expect("a key pair");
        let certificate = CertificateParams::default()
            .self_signed(&key)
            .expect("a self-signed certificate");
        Self {
            issuer: issuer.to_owned(),
            key,
            certificate,
        }
    }

    /// Value of `iss` in its tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What belongs into a registry's `rootcertbundle`.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The token number `number`, good for these actions on these repositories.
    pub(super) fn sign(
        &self,
        number: u64,
        service: &str,
        scopes: &[(String, Vec<String>)],
        lifetime: Duration,
    ) -> String {
        let now = Timestamp::now().as_second();
        let access: Vec<_> = scopes
            .iter()
            .map(|(name, actions)| json!({ "type": "repository", "name": name, "actions": actions }))
            .collect();
        let header =
            json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(self.certificate.der())] });
        let claims = json!({
            "iss": self.issuer, "sub": "", "aud": service, "jti": number.to_string(), "access": access,
            // Clocks are read in whole seconds.
            "iat": now, "nbf": now - 1, "exp": now + i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
        });
        let encoded = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = encoded.join(".");
        let signature = self.key.sign(signed.as_bytes()).expect("the key signs");
        let signature = URL_SAFE_NO_PAD.encode(fixed_width(&signature));
        format!("{signed}.{signature}")
    }
}

/// The two numbers of a signature by P-256, which ASN.1 gives their own lengths, as JSON Web Signature wants them: 32
/// bytes each.
fn fixed_width(asn1: &[u8]) -> [u8; 64] {
    let mut fixed = [0; 64];
    // SEQUENCE, its length, then twice INTEGER, its length, and its bytes.
    let mut rest = &asn1[2..];
    for half in fixed.chunks_exact_mut(32) {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.len().saturating_sub(32)..];
        half[32 - number.len()..].copy_from_slice(number);
        rest = after;
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_become_32_bytes() {
        let asn1 = [&[0x30, 38, 2, 33, 0][..], &[0xff; 32], &[2, 1, 7]].concat();
        let fixed = fixed_width(&asn1);
        assert_eq!(fixed[..32], [0xff; 32]);
        assert_eq!((fixed[32..63].iter().sum::<u8>(), fixed[63]), (0, 7));
    }
}
