//! What a browser holds against a page, and whom else the page wanted to ask.

use reqwest::Url;
use serde_json::Value;

/// What an event says against a page of this address.
pub(super) fn complaint(event: &Value, home: &Url) -> Option<String> {
    let said = &event["params"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("a script failed: {}", said["exceptionDetails"])),
        "Runtime.consoleAPICalled" => {
            let is_bad = ["error", "warning", "assert"].contains(&said["type"].as_str()?);
            is_bad.then(|| format!("the console says {}", said["args"]))
        }
        "Log.entryAdded" => {
            let entry = &said["entry"];
            let is_bad = ["error", "warning"].contains(&entry["level"].as_str()?);
            is_bad.then(|| {
                format!(
                    "{}: {} {}",
                    text(&entry["source"]),
                    text(&entry["text"]),
                    text(&entry["url"])
                )
            })
        }
        "Audits.issueAdded" => Some(format!(
            "issue {}: {}",
            said["issue"]["code"], said["issue"]["details"]
        )),
        "Network.requestWillBeSent" => {
            let url = text(&said["request"]["url"]);
            let is_ours = Url::parse(&url).is_ok_and(|asked| asked.origin() == home.origin());
            (!is_ours).then(|| format!("it asks {url}"))
        }
        // What is under way when somebody goes to the next page is let go.
        "Network.loadingFailed" if said["canceled"] != true => {
            Some(format!("not loaded: {}", text(&said["errorText"])))
        }
        _ => None,
    }
}
