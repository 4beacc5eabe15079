//! What a script takes that asks the same registry with tools for one image at a time.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use crate::fixture::Shop;
use crate::report::{Figure, median};

/// How many images each tool is asked about.
const IMAGES: usize = 20;

/// A tool that answers which tags there are, or what a tag points at.
struct Tool {
    name: &'static str,
    list: &'static [&'static str],
    digest: &'static [&'static str],
    /// Before the name of the registry.
    scheme: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool {
        name: "skopeo",
        list: &["list-tags", "--tls-verify=false"],
        digest: &[
            "inspect",
            "--tls-verify=false",
            "--no-tags",
            "--format={{.Digest}}",
        ],
        scheme: "docker://",
    },
    Tool {
        name: "crane",
        list: &["ls", "--insecure"],
        digest: &["digest", "--insecure"],
        scheme: "",
    },
    Tool {
        name: "regctl",
        list: &["tag", "ls"],
        digest: &["image", "digest"],
        scheme: "",
    },
];

/// For each tool the time for one image beside ours, which is `ours` milliseconds.
pub(crate) async fn beside(shop: &Shop, ours: f64) -> Vec<Figure> {
    let mut figures = vec![Figure::new("scanner, for each image", ours, "ms")];
    for tool in &TOOLS {
        match each(shop, tool).await {
            Some(milliseconds) => {
                let name = format!("{}, for each image", tool.name);
                figures.push(Figure::new(&name, milliseconds, "ms"));
                figures.push(Figure::new("… beside the scanner", milliseconds / ours, "×"));
            }
            None => figures.push(Figure::absent(tool.name)),
        }
    }
    figures
}

/// Milliseconds for each image; `None` when the tool is not there.
async fn each(shop: &Shop, tool: &Tool) -> Option<f64> {
    let mut times = Vec::new();
    for (number, repository) in shop.repositories.iter().take(IMAGES).enumerate() {
        let image = format!("{}{}/{repository}", tool.scheme, shop.host);
        let (words, image) = if Shop::follows_digest(number) {
            (tool.digest, format!("{image}:1.4.0"))
        } else {
            (tool.list, image)
        };
        let started = Instant::now();
        let status = Command::new(tool.name)
            .args(words)
            .arg(&image)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .ok()?;
        assert!(status.success(), "{} {words:?} {image}: {status}", tool.name);
        times.push(1000.0 * started.elapsed().as_secs_f64());
    }
    Some(median(times))
}
