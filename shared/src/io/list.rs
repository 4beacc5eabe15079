//! Lists of the cluster, however long they are.

use std::fmt::Debug;

use kube::api::{ListParams, ObjectList};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::source::{Apart, Source, Unreadable, is_unreadable};

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
        let next = next(&page);
        page.items.into_iter().for_each(&mut take);
        match next {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// The same, but for objects that cannot be read.
pub async fn each_readable<K>(
    source: &Source<K>,
    selected: ListParams,
    mut take: impl FnMut(K),
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut parameters = selected.limit(PAGE);
    loop {
        let next = match source.api.list(&parameters).await {
            Err(error) if is_unreadable(&error) => {
                let page = source.apart.list(&parameters).await?;
                let next = next(&page);
                page.items.into_iter().filter_map(readable).for_each(&mut take);
                next
            }
            page => {
                let page = page?;
                let next = next(&page);
                page.items.into_iter().for_each(&mut take);
                next
            }
        };
        match next {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(()),
        }
    }
}

fn next<K: Clone>(page: &ObjectList<K>) -> Option<String> {
    page.metadata.continue_.clone().filter(|token| !token.is_empty())
}

fn readable<K: Resource<DynamicType = ()>>(object: Apart<K>) -> Option<K> {
    object.0.inspect_err(Unreadable::left_alone::<K>).ok()
}
