use super::super::single::tests::assert_nothing_else_is_read;
use super::*;

const HUB: Option<PullLimit> = Some(PullLimit::DOCKER_HUB);

fn now() -> Timestamp {
    "2026-11-21T04:10:00Z".parse().unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn budget() -> PullBudget {
    let mut budget = PullBudget::default();
    budget.observe(PullLimit::DOCKER_HUB, 76, now());
    assert!(budget.spend(HUB, now()));
    budget
}

fn cool_down(until: Timestamp) -> CoolDown {
    CoolDown {
        until,
        reason: "TOOMANYREQUESTS: You have reached your pull rate limit".to_owned(),
        consecutive: 2,
    }
}

fn hub() -> RegistryMemory {
    let pool = PoolName::of_source("192.0.2.1");
    let anybody = AccountMemory {
        pool: Some(pool.clone()),
        ..AccountMemory::default()
    };
    let cooling = AccountMemory {
        cool_down: Some(cool_down(now() + hours(1))),
        ..AccountMemory::default()
    };
    RegistryMemory {
        challenge: Some(LearnedChallenge {
            realm: Some("https://auth.docker.io/token".to_owned()),
            service: Some("registry.docker.io".to_owned()),
            learned_at: now(),
        }),
        accounts: BTreeMap::from([
            (AccountName::anybody(), anybody),
            (
                AccountName::of_secret("shop", "regcred", "https://index.docker.io/v1/"),
                cooling,
            ),
        ]),
        pools: BTreeMap::from([(pool, budget())]),
        ..RegistryMemory::default()
    }
}

#[test]
fn it_is_legible_and_is_read_back() {
    let quay = RegistryMemory {
        refused_page_size: Some(RefusedPageSize {
            tags: 100,
            learned_at: now(),
        }),
        private: Some(PrivateRepositories {
            paths: BTreeSet::from(["shop/checkout".to_owned()]),
            learned_at: now(),
        }),
        busy_until: Some(now() + hours(1)),
        cool_down: Some(cool_down(now())),
        ..RegistryMemory::default()
    };
    let registries = BTreeMap::from([("docker.io".to_owned(), hub()), ("quay.io".to_owned(), quay)]);
    let stored = to_config_map(&registries, "kubefresh");
    assert_eq!(
        stored.data.as_ref().unwrap()["registries"],
        "\
docker.io:
  challenge:
    realm: https://auth.docker.io/token
    service: registry.docker.io
    learnedAt: \"2026-11-21T04:10:00Z\"
  accounts:
    anybody:
      pool: pool-37fcff
    secret shop/regcred 79618eba:
      coolDown:
        until: \"2026-11-21T05:10:00Z\"
        reason: \"TOOMANYREQUESTS: You have reached your pull rate limit\"
        consecutive: 2
  pools:
    pool-37fcff:
      observed:
        limit:
          pulls: 100
          windowSeconds: 21600
        remaining: 76
        at: \"2026-11-21T04:10:00Z\"
        spentSince: 1
      spent:
        \"2026-11-21T04:00:00Z\": 1
quay.io:
  refusedPageSize:
    tags: 100
    learnedAt: \"2026-11-21T04:10:00Z\"
  private:
    paths:
    - shop/checkout
    learnedAt: \"2026-11-21T04:10:00Z\"
  busyUntil: \"2026-11-21T05:10:00Z\"
  coolDown:
    until: \"2026-11-21T04:10:00Z\"
    reason: \"TOOMANYREQUESTS: You have reached your pull rate limit\"
    consecutive: 2
"
    );
    let read = parse(&stored).unwrap();
    assert!(read["docker.io"].says_the_same(&registries["docker.io"]));
    assert_eq!(read["quay.io"], registries["quay.io"]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    assert_nothing_else_is_read(
        RECORD,
        &to_config_map(&BTreeMap::new(), "kubefresh"),
        parse,
        "docker.io: { colour: red }",
    );
}

#[test]
fn what_says_nothing_any_more_is_forgotten() {
    let after = |hours_later: i64| {
        let mut memory = hub();
        memory.forget(HUB, now() + hours(hours_later));
        (
            memory.challenge.is_some(),
            memory.accounts.len(),
            memory.pools.len(),
        )
    };
    assert_eq!(after(0), (true, 2, 1));
    assert_eq!(
        after(7),
        (true, 1, 0),
        "its pulls are given back; how often it paused counts"
    );
    assert_eq!(after(26), (true, 0, 0));
    assert_eq!(
        after(24 * 7),
        (false, 0, 0),
        "a registry is asked anew every week"
    );
    let mut memory = hub();
    memory.challenge.as_mut().unwrap().realm = Some(format!("https://{}", "a".repeat(500)));
    memory.busy_until = Some(now());
    memory.forget(HUB, now());
    assert_eq!((memory.challenge, memory.busy_until), (None, None));
}

#[test]
fn what_a_wrong_clock_has_dated_in_the_future_is_believed_no_longer_than_if_it_were_of_now() {
    let mut memory = RegistryMemory {
        refused_page_size: Some(RefusedPageSize {
            tags: 100,
            learned_at: now(),
        }),
        private: Some(PrivateRepositories {
            paths: BTreeSet::from(["shop/checkout".to_owned()]),
            learned_at: now(),
        }),
        cool_down: Some(cool_down(now() + hours(1))),
        ..hub()
    };
    let clock_was_right_again = now() - hours(24 * 6);
    let stored = memory.clone();
    memory.forget(HUB, clock_was_right_again);
    assert!(!memory.says_the_same(&stored));
    let corrected = memory.clone();
    memory.forget(HUB, clock_was_right_again + hours(1));
    assert_eq!(memory, corrected);
    assert!(memory.is_left_alone_until(clock_was_right_again + hours(24)));
    assert!(!memory.is_left_alone_until(clock_was_right_again + hours(25)));
    memory.forget(HUB, clock_was_right_again + hours(24 * 7));
    assert_eq!(memory, RegistryMemory::default());
}

#[test]
fn only_what_is_new_is_worth_a_write() {
    let mut memory = hub();
    assert!(memory.says_the_same(&hub()));
    memory.pools.values_mut().for_each(|pulls| {
        pulls.answered();
        pulls.observe(PullLimit::DOCKER_HUB, 76, now() + hours(1));
    });
    assert!(!memory.says_the_same(&hub()), "a pull was taken in");
    let mut other = hub();
    other.cool_down = Some(cool_down(now()));
    assert!(!other.says_the_same(&hub()));
    let mut other = hub();
    other
        .pools
        .insert(PoolName::of_source("192.0.2.2"), PullBudget::default());
    assert!(!other.says_the_same(&hub()) && !hub().says_the_same(&other));
    let mut other = hub();
    let own = AccountMemory {
        pulls: Some(budget()),
        ..AccountMemory::default()
    };
    other.accounts.insert(AccountName::anybody(), own);
    assert!(!other.says_the_same(&hub()));
}

#[test]
fn it_never_outgrows_a_config_map_and_keeps_what_must_be_obeyed() {
    let account = |number: u32| AccountName::of_secret(&"n".repeat(63), &format!("{number:0253}"), "entry");
    let full = AccountMemory {
        cool_down: Some(CoolDown {
            reason: "\u{10ffff}".repeat(200),
            ..cool_down(now())
        }),
        pulls: Some(budget()),
        ..AccountMemory::default()
    };
    let crowded = RegistryMemory {
        accounts: (0..500).map(|number| (account(number), full.clone())).collect(),
        pools: (0..500)
            .map(|number| (PoolName::of_source(&number.to_string()), budget()))
            .collect(),
        private: Some(PrivateRepositories {
            paths: (0..5000).map(|number| format!("{number:0255}")).collect(),
            learned_at: now(),
        }),
        ..hub()
    };
    let known = RegistryMemory {
        challenge: hub().challenge,
        ..RegistryMemory::default()
    };
    let mut registries: BTreeMap<_, _> = (0..20)
        .map(|number| (format!("c{number}.example"), crowded.clone()))
        .collect();
    registries.extend((0..20_000).map(|number| (format!("a{number}.example"), known.clone())));
    registries.insert("z.example".to_owned(), hub());
    let stored = to_config_map(&registries, "kubefresh");
    let size: usize = stored.data.as_ref().unwrap().values().map(String::len).sum();
    assert!(size < 1_000_000, "{size}");
    let kept = parse(&stored).unwrap();
    assert!(kept.contains_key("z.example") && kept.contains_key("c0.example"));
}

#[test]
fn names_of_accounts_and_pools_give_nothing_away() {
    assert_eq!(PoolName::of_source("192.0.2.1").0.len(), 11);
    assert_eq!(PoolName::of_source("192.0.2.1"), PoolName::of_source("192.0.2.1"));
    let names = [
        AccountName::anybody(),
        AccountName::of_file("docker.io"),
        AccountName::of_file("ghcr.io"),
        AccountName::of_secret("shop", "regcred", "docker.io"),
        AccountName::of_secret("office", "regcred", "docker.io"),
    ];
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}
