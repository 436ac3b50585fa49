//! Requests of one shape for every kind of resource.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::Client;
use crate::error::Result;

impl Client {
    /// `GET /v1/{kind}`: one page.
    pub async fn page(&self, kind: &str, cursor: Option<&str>, limit: usize, what: &str) -> Result<Value> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.json(Method::GET, self.url(&["v1", kind], &query), what).await
    }

    /// `GET /v1/{path}`.
    pub async fn one(&self, path: &[&str], query: &[(&str, String)], what: &str) -> Result<Value> {
        self.json(Method::GET, self.url(&[&["v1"], path].concat(), query), what).await
    }

    /// `POST /v1/{path}`.
    pub async fn post(&self, path: &[&str], body: &Value, what: &str) -> Result<Value> {
        let request = self.http.post(self.under_v1(path)).json(body);
        self.read(self.send(request, what).await?, what).await
    }

    /// As [`Client::post`], with another time for the answer.
    pub async fn post_within(
        &self,
        within: Duration,
        path: &[&str],
        body: &Value,
        what: &str,
    ) -> Result<Value> {
        let request = self.http.post(self.under_v1(path)).json(body);
        self.read(self.send_within(within, request, what).await?, what).await
    }

    /// `DELETE /v1/{path}`.
    pub async fn delete(&self, path: &[&str], what: &str) -> Result<()> {
        self.ask(Method::DELETE, self.under_v1(path), what).await.map(drop)
    }

    fn under_v1(&self, path: &[&str]) -> reqwest::Url {
        self.url(&[&["v1"], path].concat(), &[])
    }
}
