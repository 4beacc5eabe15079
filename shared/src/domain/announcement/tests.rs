use proptest::prelude::*;
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use super::fit::units;
use super::template::{Template, TemplateError};
use super::*;
use crate::domain::workload::WorkloadKind;

fn workload(name: &str) -> WorkloadId {
    WorkloadId {
        kind: WorkloadKind::Deployment,
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn example() -> Announcement {
    Announcement::example()
}

/// What strangers write: anything, and what services take for more than text.
fn hostile() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "@everyone",
        "@here",
        "<@123>",
        "<!channel>",
        "<@&9>",
        "[click](https://evil.example)",
        "**b**",
        "_i_",
        "~s~",
        "`c`",
        "```\nx\n```",
        "<b>",
        "</b>",
        "<script>alert(1)</script>",
        "&amp;",
        "&#64;",
        "\\",
        "\\\\",
        "\r\nBcc: x@evil.example",
        "\u{202e}",
        "\u{200b}",
        "{{ 7 }}",
        "{% raw %}",
        "\"",
        "\"}],",
        "<https://evil.example|x>",
        "<at>x</at>",
        "||s||",
        "# h",
        "> q",
        "- l",
        "😀",
        "漢字",
        "\0",
        "\u{2028}",
        "＠everyone",
        "https://evil.example",
        "tg://user?id=1",
        "foo@bar",
        "shop/my_app:1.2_3@sha256:0123",
        "a & b",
        " ",
    ]);
    let piece = prop_oneof![
        4 => nasty.prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z @<*_]{0,300}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn any_announcement() -> impl Strategy<Value = Announcement> {
    let reasons: Vec<NoticeReason> = NoticeReason::iter().collect();
    let changes = prop::collection::vec((prop::option::of(hostile()), hostile()), 0..15);
    let concerned = prop::collection::vec((hostile(), prop::option::of(hostile())), 0..30);
    let risks = prop::collection::vec(hostile(), 0..12);
    let sections = prop::collection::vec((hostile(), prop::collection::vec(hostile(), 0..30)), 0..12);
    let links = prop::collection::vec(
        (
            hostile(),
            prop_oneof![
                hostile(),
                hostile().prop_map(|text| format!("https://a{text}")),
                "https://[a-z]{1,9}/[a-z&=?]{0,1100}"
            ],
        ),
        0..5,
    );
    (
        prop::sample::select(reasons),
        any::<(bool, bool)>(),
        changes,
        concerned,
        risks,
        sections,
        links,
    )
        .prop_map(
            |(reason, (awaits_approval, is_reminder), changes, concerned, risks, sections, links)| {
                Announcement {
                    reason: Some(reason),
                    awaits_approval,
                    is_reminder,
                    changes: changes
                        .into_iter()
                        .map(|(from, to)| Change { from, to })
                        .collect(),
                    concerned: concerned
                        .into_iter()
                        .map(|(name, note)| Concerned {
                            workload: workload(&name),
                            note,
                        })
                        .collect(),
                    risks,
                    summary: sections
                        .into_iter()
                        .map(|(title, lines)| Section { title, lines })
                        .collect(),
                    links: links
                        .iter()
                        .filter_map(|(text, url)| Link::new(text, url))
                        .collect(),
                    ..example()
                }
            },
        )
}

/// Every string in it.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(values) => values.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// No `@` that begins a word has one after it, whatever escapes stand between.
fn calls_nobody(text: &str) {
    let shown: Vec<char> = text.chars().filter(|character| *character != '\\').collect();
    for (index, character) in shown.iter().enumerate() {
        let begins = index == 0 || !shown[index - 1].is_alphanumeric();
        if matches!(character, '@' | '＠') && begins {
            let next = shown.get(index + 1).copied().unwrap_or(' ');
            assert!(!next.is_alphanumeric(), "{text}");
        }
    }
}

/// Without addresses of links, in which anything may stand that an address may have.
fn without_links(mut text: String, announcement: &Announcement) -> String {
    let mut forms: Vec<String> = announcement
        .links
        .iter()
        .flat_map(|link| [link.url().to_owned(), link.url().replace('&', "&amp;")])
        .collect();
    // One may be the beginning of another, also of its own HTML.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    for form in forms {
        text = text.replace(&form, "");
    }
    text
}

fn is_plain_line(text: &str) {
    let bad = text
        .chars()
        .find(|character| character.is_control() && *character != '\n');
    assert_eq!(bad, None, "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{2028}']), "{text:?}");
}

fn check_discord(announcement: &Announcement) {
    let body = discord::render(announcement);
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    let embed = &body["embeds"][0];
    let length = |value: &Value| units(value.as_str().unwrap());
    let fields = embed["fields"].as_array().unwrap();
    assert!((1..=256).contains(&length(&embed["title"])));
    assert!(length(&embed["description"]) <= 4096 && fields.len() <= 25);
    let mut total = length(&embed["title"]) + length(&embed["description"]);
    for field in fields {
        let (name, value) = (length(&field["name"]), length(&field["value"]));
        assert!(
            (1..=256).contains(&name) && (1..=1024).contains(&value),
            "{field}"
        );
        total += name + value;
    }
    assert!(total <= 6000, "{total}");
    for field in fields.iter().filter(|field| field["name"] != "Links") {
        has_no_discord_markup(field["value"].as_str().unwrap());
        has_no_discord_markup(field["name"].as_str().unwrap());
    }
    has_no_discord_markup(embed["title"].as_str().unwrap());
    has_no_discord_markup(embed["description"].as_str().unwrap());
}

fn has_no_discord_markup(text: &str) {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            assert!(
                characters.next().is_some_and(|next| next.is_ascii_punctuation()),
                "{text}"
            );
        } else {
            assert!(!"*_~`|[]()<>@#:".contains(character), "{character} in {text}");
        }
    }
}

fn check_slack(announcement: &Announcement) {
    let body = slack::render(announcement);
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    for block in blocks {
        let Some(text) = block["text"]["text"].as_str() else {
            continue;
        };
        let limit = if block["type"] == "header" { 150 } else { 3000 };
        assert!((1..=limit).contains(&units(text)), "{text}");
        if block["type"] == "header" {
            assert_eq!(block["text"]["type"], "plain_text");
            continue;
        }
        let text = without_links(text.to_owned(), announcement);
        let is_link = |line: &str| line.starts_with("<|") && line.ends_with('>');
        let text = if text.split('\n').all(is_link) {
            text.split('\n').map(|line| &line[2..line.len() - 1]).collect()
        } else {
            text.strip_prefix('*')
                .map_or(text.clone(), |rest| rest.replacen("*\n", "\n", 1))
        };
        assert!(!text.contains(['<', '>', '*', '`', '~']), "{text}");
    }
    let fallback = body["text"].as_str().unwrap();
    assert!(!fallback.contains(['<', '>', '*']), "{fallback}");
}

fn has_only_tags(html: &str, allowed: &[&str]) {
    for piece in html.split('<').skip(1) {
        let (tag, rest) = piece.split_once('>').unwrap();
        let name = tag.split(' ').next().unwrap();
        assert!(allowed.contains(&name), "<{tag}> in {html}");
        assert!(!rest.contains('>'), "{html}");
    }
    for piece in html.split('&').skip(1) {
        let is_entity = ["amp;", "lt;", "gt;", "quot;"]
            .iter()
            .any(|entity| piece.starts_with(entity));
        assert!(is_entity, "&{piece}");
    }
    for tag in ["b", "a", "ul", "li", "h2", "h3", "p"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{html}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn whatever_strangers_write_each_form_keeps_within_its_limits_and_shows_it_as_text(announcement in any_announcement()) {
        check_discord(&announcement);
        check_slack(&announcement);

        let telegram = telegram::render(&announcement, "-100");
        let text = telegram["text"].as_str().unwrap();
        assert!((1..=4096).contains(&units(text)), "{}", units(text));
        has_only_tags(text, &["b", "/b", "a", "/a"]);
        assert_eq!(&telegram["link_preview_options"]["is_disabled"], true);

        let teams = teams::render(&announcement);
        assert!(teams.to_string().len() <= 28 << 10);
        assert!(!teams.to_string().contains("\"TextBlock\""), "a TextBlock reads Markdown");

        let ntfy = ntfy::render(&announcement, "topic");
        assert!((1..=4096).contains(&ntfy["message"].as_str().unwrap().len()) || announcement.concerned.is_empty());
        assert!(ntfy["title"].as_str().unwrap().len() <= 250 && ntfy["actions"].as_array().unwrap().len() <= 3);
        assert_eq!(ntfy.get("markdown"), None);

        let email = email::render(&announcement);
        assert!(units(&email.subject) <= 200 && !email.subject.contains(char::is_control));
        let body = email.html.split_once("<body>").unwrap().1;
        has_only_tags(body, &["h2", "/h2", "h3", "/h3", "ul", "/ul", "li", "/li", "p", "/p", "a", "/a", "/body", "/html"]);

        let mut shown = vec![email.subject, email.text];
        for value in [discord::render(&announcement), slack::render(&announcement), telegram, teams, ntfy] {
            shown.extend(texts(&value));
        }
        for text in shown {
            let text = without_links(text, &announcement);
            is_plain_line(&text);
            calls_nobody(&text);
        }
    }

    #[test]
    fn what_a_template_makes_is_json_whatever_strangers_write(announcement in any_announcement(), event in hostile()) {
        let event = json!({ "details": { "error": event } });
        let source = r#"{"text": {{ title }}, "all": [{% for one in workloads %}{{ one.name ~ ": " ~ one.note }}, {% endfor %}0],
            "error": {{ event.details.error }}, "facts": {{ facts|tojson }}}"#;
        let template = Template::new(source, &event).unwrap();
        let made: Value = serde_json::from_str(&template.render(&announcement, &event).unwrap()).unwrap();
        prop_assert_eq!(&made["error"], &event["details"]["error"]);
        prop_assert_eq!(made["all"].as_array().unwrap().len(), announcement.concerned.len() + 1);
    }

    #[test]
    fn a_link_is_a_plain_address_or_none(text in hostile(), scheme in "(https://|http://|javascript:|//|)") {
        if let Some(link) = Link::new("x", &format!("{scheme}{text}")) {
            prop_assert!(link.url().starts_with("http") && !link.url().contains(['<', '>', '"', '\'', '(', ')', '|', ' ', '`', '*', '\\']));
        }
    }
}

#[test]
fn a_title_says_what_happened_to_what_and_where() {
    let title = |change: fn(&mut Announcement)| {
        let mut announcement = example();
        change(&mut announcement);
        ntfy::render(&announcement, "t")["title"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        title(|_| ()),
        "Update waits for approval: checkout 1.4.0 -> 1.5.0 in 2 workloads"
    );
    assert_eq!(
        title(|announcement| {
            announcement.awaits_approval = false;
            announcement.is_reminder = true;
            announcement.concerned.truncate(1);
        }),
        "Reminder: Update available: checkout 1.4.0 -> 1.5.0 in shop/checkout"
    );
    assert_eq!(
        title(|announcement| {
            announcement.reason = Some(NoticeReason::InvalidSettings);
            announcement.changes.clear();
            announcement.concerned.truncate(1);
        }),
        "Invalid settings: in shop/checkout"
    );
    assert_eq!(
        title(|announcement| {
            announcement.reason = Some(NoticeReason::ImageUpdated);
            announcement.changes[0].to = "elsewhere.example/checkout:1.5.0".to_owned();
            announcement.concerned.truncate(1);
        }),
        "Update completed: registry.example/shop/checkout:1.4.0 -> elsewhere.example/checkout:1.5.0 in shop/checkout"
    );
}

#[test]
fn many_workloads_are_named_up_to_ten_and_a_note_of_all_is_said_once() {
    let mut announcement = example();
    let concerned = (0..14).map(|number| Concerned {
        workload: workload(&format!("w{number}")),
        note: Some("the same".to_owned()),
    });
    announcement.concerned = concerned.collect();
    let text = email::render(&announcement).text;
    assert!(text.contains("- deployment shop/w9\n- and 4 more\n"), "{text}");
    assert_eq!(text.matches("the same").count(), 1, "{text}");
    announcement.concerned[3].note = Some("another".to_owned());
    let text = email::render(&announcement).text;
    assert!(text.contains("- deployment shop/w3: another\n"), "{text}");
}

#[test]
fn discord_gets_one_embed_with_the_change_first_and_a_link_that_is_whole() {
    let body = discord::render(&example());
    let embed = &body["embeds"][0];
    assert_eq!(
        embed["title"],
        r"Update waits for approval\: checkout 1.4.0 \-\> 1.5.0 in 2 workloads"
    );
    assert_eq!(embed["fields"][0]["name"], "Workloads");
    assert_eq!(
        embed["fields"][3]["value"],
        "[Decide](<https://kubefresh.example.com/approve?token=a.b-c_d>)"
    );
}

#[test]
fn discord_has_room_for_several_links_each_of_them_whole() {
    let mut announcement = example();
    let link = |number: usize| {
        let token = "t".repeat(400);
        Link::new(
            "Decide",
            &format!("https://kubefresh.example.com/approve?token={token}{number}"),
        )
    };
    announcement.links = (0..5).filter_map(link).collect();
    check_discord(&announcement);
    let body = discord::render(&announcement);
    let fields = body["embeds"][0]["fields"].as_array().unwrap();
    let links: String = fields
        .iter()
        .filter(|field| field["name"] == "Links")
        .filter_map(|field| field["value"].as_str())
        .collect();
    for link in &announcement.links {
        assert!(links.contains(&format!("[Decide](<{}>)", link.url())), "{links}");
    }
}

#[test]
fn slack_reads_entities_and_one_link() {
    let mut announcement = example();
    announcement.risks = vec!["a & b <c> *d* _e_ my_app".to_owned()];
    let body = slack::render(&announcement);
    assert_eq!(
        body["blocks"][3]["text"]["text"],
        "*Risk*\n• a &amp; b &lt;c&gt; ∗d∗ ˍeˍ my_app"
    );
    assert_eq!(
        body["blocks"][5]["text"]["text"],
        "<https://kubefresh.example.com/approve?token=a.b-c_d|Decide>"
    );
}

#[test]
fn a_template_that_cannot_be_meant_is_refused_with_the_reason() {
    let event = json!({});
    let refused = |source: &str| Template::new(source, &event).map(|_| ()).unwrap_err();
    assert!(matches!(refused("{% if %}"), TemplateError::Wrong(why) if why.contains("line 1")));
    assert!(matches!(refused("{{ tilte }}"), TemplateError::Wrong(why) if why.contains("undefined")));
    assert!(matches!(
        refused(r#"{"a": "{{ title }}"}"#),
        TemplateError::NoJson(_)
    ));
    assert_eq!(refused(&" ".repeat(70_000)), TemplateError::TooLong);
    assert_eq!(
        refused("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"),
        TemplateError::TooMuch
    );
    let long = "[{% for a in range(9000) %}\"0123456789\",{% endfor %}0]";
    assert_eq!(refused(long), TemplateError::MakesTooMuch);
    let good = Template::new(r#"{"text": {{ title }}, "tag": {{ changes[0].to }}}"#, &event).unwrap();
    let made = good.render(&example(), &event).unwrap();
    assert!(made.starts_with(r#"{"text": "Update waits"#), "{made}");
}
