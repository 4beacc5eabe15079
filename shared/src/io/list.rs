//! Lists of the cluster, however long they are.

use std::fmt::Debug;

use kube::Api;
use kube::api::ListParams;
use serde::de::DeserializeOwned;

/// How many objects one request may bring; a full record has half a mebibyte.
const PAGE: u32 = 100;

/// Takes in every object that is selected, page by page: no more than one is in memory at a time. After an error nothing is known of
/// the rest.
pub async fn each<K>(api: &Api<K>, selected: ListParams, mut take: impl FnMut(K)) -> Result<(), kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut parameters = selected.limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        page.items.into_iter().for_each(&mut take);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(()),
        }
    }
}
