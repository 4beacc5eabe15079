//! The fuzz targets without a fuzzer: every input of the corpus, then changes of them that are the same on every run.
//! The fuzzer itself looks further: `just fuzz TARGET`.
#![cfg(test)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "in their own crate they are reached")]
mod targets;

use targets::{TARGETS, Target};

fn fuzz_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The inputs that have a name, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = fuzz_directory().join("corpus").join(target);
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let named = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let mut corpus: Vec<_> = named
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    corpus.sort();
    assert!(
        corpus.len() > 20,
        "the corpus of {target} has {} inputs",
        corpus.len()
    );
    corpus
}

/// What inputs are made of; the fuzzer reads the same file, in which a token is written as in JSON.
fn tokens() -> Vec<String> {
    let written = fs::read_to_string(fuzz_directory().join("tokens.dict")).unwrap();
    let tokens = written.lines().filter(|line| line.starts_with('"'));
    tokens.map(|token| serde_json::from_str(token).unwrap()).collect()
}

fn holds(target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).is_ok()
}

#[test]
fn every_input_of_the_corpus_holds() {
    for (name, target) in TARGETS {
        for (path, input) in corpus(name) {
            assert!(holds(target, &input), "{} does not hold", path.display());
        }
    }
}

#[test]
fn references_hold_that_nobody_thought_of() {
    changes_hold("reference", 20_000);
}

#[test]
fn tags_hold_that_nobody_thought_of() {
    changes_hold("tag", 10_000);
}

#[test]
fn policies_hold_that_nobody_thought_of() {
    changes_hold("policy", 1_000);
}

/// Changes inputs of the corpus again and again.
fn changes_hold(name: &str, count: u64) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let corpus: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, input)| input).collect();
    let tokens = tokens();
    for seed in 0..count {
        let mut random = Rng::with_seed(seed);
        let mut input = random.choice(&corpus).unwrap().clone();
        for _ in 0..random.usize(1..=4) {
            change(&mut input, &corpus, &tokens, &mut random);
        }
        assert!(
            holds(target, &input),
            "change {seed} does not hold; keep it in fuzz/corpus/{name}: {:?}",
            String::from_utf8_lossy(&input)
        );
    }
}

/// Makes one change somewhere.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], tokens: &[String], random: &mut Rng) {
    let start = random.usize(0..=input.len());
    let end = random.usize(start..=input.len().min(start + 20));
    let part: Vec<u8> = match random.u8(0..6) {
        0 => Vec::new(),
        1 => vec![random.u8(..)],
        2 => vec![random.u8(b' '..=b'~')],
        3 => {
            let other = random.choice(corpus).unwrap();
            let from = random.usize(0..=other.len());
            other[from..random.usize(from..=other.len())].to_vec()
        }
        4 => input[start..end].repeat(random.usize(1..=20)),
        _ => random.choice(tokens).unwrap().clone().into_bytes(),
    };
    let end = if random.bool() { start } else { end };
    input.splice(start..end, part);
}
