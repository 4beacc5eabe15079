//! Pushing an image over HTTP, by the ordinary upload API, to any registry.

use anyhow::{Context, Result, bail};
use reqwest::{Client, Response, Url};

use super::image::{ImageSpec, Published};

/// Builds the image and pushes it to the registry at `base_url` (`http://127.0.0.1:5000`), which has to let
/// anyone write.
///
/// # Errors
/// When the registry cannot be reached or refuses a part.
pub async fn push(base_url: &str, spec: &ImageSpec) -> Result<Published> {
    // The provider is process-wide; a second installation fails and changes nothing.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .build()
        .context("unable to build an HTTP client")?;
    let base: Url = base_url
        .parse()
        .with_context(|| format!("{base_url} is no URL"))?;
    let image = spec.build();
    let repository = base.join(&format!("/v2/{}/", spec.repository()))?;
    for (digest, bytes) in &image.blobs {
        let known = client
            .head(repository.join(&format!("blobs/{digest}"))?)
            .send()
            .await?;
        if known.status().is_success() {
            continue;
        }
        let started = succeeded(client.post(repository.join("blobs/uploads/")?).send().await?).await?;
        let location = started
            .headers()
            .get("location")
            .context("the upload has no location")?
            .to_str()?;
        // Relative or absolute, and it may carry a query of its own.
        let mut target = started.url().join(location)?;
        target.query_pairs_mut().append_pair("digest", digest);
        let request = client
            .put(target)
            .header("content-type", "application/octet-stream");
        succeeded(request.body(bytes.clone()).send().await?).await?;
    }
    for manifest in &image.manifests {
        let top = manifest.digest == image.published.digest;
        let reference = if top { spec.tag() } else { &manifest.digest };
        let target = repository.join(&format!("manifests/{reference}"))?;
        let request = client.put(target).header("content-type", &manifest.media_type);
        succeeded(request.body(manifest.bytes.clone()).send().await?).await?;
    }
    Ok(image.published)
}

async fn succeeded(response: Response) -> Result<Response> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (status, url) = (response.status(), response.url().clone());
    let body = response.text().await.unwrap_or_default();
    bail!("{url} answered {status}: {body}")
}
