//! What a choice takes from the machine, counted by the allocator and so the same on every run. How long it takes is
//! measured by the benches.

use allocation_counter::{AllocationInfo, measure};
use shared::domain::policy::{
    PolicyOptions, SelectionRequest, UpdatePolicy, candidates, newest_candidates, select,
};
use shared::domain::reference::Tag;

#[path = "../benches/published/mod.rs"]
mod published;

/// The most that a choice may hold for each tag at its peak, in bytes; a tag itself has up to 128.
const MAX_BYTES_EACH: u64 = 1_000;

/// The most allocations for each tag.
const MAX_COUNT_EACH: u64 = 100;

/// What it costs to choose and to list the candidates.
fn cost(policy: &UpdatePolicy, tags: &[Tag]) -> AllocationInfo {
    let current = published::current();
    let request = SelectionRequest::new(&current, policy);
    let selecting = measure(|| drop(select(&request, tags)));
    let listing = measure(|| drop(candidates(&request, tags)));
    AllocationInfo {
        bytes_max: selecting.bytes_max.max(listing.bytes_max),
        count_total: selecting.count_total.max(listing.count_total),
        ..selecting
    }
}

#[test]
fn no_list_takes_more_for_a_tag_than_another_under_any_policy() {
    for (list, publish) in published::LISTS {
        for tags in [publish(200), publish(2_000)] {
            let count = tags.len() as u64;
            for (name, policy) in published::policies() {
                let cost = cost(&policy, &tags);
                assert!(
                    cost.bytes_max <= MAX_BYTES_EACH * count && cost.count_total <= MAX_COUNT_EACH * count,
                    "{count} tags of the list {list} under {name} take {} bytes in {} allocations",
                    cost.bytes_max,
                    cost.count_total
                );
            }
        }
    }
}

#[test]
fn ten_times_the_tags_take_ten_times_the_memory() {
    let (few, many) = (published::all_allowed(10_000), published::all_allowed(100_000));
    let policy: UpdatePolicy = "minor".parse().unwrap();
    let (of_few, of_many) = (cost(&policy, &few), cost(&policy, &many));
    for (few, many) in [
        (of_few.bytes_max, of_many.bytes_max),
        (of_few.count_total, of_many.count_total),
    ] {
        assert!(many <= 12 * few, "{few} and then {many}");
    }
}

/// The worst that the limits let through.
fn hostile_policies() -> Vec<PolicyOptions> {
    let pattern = |pattern: &str, template: Option<String>| PolicyOptions {
        tag_pattern: Some(pattern.to_owned()),
        tag_extract: template,
        ..PolicyOptions::of("glob:*")
    };
    vec![
        // Many states, in many sets.
        pattern("[0-9x]*1[0-9x]{60}$", None),
        pattern("(?:[0-9x]{0,9}1){20}", None),
        pattern(&"(.?)".repeat(120), Some("$1$2$3$4$5$6$7$8".to_owned())),
        // Keys that are longer than the tags they come from.
        pattern("(.*)", Some(format!("{}{}", "${1}".repeat(8), "x".repeat(460)))),
        PolicyOptions {
            include: (0..20)
                .map(|index| format!("*1{}x{index}", "?".repeat(20)))
                .collect(),
            exclude: (0..20)
                .map(|index| format!("*{}{index}", "*1".repeat(11)))
                .collect(),
            ..PolicyOptions::of("glob:*")
        },
    ]
}

#[test]
fn no_policy_can_take_much_memory_whatever_it_says() {
    let tags = published::longest(1_000);
    for options in hostile_policies() {
        let line = format!("{options:?}");
        let cost = measure(|| {
            let policy = UpdatePolicy::new(options).unwrap();
            drop(select(&SelectionRequest::without_current(&policy), &tags));
        });
        let (fixed, each) = (8 << 20, 4_000);
        assert!(
            cost.bytes_max <= fixed + each * tags.len() as u64,
            "{line} takes {} bytes",
            cost.bytes_max
        );
    }
}

#[test]
fn what_is_compared_of_tags_that_are_not_the_newest_takes_no_memory() {
    let tags = published::longest(50_000);
    for options in hostile_policies() {
        let line = format!("{options:?}");
        let cost = measure(|| {
            let policy = UpdatePolicy::new(options).unwrap();
            let request = SelectionRequest::without_current(&policy);
            drop(newest_candidates(&request, &tags, 50));
        });
        let (fixed, each) = (8 << 20, 100);
        assert!(
            cost.bytes_max <= fixed + each * tags.len() as u64,
            "{line} takes {} bytes",
            cost.bytes_max
        );
    }
}
