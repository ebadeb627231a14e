//! Agents' ServiceAccount tokens, in a cluster: its API server says whose they are.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use thiserror::Error;
use weir_api::names::NodeName;
use weir_telemetry::AUDIENCE;
use weir_telemetry::server::{Agent, Denied, Token};

/// For how long a review is believed: a token may be revoked, as when its pod is deleted, and nobody tells.
const BELIEVED: Duration = Duration::from_secs(15 * 60);

/// What an API server adds to a user about the node of the pod that a token is bound to (Kubernetes 1.30 and later).
const NODE: &str = "authentication.kubernetes.io/node-name";

/// Knows agents by tokens that are bound to their pods.
#[derive(Clone)]
pub struct Tokens {
    api: Api<TokenReview>,
    account: String,
}

/// The API server could not review a token.
#[derive(Debug, Error)]
#[error("the API server did not review a token")]
struct ReviewError(#[source] kube::Error);

impl Tokens {
    /// Tokens of one ServiceAccount, the agents'.
    #[must_use]
    pub fn new(client: Client, namespace: &str, account: &str) -> Self {
        Tokens {
            api: Api::all(client),
            account: format!("system:serviceaccount:{namespace}:{account}"),
        }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// It is no agent's, or the API server does not answer.
    pub async fn review(&self, token: &Token) -> Result<Agent, Denied> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.as_str().to_owned(),
                // A token for the API itself is none for us: whoever gets to see ours can do nothing else with it, and the other way round.
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            ..TokenReview::default()
        };
        let reviewed = self.api.create(&PostParams::default(), &review).await;
        let reviewed = reviewed.map_err(|e| Denied::Unavailable(Box::new(ReviewError(e))))?;
        let status = reviewed.status.unwrap_or_default();
        Ok(Agent {
            node: judge(&status, &self.account)?,
            valid_for: BELIEVED,
        })
    }
}

/// The node that a review tells of.
fn judge(status: &TokenReviewStatus, account: &str) -> Result<NodeName, Denied> {
    let unknown = |why: &str| Denied::Unknown(why.to_owned());
    if status.authenticated != Some(true) {
        return Err(unknown("the token is not valid"));
    }
    // An authenticator that knows nothing of audiences leaves them out, and may have let any token in.
    let audiences = status.audiences.as_deref().unwrap_or_default();
    if !audiences.iter().any(|audience| audience == AUDIENCE) {
        return Err(unknown("the token is for somebody else"));
    }
    let user = status.user.clone().unwrap_or_default();
    let name = user.username.unwrap_or_default();
    if name != account {
        return Err(Denied::NoAgent(name));
    }
    let extra: BTreeMap<String, Vec<String>> = user.extra.unwrap_or_default();
    match extra.get(NODE).map(Vec::as_slice) {
        Some([node]) => node
            .parse()
            .map_err(|_| unknown("the token's node is no node's name")),
        _ => Err(unknown(
            "the token does not tell of one node: it must be bound to a pod",
        )),
    }
}

#[cfg(test)]
mod tests;
