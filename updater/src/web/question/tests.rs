use super::*;
use shared::domain::workload::{WorkloadId, WorkloadKind};

fn line(namespace: &str, name: &str, state: State) -> Line {
    Line {
        workload: WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        container: Some("app".to_owned()),
        image: Some(format!("registry.example/{name}:1")),
        target: None,
        newest: None,
        mode: None,
        state,
        since: None,
        why: String::new(),
        last: None,
    }
}

fn question(fields: &[(&str, &str)]) -> Result<Question, String> {
    let field = |name: &str| {
        let found = fields.iter().find(|(key, _)| *key == name);
        found.map_or_else(String::new, |(_, value)| (*value).to_owned())
    };
    let query = Query {
        q: field("q"),
        namespace: field("namespace"),
        state: field("state"),
        sort: field("sort"),
        page: field("page"),
    };
    query.read()
}

fn names(fields: &[(&str, &str)], lines: &[Line]) -> String {
    let found = question(fields).unwrap().answer(lines);
    let names = found.lines.iter().map(|line| line.workload.name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_asked_for_is_found_and_what_needs_a_look_comes_first() {
    let lines = [
        line("shop", "b", State::UpToDate),
        line("shop", "a", State::UpToDate),
        line("shop", "d", State::Waiting),
        line("blog", "c", State::Failed),
    ];
    assert_eq!(names(&[], &lines), "c d a b");
    assert_eq!(names(&[("sort", "workload")], &lines), "c a b d");
    assert_eq!(names(&[("namespace", "shop")], &lines), "d a b");
    assert_eq!(names(&[("state", "needs-a-look")], &lines), "c d");
    assert_eq!(names(&[("state", "up-to-date")], &lines), "a b");
    assert_eq!(names(&[("q", "shop/d")], &lines), "d");
    assert_eq!(names(&[("q", " registry.example/a ")], &lines), "a");
    assert_eq!(names(&[("q", "<script>")], &lines), "");
}

#[test]
fn what_cannot_be_meant_is_said_and_what_is_empty_was_not_given() {
    for (field, value) in [("state", "dead"), ("sort", "price"), ("page", "0"), ("page", "x")] {
        let problem = question(&[(field, value)]).unwrap_err();
        assert!(problem.starts_with(&format!("{field}: \"{value}\"")), "{problem}");
    }
    assert_eq!(question(&[]).unwrap().page(), 1);
}

#[test]
fn a_page_has_a_hundred_rows_and_its_neighbours_ask_the_same() {
    let lines: Vec<Line> = (0..250)
        .map(|number| line("shop", &format!("w{number:03}"), State::Waiting))
        .collect();
    let of = |page| question(&[("q", "w&é"), ("page", page)]).unwrap();
    assert_eq!(of("2").address_of(3), "/?q=w%26%C3%A9&sort=state&page=3");
    let found = question(&[("page", "3")]).unwrap().answer(&lines);
    assert_eq!((found.lines.len(), found.total, found.pages), (50, 250, 3));
    let found = question(&[("page", "9999999999999999")]).unwrap().answer(&lines);
    assert_eq!((found.lines.len(), found.pages), (0, 3));
}
