//! The short hash in the names and labels of what a template makes.

use serde_json::Value;

/// A hash of a pod template in the alphabet Kubernetes uses for names. Equal templates give equal hashes; the digits
/// are not those a real cluster computes, which hashes its own in-memory form.
pub fn template_hash(template: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // FNV-1a over the canonical JSON: serde_json keeps keys sorted.
    let hash = template.to_string().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.to_string()
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::template_hash;

    #[test]
    fn equal_templates_have_equal_hashes_whatever_their_key_order() {
        let first = template_hash(&json!({"a": 1, "b": 2}));
        assert_eq!(first, template_hash(&json!({"b": 2, "a": 1})));
        assert_ne!(first, template_hash(&json!({"a": 1, "b": 3})));
        assert!(first.chars().all(|letter| letter.is_ascii_alphanumeric()));
    }
}
