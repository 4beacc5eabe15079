//! Posts messages to the one receiver of the settings, as watch-cluster does or as a template of the user's says.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use shared::domain::announcement::Announcement;
use shared::domain::announcement::template::Template;
use shared::domain::message::Message;
use shared::domain::outbox::Answer;

use crate::cli::webhook::WebhookSettings;
use crate::post::Address;

/// Tells a message that is sent again from one that is not.
pub(crate) const EVENT_ID: HeaderName = HeaderName::from_static("kubefresh-event-id");
/// `sha256=` and the HMAC of the body in hexadecimal digits, by which the receiver knows that we sent it.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("x-kubefresh-signature-256");

/// The receiver.
#[derive(Debug)]
pub struct Webhook {
    address: Address,
    secret: Option<SecretString>,
    template: Option<Template>,
}

impl Webhook {
    /// Fails where the certificates of the system cannot be used.
    pub fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.extend(settings.headers.clone());
        Ok(Self {
            address: Address::new(settings.url.clone(), headers, settings.timeout)?,
            secret: settings.secret.clone(),
            template: settings.template.clone(),
        })
    }

    /// The receiver as it may be shown.
    pub(crate) fn host(&self) -> String {
        self.address.host()
    }

    /// How long an attempt takes at most.
    pub(crate) fn limit(&self) -> Duration {
        self.address.limit()
    }

    /// Tries once.
    pub async fn send(&self, message: &Message, announcement: Option<Announcement>) -> Answer {
        let body = match self.body(message, announcement) {
            Ok(body) => body,
            Err(why) => return Answer::Refused(format!("WEBHOOK_TEMPLATE_FILE: {why}")),
        };
        let mut headers = HeaderMap::new();
        if let Ok(id) = HeaderValue::from_str(&message.id) {
            headers.insert(EVENT_ID, id);
        }
        let signature = self.secret.as_ref().map(|secret| signature(secret, &body));
        headers.extend(signature.flatten().map(|signature| (SIGNATURE, signature)));
        self.address.post(headers, body).await
    }

    fn body(&self, message: &Message, announcement: Option<Announcement>) -> Result<String, String> {
        let event = message.to_webhook();
        let (Some(template), Some(announcement)) = (&self.template, announcement) else {
            return Ok(event);
        };
        let event: Value = serde_json::from_str(&event).map_err(|error| error.to_string())?;
        template
            .render(&announcement, &event)
            .map_err(|error| error.to_string())
    }
}

fn signature(secret: &SecretString, body: &str) -> Option<HeaderValue> {
    // A key may have any length.
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    hmac.update(body.as_bytes());
    let mut digits = String::new();
    for byte in hmac.finalize().into_bytes() {
        let _ = write!(digits, "{byte:02x}");
    }
    HeaderValue::from_str(&format!("sha256={digits}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_that_rfc_4231_gives() {
        let secret = SecretString::from("Jefe");
        assert_eq!(
            signature(&secret, "what do ya want for nothing?").unwrap(),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
