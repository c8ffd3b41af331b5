//! Pairs of JSON documents with planted differences.

use fastrand::Rng;
use serde_json::{Value, json};

/// One pair.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The primary's answer.
    pub(crate) primary: String,
    /// The shadow's.
    pub(crate) shadow: String,
    /// Differences in it.
    pub(crate) planted: usize,
}

const WORDS: [&str; 16] = [
    "anchor", "basket", "copper", "double", "engine", "fabric", "garden", "handle", "island",
    "jacket", "kettle", "ladder", "marble", "needle", "orange", "pocket",
];

/// The same for the same arguments.
pub(crate) fn generate(pairs: u32, seed: u64) -> Vec<Pair> {
    let mut rng = Rng::with_seed(seed);
    (0..pairs).map(|n| pair(n, &mut rng)).collect()
}

fn pair(n: u32, rng: &mut Rng) -> Pair {
    let primary = document(n, rng);
    let mut shadow = primary.clone();
    let planted = match n % 4 {
        0 => set(&mut shadow, "/price/amount", json!(rng.u32(1_000_000..2_000_000))),
        1 => set(&mut shadow, "/tags/1", json!("changed")),
        2 => shadow["dimensions"].as_object_mut().and_then(|d| d.remove("depth")).map_or(0, |_| 1),
        _ => {
            set(&mut shadow, "/reviews/2/stars", json!(9))
                + set(&mut shadow, "/name", json!("another name"))
        }
    };
    Pair { primary: primary.to_string(), shadow: shadow.to_string(), planted }
}

fn set(document: &mut Value, pointer: &str, value: Value) -> usize {
    document.pointer_mut(pointer).map_or(0, |place| {
        *place = value;
        1
    })
}

fn document(n: u32, rng: &mut Rng) -> Value {
    let mut sentence = |words: usize| {
        (0..words).map(|_| WORDS[rng.usize(..WORDS.len())]).collect::<Vec<_>>().join(" ")
    };
    json!({
        "id": n,
        "sku": format!("SKU-{n:08}"),
        "name": sentence(3),
        "description": sentence(24),
        "available": !n.is_multiple_of(3),
        "price": { "amount": n % 100_000, "currency": "EUR", "tax": 0.19 },
        "tags": [sentence(1), sentence(1), sentence(1), sentence(1)],
        "dimensions": { "width": 12.5, "height": 3.25, "depth": 40, "unit": "cm" },
        "stock": [
            { "warehouse": "north", "count": n % 50, "shelf": sentence(1) },
            { "warehouse": "south", "count": n % 70, "shelf": sentence(1) },
        ],
        "reviews": [
            { "author": sentence(1), "stars": 4, "text": sentence(8) },
            { "author": sentence(1), "stars": 5, "text": sentence(9) },
            { "author": sentence(1), "stars": 3, "text": sentence(7) },
        ],
        "seller": { "id": n % 900, "name": sentence(2), "country": "DE" },
    })
}
