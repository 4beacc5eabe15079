//! Image references: what is read prints back as it was written, and names the same image in any spelling.

use shared::domain::reference::{ImageReference, Repository};

/// The input is one reference.
pub fn holds(input: &[u8]) {
    let written = String::from_utf8_lossy(input);
    let reference: ImageReference = match written.parse() {
        Ok(reference) => reference,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(
                written.parse::<Repository>().is_err(),
                "a repository is a reference, too"
            );
            return;
        }
    };
    assert_eq!(reference.to_string(), written, "it prints as it was written");
    is_normalised(reference.repository());
    is_kept_at_other_tags(&reference);

    let is_bare = reference.tag().is_none() && reference.digest().is_none();
    let repository = written.parse::<Repository>();
    assert_eq!(
        repository.is_ok(),
        is_bare,
        "a repository is a reference without tag and digest"
    );
    assert_eq!(
        reference.effective_tag().is_none(),
        reference.tag().is_none() && reference.digest().is_some()
    );
    if let Some(digest) = reference.digest() {
        assert_eq!(
            format!("{}:{}", digest.algorithm(), digest.hex()),
            digest.as_str()
        );
        assert!(digest.as_str().starts_with(digest.short()));
    }
}

/// Spelled out in full, a repository is what it was, and stays so.
fn is_normalised(repository: &Repository) {
    let full = format!("{}/{}", repository.registry(), repository.path());
    assert_eq!(repository.to_string(), full);
    assert_eq!(full.parse().as_ref(), Ok(repository), "{full} names itself");
}

/// Moved to the tag and digest that it has, a reference stays the same; and without them its name does.
fn is_kept_at_other_tags(reference: &ImageReference) {
    let Some(tag) = reference.effective_tag() else {
        return;
    };
    let at_tag = reference.with_tag(&tag);
    assert_eq!(at_tag.to_string().parse().as_ref(), Ok(&at_tag));
    assert_eq!(at_tag.repository(), reference.repository());
    assert_eq!(at_tag.tag(), Some(&tag));
    assert_eq!(at_tag.digest(), None);
    if let Some(digest) = reference.digest() {
        assert_eq!(&reference.with_tag_and_digest(&tag, digest), reference);
    }
}
