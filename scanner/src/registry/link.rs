//! The `Link` header of a paged list (RFC 8288, and the looser forms that registries send).

use reqwest::Url;

/// The longest link that is followed: every page's is remembered, and no server takes longer ones.
const MAX_LENGTH: usize = 8 * 1024;

/// The URL of the next page, resolved against the URL that answered; `None` at the end of the list.
///
/// # Errors
/// When the header names a next page that must not be asked for: on another host, or no URL at all.
pub(super) fn next_page(headers: &[&str], answered: &Url) -> Result<Option<Url>, String> {
    let Some(target) = headers.iter().find_map(|header| next_target(header)) else {
        return Ok(None);
    };
    let mut next = answered
        .join(target)
        .map_err(|error| format!("the link to the next page: {error}"))?;
    if next.host_str() != answered.host_str() {
        let host = next.host_str().unwrap_or("no host");
        return Err(format!("the next page of tags is on another host, {host}"));
    }
    // Behind a proxy that ends TLS a registry writes its own scheme and port, which are not the ones to use.
    let same_origin = next
        .set_scheme(answered.scheme())
        .and_then(|()| next.set_port(answered.port()));
    if same_origin.is_err() {
        return Err("the link to the next page is not one for HTTP".to_owned());
    }
    next.set_fragment(None);
    if next.as_str().len() > MAX_LENGTH {
        return Err(format!(
            "the link to the next page is longer than {MAX_LENGTH} characters"
        ));
    }
    Ok(Some(next))
}

/// The target with `rel=next` in one header; other relations are passed over.
fn next_target(header: &str) -> Option<&str> {
    let mut rest = header.trim();
    while !rest.is_empty() {
        let (target, parameters) = match rest.strip_prefix('<') {
            Some(bracketed) => bracketed.split_once('>')?,
            None => rest.split_once(';')?,
        };
        // A comma ends this link unless it stands in the target, which has been cut off.
        let (parameters, following) = parameters.split_once(',').unwrap_or((parameters, ""));
        if parameters.split(';').any(is_next) {
            return Some(target.trim());
        }
        rest = following.trim_start();
    }
    None
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value
            .split_ascii_whitespace()
            .any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERED: &str = "https://registry.example.com/v2/shop/checkout/tags/list?n=2";

    fn check(header: &str) -> Option<String> {
        let next = next_page(&[header], &ANSWERED.parse().unwrap()).unwrap();
        next.map(|url| url.to_string())
    }

    #[test]
    fn every_spelling_of_the_next_page_leads_to_it() {
        let expected = "https://registry.example.com/v2/shop/checkout/tags/list?last=b&n=2";
        for header in [
            "</v2/shop/checkout/tags/list?last=b&n=2>; rel=\"next\"",
            "</v2/shop/checkout/tags/list?last=b&n=2>; rel=next",
            "</v2/shop/checkout/tags/list?last=b&n=2>;rel=\"next\"; title=\"more\"",
            "<https://registry.example.com/v2/shop/checkout/tags/list?last=b&n=2>; rel=\"next\"",
            "<http://registry.example.com:80/v2/shop/checkout/tags/list?last=b&n=2>; rel=\"next\"",
            "https://registry.example.com/v2/shop/checkout/tags/list?last=b&n=2; rel=next",
            "/v2/shop/checkout/tags/list?last=b&n=2; rel=\"next\"",
            "<?last=b&n=2>; REL=\"prefetch Next\"",
            "</first>; rel=\"first\", </v2/shop/checkout/tags/list?last=b&n=2>; rel=\"next\"",
        ] {
            assert_eq!(check(header).as_deref(), Some(expected), "{header}");
        }
    }

    #[test]
    fn the_list_ends_where_no_next_page_is_named() {
        for header in [
            "",
            "</v2/x/tags/list?n=2>; rel=\"first\"",
            "garbage",
            "<unclosed; rel=next",
        ] {
            assert_eq!(check(header), None, "{header}");
        }
        assert_eq!(next_page(&[], &ANSWERED.parse().unwrap()), Ok(None));
    }

    #[test]
    fn a_next_page_on_another_host_is_an_error() {
        for header in [
            "<https://other.example/v2/x/tags/list>; rel=next",
            "<//other.example/>; rel=next",
        ] {
            assert!(
                next_page(&[header], &ANSWERED.parse().unwrap()).is_err(),
                "{header}"
            );
        }
    }

    #[test]
    fn a_next_page_with_a_boundless_address_is_an_error() {
        let header = format!("</v2/x/tags/list?last={}>; rel=next", "x".repeat(MAX_LENGTH));
        assert!(next_page(&[&header], &ANSWERED.parse().unwrap()).is_err());
    }
}
