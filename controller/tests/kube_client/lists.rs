//! Many objects: in pages, by labels and fields, as metadata alone, deleted together.

use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use weir_api::crd::Volume;

use crate::made::{unique, volume};
use crate::place::Place;

/// So many volumes in a pool, with the pool's name as a label too.
async fn make(api: &Api<Volume>, count: usize, pool: &str) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let mut object = volume(&unique("vol"), pool);
        object.metadata.labels = Some([("test".to_owned(), pool.to_owned())].into());
        let made = api.create(&PostParams::default(), &object).await.unwrap();
        names.push(made.metadata.name.unwrap());
    }
    names.sort();
    names
}

fn names(items: &[Volume]) -> Vec<String> {
    let name = |object: &Volume| object.metadata.name.clone().unwrap();
    items.iter().map(name).collect()
}

#[tokio::test]
async fn pages_show_one_moment() {
    let place = Place::open();
    let api = Api::<Volume>::all(place.client().await);
    let pool = unique("pool");
    let made = make(&api, 7, &pool).await;
    let mut params = ListParams::default()
        .labels(&format!("test={pool}"))
        .limit(3);
    let first = api.list(&params).await.unwrap();
    let revision = first.metadata.resource_version.clone();
    let mut seen = names(&first.items);
    // What is made or deleted between pages is not in them.
    let last = made.last().unwrap();
    api.delete(last, &DeleteParams::default()).await.unwrap();
    make(&api, 1, &pool).await;
    let mut next = first.metadata.continue_;
    while let Some(token) = next.filter(|token| !token.is_empty()) {
        params = params.continue_token(&token);
        let page = api.list(&params).await.unwrap();
        assert_eq!(page.metadata.resource_version, revision);
        seen.extend(names(&page.items));
        next = page.metadata.continue_;
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn selectors_select() {
    let place = Place::open();
    let api = Api::<Volume>::all(place.client().await);
    let (pool, other) = (unique("pool"), unique("pool"));
    let made = make(&api, 2, &pool).await;
    let others = make(&api, 1, &other).await;
    let by_field = ListParams::default().fields(&format!("spec.poolName={pool}"));
    assert_eq!(names(&api.list(&by_field).await.unwrap().items), made);
    let one = by_field.fields(&format!("spec.poolName={pool},metadata.name!={}", made[0]));
    assert_eq!(names(&api.list(&one).await.unwrap().items), made[1..]);
    let set = ListParams::default().labels(&format!("test in ({pool},{other}),!absent"));
    assert_eq!(api.list(&set).await.unwrap().items.len(), 3);
    let unknown = ListParams::default().fields("spec.capacityBytes=1");
    let error = api.list(&unknown).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 400),
        "{error:?}"
    );

    let metadata = api
        .list_metadata(&ListParams::default().labels(&format!("test={pool}")))
        .await;
    let metadata = metadata.unwrap();
    assert_eq!(metadata.items.len(), 2);
    assert_eq!(
        metadata.items[0].types.as_ref().unwrap().kind,
        "PartialObjectMetadata"
    );
    assert!(
        api.get_metadata(&made[0])
            .await
            .unwrap()
            .metadata
            .uid
            .is_some()
    );

    let ours = ListParams::default().labels(&format!("test={pool}"));
    let gone = api
        .delete_collection(&DeleteParams::default(), &ours)
        .await
        .unwrap();
    assert_eq!(gone.left().unwrap().items.len(), 2);
    assert_eq!(names(&api.list(&set).await.unwrap().items), others);
    api.delete(&others[0], &DeleteParams::default())
        .await
        .unwrap();
}
