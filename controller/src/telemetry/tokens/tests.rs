//! Reviews as an API server answers them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const ACCOUNT: &str = "system:serviceaccount:weir-system:weir-agent";

fn status() -> Value {
    json!({
        "authenticated": true,
        "audiences": [AUDIENCE],
        "user": {
            "username": ACCOUNT,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "extra": {
                "authentication.kubernetes.io/node-name": ["n1"],
                "authentication.kubernetes.io/pod-name": ["weir-agent-x"],
            },
        },
    })
}

/// Makes a review another one.
type Change<'a> = &'a dyn Fn(&mut Value);

/// Seen red with: the comparison of audiences, or of the name, left out of `judge`.
#[test]
fn a_review_tells_of_an_agents_node_or_of_none() {
    let judged = |change: Change<'_>| {
        let mut status = status();
        change(&mut status);
        judge(&serde_json::from_value(status).unwrap(), ACCOUNT)
    };
    assert_eq!(judged(&|_| {}).unwrap().as_str(), "n1");
    let extra = "authentication.kubernetes.io/node-name";
    let rows: [(&str, Change<'_>); 9] = [
        ("not valid", &|s| s["authenticated"] = json!(false)),
        ("not valid", &|s| *s = json!({})),
        ("somebody else", &|s| {
            s["audiences"] = json!(["https://kubernetes"])
        }),
        ("somebody else", &|s| s["audiences"] = Value::Null),
        ("not an agent", &|s| {
            s["user"]["username"] = json!("system:serviceaccount:default:weir-agent");
        }),
        ("not an agent", &|s| s["user"] = json!({})),
        ("bound to a pod", &|s| s["user"]["extra"] = json!({})),
        ("bound to a pod", &|s| {
            s["user"]["extra"][extra] = json!(["n1", "n2"])
        }),
        ("no node's name", &|s| {
            s["user"]["extra"][extra] = json!(["N/1"])
        }),
    ];
    for (why, change) in rows {
        let denied = judged(change).unwrap_err().to_string();
        assert!(denied.contains(why), "{why}: {denied}");
    }
}

/// Paths and bodies of requests.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A client of an API server that answers with this, and what it was asked.
fn client(code: StatusCode, answer: Value) -> (Client, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (seen, answer) = (Arc::clone(&seen), answer.to_string());
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&body).unwrap();
            seen.lock().unwrap().push((path, body));
            let response = Response::builder().status(code);
            Ok::<_, Infallible>(response.body(Body::from(answer.into_bytes())).unwrap())
        }
    });
    (Client::new(service, "default"), asked)
}

#[tokio::test]
async fn a_token_is_reviewed_for_our_audience() {
    let answer = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "metadata": {},
        "spec": {},
        "status": status(),
    });
    let (client, asked) = client(StatusCode::CREATED, answer);
    let tokens = Tokens::new(client, "weir-system", "weir-agent");
    let agent = tokens
        .review(&Token::new("secret".to_owned()))
        .await
        .unwrap();
    assert_eq!((agent.node.as_str(), agent.valid_for), ("n1", BELIEVED));
    let asked = asked.lock().unwrap();
    let [(path, body)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(path, "/apis/authentication.k8s.io/v1/tokenreviews");
    assert_eq!(
        body["spec"],
        json!({"token": "secret", "audiences": [AUDIENCE]})
    );
}

#[tokio::test]
async fn an_api_server_that_fails_makes_nobody_known() {
    let answer = json!({"kind": "Status", "code": 403, "message": "no", "reason": "Forbidden"});
    let (client, _) = client(StatusCode::FORBIDDEN, answer);
    let tokens = Tokens::new(client, "weir-system", "weir-agent");
    let denied = tokens
        .review(&Token::new("secret".to_owned()))
        .await
        .unwrap_err();
    assert!(matches!(denied, Denied::Unavailable(_)), "{denied}");
}
