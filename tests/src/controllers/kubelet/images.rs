//! The node's images: what has been pulled, and when to pull again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::image_name::ImageName;
use super::registry_client::{Login, PullError, PulledImage, RegistryClient, login_for};
use crate::apiserver::resources::{SECRETS, SERVICE_ACCOUNTS};
use crate::apiserver::store::Store;

/// Why a container has no image: the reasons of `state.waiting`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageProblem {
    /// The name makes no sense.
    InvalidName(String),
    /// The policy is Never and the image is not here.
    NeverPull(String),
    /// The registry would not give it.
    Pull(PullError),
}

/// An image at hand, and whether it was fetched for this container.
#[derive(Clone, Debug)]
pub struct Available {
    /// The image.
    pub image: PulledImage,
    /// It was here already.
    pub was_present: bool,
}

type Slot = Arc<tokio::sync::Mutex<Option<PulledImage>>>;

/// The cache. One pull per name at a time: a second container waits for the first one's result.
#[derive(Debug)]
pub struct Images {
    client: RegistryClient,
    slots: Mutex<HashMap<String, Slot>>,
}

impl Images {
    /// An empty cache.
    pub fn new(client: RegistryClient) -> Self {
        Self {
            client,
            slots: Mutex::default(),
        }
    }

    /// Makes the image available by the pull policy.
    pub async fn ensure(
        &self,
        image: &str,
        policy: &str,
        login: Option<&Login>,
    ) -> Result<Available, ImageProblem> {
        let Some(name) = ImageName::parse(image) else {
            return Err(ImageProblem::InvalidName(format!(
                "Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: invalid reference format"
            )));
        };
        let slot = Arc::clone(
            self.slots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(image.to_owned())
                .or_default(),
        );
        let mut cached = slot.lock().await;
        match (&*cached, policy) {
            (Some(image), "Always") => {
                let digest = self
                    .client
                    .resolve(&name, login)
                    .await
                    .map_err(ImageProblem::Pull)?;
                if image.image_id.ends_with(&digest) {
                    return Ok(Available {
                        image: image.clone(),
                        was_present: false,
                    });
                }
            }
            (Some(image), _) => {
                return Ok(Available {
                    image: image.clone(),
                    was_present: true,
                });
            }
            (None, "Never") => {
                return Err(ImageProblem::NeverPull(format!(
                    "Container image {image:?} is not present with pull policy of Never"
                )));
            }
            (None, _) => {}
        }
        let pulled = self.client.pull(&name, login).await.map_err(ImageProblem::Pull)?;
        *cached = Some(pulled.clone());
        Ok(Available {
            image: pulled,
            was_present: false,
        })
    }
}

/// The login a pod has for an image, from its own pull secrets and those of its service account.
pub fn login_of_pod(store: &Store, pod: &Value, image: &str) -> Option<Login> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let account = store.get(&SERVICE_ACCOUNTS, namespace, account);
    let own = pod["spec"]["imagePullSecrets"].as_array().into_iter().flatten();
    let inherited = account
        .iter()
        .filter_map(|account| account["imagePullSecrets"].as_array())
        .flatten();
    let configurations: Vec<Value> = own
        .chain(inherited)
        .filter_map(|reference| store.get(&SECRETS, namespace, reference["name"].as_str()?))
        .filter_map(|secret| docker_config(&secret))
        .collect();
    login_for(&ImageName::parse(image)?, &configurations)
}

fn docker_config(secret: &Value) -> Option<Value> {
    use base64::Engine as _;
    let encoded = secret["data"][".dockerconfigjson"].as_str()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    serde_json::from_slice(&bytes).ok()
}
