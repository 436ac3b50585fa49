//! TLS on the origin's port, beside cleartext; certificates that change while it runs.

#![allow(clippy::unwrap_used, reason = "a test has nobody else to report to")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Origin;
use mobz_core::hls::data::{DataKind, InitFields};
use mobz_core::hls::stream::Settings;
use mobz_core::hls::testing::{Encoder, video_init};
use reqwest::{Certificate, Client, Version};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long a new certificate may take to be in use.
const SOON: Duration = Duration::from_secs(20);

/// A certificate and key for 127.0.0.1 in two files.
struct Files {
    folder: TempDir,
}

impl Files {
    /// Both files written; returns how a client trusts them.
    fn new() -> (Self, Certificate) {
        let files = Self { folder: TempDir::new().unwrap() };
        let trusted = files.write();
        (files, trusted)
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// A fresh pair.
    fn write(&self) -> Certificate {
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(self.key(), pair.signing_key.serialize_pem()).unwrap();
        fs::write(self.certificate(), pair.cert.pem()).unwrap();
        Certificate::from_pem(pair.cert.pem().as_bytes()).unwrap()
    }

    async fn serve(&self) -> Origin {
        let flags =
            ["--tls-cert", path(&self.certificate()), "--tls-key", path(&self.key())].map(str::to_owned);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let origin = Origin::start_with(&flags, Settings::default()).await;
        origin.send(DataKind::Init(InitFields::default()), video_init()).await.unwrap();
        origin.part(Encoder::default().part(500, true)).await;
        origin
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn client(trusted: &Certificate) -> reqwest::ClientBuilder {
    Client::builder().no_proxy().tls_certs_only([trusted.clone()])
}

fn url(origin: &Origin) -> String {
    format!("https://{}/hls/demo/main/media.m3u8", origin.address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_serves_tls_with_http_2_and_1_and_cleartext() {
    let (files, trusted) = Files::new();
    let origin = files.serve().await;
    let secure = url(&origin);
    let clear = secure.replace("https", "http");
    let newest = client(&trusted).build().unwrap();
    let old = client(&trusted).http1_only().build().unwrap();
    let prior = Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let plain = Client::builder().no_proxy().build().unwrap();
    let mut texts = Vec::new();
    for (client, url, version) in [
        (newest, &secure, Version::HTTP_2),
        (old, &secure, Version::HTTP_11),
        (prior, &clear, Version::HTTP_2),
        (plain, &clear, Version::HTTP_11),
    ] {
        let response = client.get(url).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        texts.push(response.text().await.unwrap());
    }
    assert!(texts.iter().all(|text| *text == texts[0] && text.starts_with("#EXTM3U")), "{texts:?}");
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_taken_and_a_broken_one_keeps_the_old() {
    let (files, old) = Files::new();
    let origin = files.serve().await;
    // Each with connections of its own.
    let is_trusted = async |trusted: &Certificate| {
        client(trusted)
            .build()
            .unwrap()
            .get(url(&origin))
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200)
    };
    assert!(is_trusted(&old).await);

    let new = files.write();
    let deadline = Instant::now() + SOON;
    while !is_trusted(&new).await {
        assert!(Instant::now() < deadline, "the new certificate is not in use");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!is_trusted(&old).await);

    // Broken, then gone, and good again: in between the last good one is served.
    fs::write(files.certificate(), "no certificate").unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(is_trusted(&new).await);
    fs::remove_file(files.key()).unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(is_trusted(&new).await);
    let newest = files.write();
    let deadline = Instant::now() + SOON;
    while !is_trusted(&newest).await {
        assert!(Instant::now() < deadline, "the newest certificate is not in use");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    origin.stop().await;
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_at_the_start_with_its_file() {
    let (files, _) = Files::new();
    let (other, _) = Files::new();
    let text = files.folder.path().join("text");
    fs::write(&text, "no certificate").unwrap();
    let nowhere = files.folder.path().join("nowhere");
    for (certificate, key, expected) in [
        (&text, &files.key(), "no certificate chain in PEM form in "),
        (&files.certificate(), &text, "no private key in PEM form in "),
        (&nowhere, &files.key(), "cannot read "),
        (&files.certificate(), &other.key(), "cannot be used together"),
    ] {
        let flags = ["--tls-cert", path(certificate), "--tls-key", path(key)];
        let refused = common::refused(&flags).await;
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains(expected), "{cause}");
    }
}
