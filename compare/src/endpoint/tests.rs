use proptest::prelude::*;

use super::*;
use crate::sample::Sample;

fn template(method: &str, target: &str) -> String {
    let mut name = Vec::new();
    write_template(&mut name, method.as_bytes(), target.as_bytes());
    String::from_utf8(name).unwrap()
}

/// Endpoints of one service.
struct Shop {
    endpoints: Endpoints,
    policy: ServicePolicy,
}

impl Shop {
    fn new(routes: &[&str]) -> Self {
        let mut policy = ServicePolicy::new("shop");
        policy.routes = routes.iter().map(|route| route.parse().unwrap()).collect();
        Self { endpoints: Endpoints::default(), policy }
    }

    /// The endpoint of a request that is answered with this status.
    fn answered(&mut self, status: u16, method: &str, target: &str) -> String {
        self.of(Sample::new("1").method(method).target(target).status(status))
    }

    fn of(&mut self, sample: Sample) -> String {
        let exchange = sample.primary();
        let id = self.endpoints.of(ServiceId(0), &self.policy, Some(&exchange));
        self.endpoints.name(id).to_string()
    }

    fn get(&mut self, target: &str) -> String {
        self.answered(200, "GET", target)
    }

    fn learned(&mut self) -> Vec<String> {
        let all = self.endpoints.take_learned();
        all.iter().map(|learned| format!("{} {}", learned.template, learned.takes)).collect()
    }
}

/// The `n`th of many words: letters only.
fn word(n: usize) -> String {
    let mut word = String::new();
    let mut rest = n + 26;
    while rest > 0 {
        word.push(char::from(b'a' + (rest % 26) as u8));
        rest /= 26;
    }
    word
}

#[test]
fn identifiers_become_id_and_names_stay() {
    for (target, expected) in [
        ("/api/v1/items/42?x=7", "/api/v1/items/{id}"),
        ("/api/v1/items/42.json", "/api/v1/items/{id}.json"),
        ("/cars;color=red/7;x=1?y", "/cars/{id}"),
        ("/u/123e4567-e89b-12d3-a456-426614174000/x", "/u/{id}/x"),
        ("/blob/9f86d081884c7d65", "/blob/{id}"),
        ("/blob/9f86d081884c7d6", "/blob/9f86d081884c7d6"),
        ("/blob/effacedfacadedecade", "/blob/effacedfacadedecade"),
        ("/7/7a/007", "/{id}/7a/{id}"),
        ("/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/t/{id}"),
        ("/s/dGhpcyBpcyBhIHRva2VuMQ==", "/s/{id}"),
        ("/posts/ten-years-of-http-2-in-2025-and-on", "/posts/ten-years-of-http-2-in-2025-and-on"),
        ("/api/v2/deadbeef/decade", "/api/v2/deadbeef/decade"),
        ("/internationalization", "/internationalization"),
        ("/", "/"),
        ("//a/", "//a/"),
        ("http://h/items/1", "/items/{id}"),
        ("*", "*"),
        ("/caf\u{e9}/\u{1}", "/caf??/?"),
    ] {
        assert_eq!(template("GET", target), format!("GET {expected}"));
    }
}

#[test]
fn a_name_is_bounded() {
    let long = template("GET", &format!("/{}", "ab/".repeat(500)));
    assert!(long.len() == NAME_BYTES && long.ends_with('…'), "{long}");
    assert!(template(&"M".repeat(900), &"/x".repeat(900)).len() <= NAME_BYTES);
    let mut shop = Shop::new(&["/x/**"]);
    assert!(shop.answered(200, &"M".repeat(900), "/x/y").len() <= NAME_BYTES);
}

#[test]
fn endpoints_beyond_the_cap_are_counted_together() {
    let mut shop = Shop::new(&[]);
    // Few enough at each place to stay what they are.
    for i in 0..ENDPOINTS_PER_SERVICE {
        let target = format!("/{}/{}", word(i / 40), word(i % 40));
        assert_eq!(shop.get(&target), format!("GET {target}"));
    }
    let first = format!("/{}/{}", word(0), word(0));
    assert_eq!(shop.get(&first), format!("GET {first}"));
    assert_eq!(shop.get("/one-more"), "GET {other}");
    assert_eq!(shop.answered(200, "POST", "/one-more"), "POST {other}");
    assert_eq!(shop.answered(200, "BREW", "/one-more"), "* {other}");
    assert_eq!(shop.endpoints.services[0].known.len(), ENDPOINTS_PER_SERVICE + 3);
}

#[test]
fn services_have_endpoints_of_their_own() {
    let mut endpoints = Endpoints::default();
    let policy = ServicePolicy::new("shop");
    let exchange = Sample::new("1").primary();
    let one = endpoints.of(ServiceId(3), &policy, Some(&exchange));
    let other = endpoints.of(ServiceId(0), &policy, Some(&exchange));
    assert_ne!(one, other);
    assert_eq!(endpoints.name(one), endpoints.name(other));
    assert_eq!(endpoints.service(one), ServiceId(3));
    let unseen = endpoints.of(ServiceId(0), &policy, None);
    assert_eq!(&**endpoints.name(unseen), "-");
}

#[test]
fn slugs_become_one_endpoint_and_words_beside_them_stay() {
    let mut shop = Shop::new(&[]);
    assert_eq!(shop.get("/articles/search"), "GET /articles/search");
    for n in 0..19 {
        let target = format!("/articles/ten-years-of-{}/comments", word(n));
        assert_eq!(shop.get(&target), format!("GET {target}"));
    }
    assert_eq!(shop.learned(), [""; 0]);
    assert_eq!(shop.get("/articles/the-20th-of-them"), "GET /articles/{slug}");
    assert_eq!(shop.learned(), ["GET /articles/{slug} slugs"]);
    assert_eq!(shop.get("/articles/ten-years-of-x/comments"), "GET /articles/{slug}/comments");
    assert_eq!(shop.get("/articles/search"), "GET /articles/search");
    assert_eq!(shop.answered(200, "PUT", "/articles/ten-of-them"), "PUT /articles/ten-of-them");
    // The places of those that were are free again.
    assert_eq!(shop.endpoints.services[0].known.len(), 4);
}

#[test]
fn an_api_s_root_stays_and_cities_do_not() {
    let mut shop = Shop::new(&[]);
    for round in 0..20 {
        for n in 0..50 {
            let target = format!("/api/v1/{}", word(n));
            assert_eq!(shop.get(&target), format!("GET {target}"), "{round}");
        }
    }
    for n in 0..99 {
        shop.get(&format!("/weather/{}", word(n)));
    }
    assert_eq!(shop.learned(), [""; 0]);
    assert_eq!(shop.get("/weather/berlin"), "GET /weather/{slug}");
    assert_eq!(shop.learned(), ["GET /weather/{slug} all"]);
    assert_eq!(shop.get("/api/v1/a"), "GET /api/v1/a");
}

#[test]
fn many_words_that_are_seen_often_stay_up_to_a_point() {
    let mut shop = Shop::new(&[]);
    for n in 0..399 {
        for _ in 0..5 {
            let target = format!("/rpc/{}", word(n));
            assert_eq!(shop.get(&target), format!("GET {target}"));
        }
    }
    assert_eq!(shop.get("/rpc/more"), "GET /rpc/{slug}");
}

#[test]
fn extensions_stay_and_versions_are_no_slugs() {
    let mut shop = Shop::new(&[]);
    for n in 0..20 {
        shop.get(&format!("/img/photo-{n}-small.png"));
        shop.get(&format!("/v{n}/items"));
    }
    assert_eq!(shop.get("/img/photo-x-small.png"), "GET /img/{slug}.png");
    assert_eq!(shop.get("/img/photo-x-small.jpg"), "GET /img/photo-x-small.jpg");
    assert_eq!(shop.get("/v3/items"), "GET /v3/items");
}

#[test]
fn what_is_not_there_is_not_learned_from() {
    let mut shop = Shop::new(&[]);
    for n in 0..900 {
        shop.answered(404, "GET", &format!("/{}-{n}.php", word(n)));
    }
    assert_eq!(shop.learned(), [""; 0]);
    assert_eq!(shop.get("/items"), "GET /items");
    assert_eq!(shop.answered(404, "GET", "/no-more"), "GET {other}");
    // What went well once counts from there on.
    for status in [404, 200] {
        for n in 0..20 {
            shop.answered(status, "GET", &format!("/x/a-{n}"));
        }
    }
    assert_eq!(shop.learned(), ["GET /x/{slug} slugs"]);
}

#[test]
fn grpc_paths_stay_whatever_they_look_like() {
    let mut shop = Shop::new(&[]);
    for n in 0..120 {
        let target = format!("/shop.v1.Shop{n}/Get{n}");
        let call = Sample::new("1").method("POST").target(&target);
        assert_eq!(
            shop.of(call.header("content-type", "application/grpc")),
            format!("POST {target}")
        );
    }
}

#[test]
fn routes_come_first() {
    let mut shop = Shop::new(&["/posts/{slug}", "GET /files/**", "/items/special"]);
    assert_eq!(shop.get("/posts/7?x"), "GET /posts/{slug}");
    assert_eq!(shop.answered(404, "PUT", "/posts/a"), "PUT /posts/{slug}");
    assert_eq!(shop.get("/files/a/7"), "GET /files/**");
    assert_eq!(shop.answered(200, "POST", "/files/a/7"), "POST /files/a/{id}");
    assert_eq!(shop.get("/items/7"), "GET /items/{id}");
    // Also where something else was learned.
    for n in 0..25 {
        shop.get(&format!("/items/a-{n}"));
        shop.get(&format!("/posts/a-{n}"));
    }
    assert_eq!(shop.learned(), ["GET /items/{slug} slugs"]);
    assert_eq!(shop.get("/items/special"), "GET /items/special");
}

#[test]
fn what_was_learned_goes_on_after_a_restart_and_folds_old_names() {
    let mut shop = Shop::new(&[]);
    let mut names = Vec::new();
    for n in 0..20 {
        names.push(shop.get(&format!("/users/user{n}/posts")));
        for m in 0..20 {
            shop.get(&format!("/users/user{n}/posts/post-{m}"));
        }
    }
    let learned = shop.endpoints.take_learned();
    let mut next = Shop::new(&[]);
    for template in &learned {
        next.endpoints.know(template);
    }
    assert_eq!(next.get("/users/new1/posts/new-2"), "GET /users/{slug}/posts/{slug}");
    assert_eq!(next.learned(), [""; 0]);
    let fold = |name: &str| {
        let mut name = name.to_owned();
        while let Some(folded) = learned.iter().find_map(|template| template.covers(&name)) {
            name = folded;
        }
        name
    };
    assert_eq!(fold(&names[0]), "GET /users/{slug}/posts");
    assert_eq!(fold("GET /users/user1/posts/post-1"), "GET /users/{slug}/posts/{slug}");
    assert_eq!(fold("GET /users/me/posts/post-1"), "GET /users/me/posts/post-1");
    assert_eq!(fold("GET /users"), "GET /users");
    assert_eq!("all".parse(), Ok(Takes::All));
}

#[test]
fn what_was_learned_below_a_name_holds_below_what_stands_for_it() {
    let mut shop = Shop::new(&[]);
    for n in 0..20 {
        shop.get(&format!("/users/user1/posts/post-{n}"));
    }
    assert_eq!(shop.learned(), ["GET /users/user1/posts/{slug} slugs"]);
    for n in 2..21 {
        shop.get(&format!("/users/user{n}"));
    }
    assert_eq!(shop.learned(), ["GET /users/{slug} slugs", "GET /users/{slug}/posts/{slug} slugs"]);
    assert_eq!(shop.get("/users/user99/posts/post-99"), "GET /users/{slug}/posts/{slug}");
}

#[test]
fn names_that_become_one_make_room_whether_they_went_well_or_not() {
    let mut shop = Shop::new(&[]);
    for n in 0..100 {
        shop.answered(404, "GET", &format!("/x/a-{n}"));
    }
    assert_eq!(shop.endpoints.services[0].failed, 100);
    for n in 0..20 {
        shop.get(&format!("/x/b-{n}"));
    }
    let service = &shop.endpoints.services[0];
    assert_eq!((service.failed, service.known.len()), (0, 1));
    let seen = service.known.values().map(|known| known.seen).sum::<u64>();
    // Each request once, and the last under both of its names.
    assert!((120..=122).contains(&seen), "{seen}");
}

#[test]
fn hostile_paths_are_bounded() {
    let mut shop = Shop::new(&[]);
    for n in 0..4_000_usize {
        let depth = n % 40;
        let target: String =
            (0..depth).map(|at| format!("/{}{}", word(n * at % 997), n % 7)).collect();
        shop.get(&target);
    }
    let service = &shop.endpoints.services[0];
    assert!(service.known.len() <= ENDPOINTS_PER_SERVICE + 1, "{}", service.known.len());
}

#[test]
fn names_that_templates_swallow_are_bounded_too() {
    let mut shop = Shop::new(&[]);
    for place in 0..300 {
        for n in 0..20 {
            shop.get(&format!("/{}/{}/x-{n}", word(place / 40), word(place % 40)));
        }
    }
    let (ever, known) = (shop.endpoints.all.len(), shop.endpoints.services[0].known.len());
    assert!((EVER_PER_SERVICE..EVER_PER_SERVICE + 10).contains(&ever), "{ever}");
    assert!(known < 300, "{known}");
    assert_eq!(shop.get("/new"), "GET {other}");
    assert_eq!(shop.get(&format!("/{}/{}/x-y-z", word(0), word(0))).matches("{slug}").count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// With less than a hundred words at a place, or none that is not a slug.
    #[test]
    fn the_order_of_the_traffic_does_not_matter(
        order in Just((0..240_usize).collect::<Vec<_>>()).prop_shuffle(),
        users in 15_usize..40,
        posts in 5_usize..30,
    ) {
        let target = |n: usize| match n % 4 {
            0 => format!("/api/{}", word(n / 4)),
            1 => format!("/users/user{}/posts/post-{}", n % users, n % posts),
            2 => format!("/users/user{}", n % users),
            _ => format!("/img/a-b-{}.png", n % 25),
        };
        let names = |order: &[usize]| {
            let mut shop = Shop::new(&[]);
            for &n in order {
                shop.get(&target(n));
            }
            let names: Vec<String> = (0..240).map(|n| shop.get(&target(n))).collect();
            (names, shop.endpoints.services[0].known.len())
        };
        let sorted: Vec<usize> = (0..240).collect();
        prop_assert_eq!(names(&order), names(&sorted));
    }

    #[test]
    fn any_target_has_a_name(targets in prop::collection::vec(any::<String>(), 0..60)) {
        let mut shop = Shop::new(&["/a/{b}"]);
        for target in targets {
            prop_assert!(shop.get(&target).len() <= NAME_BYTES);
        }
    }
}
