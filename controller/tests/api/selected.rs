//! A list by a field is found by the store's index: it is what a look at every object would find.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_controller::standalone::server::Limits;
use weir_controller::standalone::store::StoreLimits;

use crate::client::{Client, MERGE, version};
use crate::server::{Running, VOLUMES, volume};

/// What becomes of one of a few volumes.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// It is made anew, in this pool or in none, with this label.
    Make(u8, Option<u8>, u8),
    /// One that is in none is put into this pool.
    Place(u8, u8),
    Label(u8, u8),
    Delete(u8),
}

/// One demand of a selector.
#[derive(Clone, Copy, Debug)]
enum Term {
    Pool(bool, Option<u8>),
    Name(bool, u8),
    Label(u8),
}

fn change() -> impl Strategy<Value = Change> {
    let (name, pool, label) = (0..7_u8, prop::option::weighted(0.7, 0..3_u8), 0..2_u8);
    prop_oneof![
        4 => (name.clone(), pool, label.clone()).prop_map(|(n, p, l)| Change::Make(n, p, l)),
        2 => (name.clone(), 0..3_u8).prop_map(|(n, p)| Change::Place(n, p)),
        1 => (name.clone(), label).prop_map(|(n, l)| Change::Label(n, l)),
        1 => name.prop_map(Change::Delete),
    ]
}

fn term() -> impl Strategy<Value = Term> {
    let is = || prop::bool::weighted(0.8);
    prop_oneof![
        5 => (is(), prop::option::weighted(0.8, 0..4_u8)).prop_map(|(is, p)| Term::Pool(is, p)),
        1 => (is(), 0..7_u8).prop_map(|(is, n)| Term::Name(is, n)),
        1 => (0..2_u8).prop_map(Term::Label),
    ]
}

fn pool_name(pool: Option<u8>) -> String {
    pool.map_or(String::new(), |pool| format!("p{pool}"))
}

impl Change {
    /// Does it, as far as it can be done.
    async fn make(self, admin: &Client) {
        let target = |name: u8| format!("{VOLUMES}/v{name}");
        match self {
            Change::Make(name, pool, label) => {
                admin.delete(&target(name)).await;
                let mut object = volume(&format!("v{name}"), &pool_name(pool));
                if pool.is_none() {
                    object["spec"].as_object_mut().unwrap().remove("poolName");
                }
                object["metadata"]["labels"] = json!({"l": label.to_string()});
                admin.post(VOLUMES, &object).await.expect(201);
            }
            Change::Place(name, pool) => {
                let patch = json!({"spec": {"poolName": pool_name(Some(pool))}});
                admin.patch(&target(name), MERGE, &patch).await;
            }
            Change::Label(name, label) => {
                let patch = json!({"metadata": {"labels": {"l": label.to_string()}}});
                admin.patch(&target(name), MERGE, &patch).await;
            }
            Change::Delete(name) => {
                admin.delete(&target(name)).await;
            }
        }
    }
}

impl Term {
    fn holds(self, object: &Value) -> bool {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let text = |pointer| text(pointer).unwrap_or_default();
        match self {
            Term::Pool(is, pool) => (text("/spec/poolName") == pool_name(pool)) == is,
            Term::Name(is, name) => (text("/metadata/name") == format!("v{name}")) == is,
            Term::Label(label) => text("/metadata/labels/l") == label.to_string(),
        }
    }
}

/// The selector as a query has it.
fn query(terms: &[Term]) -> String {
    let sign = |is: bool| if is { "%3D" } else { "!%3D" };
    let field = |term: &Term| match *term {
        Term::Pool(is, pool) => Some(format!("spec.poolName{}{}", sign(is), pool_name(pool))),
        Term::Name(is, name) => Some(format!("metadata.name{}v{name}", sign(is))),
        Term::Label(_) => None,
    };
    let label = |term: &Term| match *term {
        Term::Label(label) => Some(format!("l%3D{label}")),
        _ => None,
    };
    let fields: Vec<_> = terms.iter().filter_map(field).collect();
    let labels: Vec<_> = terms.iter().filter_map(label).collect();
    format!(
        "fieldSelector={}&labelSelector={}",
        fields.join(","),
        labels.join(",")
    )
}

/// What of a list the selector takes, each object as it is.
fn selected(list: &Value, terms: &[Term]) -> Vec<Value> {
    let items = list["items"].as_array().unwrap().iter();
    let taken = items.filter(|item| terms.iter().all(|term| term.holds(item)));
    taken.cloned().collect()
}

/// All pages of a list; what happens meanwhile happens after the first.
async fn pages(
    admin: &Client,
    query: &str,
    limit: usize,
    meanwhile: &[Change],
) -> (String, Vec<Value>) {
    let target = format!("{VOLUMES}?{query}&limit={limit}");
    let mut page = admin.get(&target).await.expect(200);
    let of = version(&page);
    for change in meanwhile {
        change.make(admin).await;
    }
    let mut items = Vec::new();
    loop {
        assert_eq!(version(&page), of);
        let some = page["items"].as_array().unwrap();
        items.extend(some.iter().cloned());
        let Some(token) = page["metadata"]["continue"].as_str() else {
            return (of, items);
        };
        assert_eq!(some.len(), limit, "a page that others follow is full");
        page = admin
            .get(&format!("{target}&continue={token}"))
            .await
            .expect(200);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Seen red with: in `Index::change`, nothing inserted.
    #[test]
    fn a_list_by_a_field_is_what_a_look_at_all_finds(
        first in vec(change(), 1..10),
        terms in vec(term(), 1..4),
        limit in 0..4_usize,
        meanwhile in vec(change(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Running::start_with(Limits::default(), StoreLimits::default()).await;
            let admin = server.admin();
            let query = query(&terms);
            // The index is there from here on, and follows what happens.
            admin.get(&format!("{VOLUMES}?{query}")).await.expect(200);
            for change in &first {
                change.make(&admin).await;
            }
            let then = admin.get(VOLUMES).await.expect(200);
            let (of, found) = pages(&admin, &query, limit, &meanwhile).await;
            assert_eq!((&of, &found), (&version(&then), &selected(&then, &terms)));
            let now = admin.get(VOLUMES).await.expect(200);
            let (_, found) = pages(&admin, &query, limit, &[]).await;
            assert_eq!(found, selected(&now, &terms));
            let exact = format!("{VOLUMES}?{query}&resourceVersion={of}&resourceVersionMatch=Exact");
            let exact = admin.get(&exact).await.expect(200);
            assert_eq!(exact["items"], Value::from(selected(&then, &terms)));
            server.stop().await;
        });
    }
}
