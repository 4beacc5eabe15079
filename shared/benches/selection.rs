//! How long a decision takes: `just bench`. `docs/benchmarks.md` keeps what was measured and how.

#![expect(clippy::expect_used, reason = "what is measured here is valid")]

mod published;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shared::domain::policy::{SelectionRequest, candidates, select};
use shared::domain::reference::Tag;
use shared::domain::tag::TagVersion;

const COUNTS: [usize; 3] = [1_000, 10_000, 100_000];

/// Reading one tag: what every published tag costs at least.
fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let longest: Vec<String> = published::longest(4).iter().map(ToString::to_string).collect();
    let written = [
        "1.25.3",
        "v1.2.3-rc.1-alpine3.19",
        "main-abc1234-1627123456",
        "latest",
    ];
    for written in written.into_iter().chain(longest.iter().map(String::as_str)) {
        let tag: Tag = written.parse().expect("the tag is valid");
        let name = &written[..written.len().min(24)];
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| TagVersion::parse(black_box(&tag)));
        });
    }
    group.finish();
}

/// The choice among lists of growing length; beside it the floor, which is to sort the list by bytes.
fn choose(criterion: &mut Criterion) {
    let current = published::current();
    for (list, publish) in published::LISTS {
        let mut group = criterion.benchmark_group(list);
        for count in COUNTS {
            let tags = publish(count);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new("sort-by-bytes", count), |bencher| {
                bencher.iter(|| {
                    let mut sorted: Vec<&Tag> = tags.iter().collect();
                    sorted.sort_unstable();
                    sorted
                });
            });
            for (name, policy) in published::policies() {
                let request = SelectionRequest::new(&current, &policy);
                group.bench_function(BenchmarkId::new(name, count), |bencher| {
                    bencher.iter(|| select(black_box(&request), &tags));
                });
                if matches!(name, "minor" | "regex-numeric") {
                    group.bench_function(BenchmarkId::new(format!("{name}/candidates"), count), |bencher| {
                        bencher.iter(|| candidates(black_box(&request), &tags));
                    });
                }
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300));
    targets = parse, choose
}
criterion_main!(benches);
