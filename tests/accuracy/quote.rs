//! What the service says in protobuf: quotes.

use std::sync::LazyLock;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::schema::Schema;

const SOURCE: &str = r#"
syntax = "proto3";
package shop;
enum State { UNKNOWN = 0; OPEN = 1; DONE = 2; }
message Money { int64 cents = 1; string currency = 2; }
message Part { string name = 1; int32 count = 2; }
message Quote {
  int64 number = 1;
  string name = 2;
  Money price = 3;
  repeated string steps = 4;
  map<string, int64> stock = 5;
  State state = 6;
  int64 reserved = 7;
  repeated int32 codes = 8;
  optional int32 discount = 9;
  string made_at = 10;
  string trace_id = 11;
  int64 served = 12;
  repeated Part parts = 13;
  bytes nonce = 14;
  Money shipping = 15;
}
"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new(SOURCE));

/// The same messages, with numbers of a list each on its own.
static UNPACKED: LazyLock<Schema> = LazyLock::new(|| {
    Schema::new(&SOURCE.replace("int32 codes = 8", "int32 codes = 8 [packed = false]"))
});

/// `reserved`, said to be what it is where it is not there: zero.
const RESERVED: [u8; 2] = [7 << 3, 0];

/// A quote: what protobuf's JSON mapping says of it, and what no description knows.
#[derive(Clone, Debug)]
pub(crate) struct Quote {
    pub(crate) fields: Value,
    pub(crate) unknown: Vec<u8>,
}

/// The descriptor set.
pub(crate) fn descriptor_set() -> &'static [u8] {
    SCHEMA.set()
}

impl Quote {
    /// The `n`th.
    pub(crate) fn new(n: u64) -> Self {
        let fields = json!({
            "number": (n + 1).to_string(),
            "name": format!("quote {n}"),
            "price": { "cents": (9_007_199_254_740_993 + n).to_string(), "currency": "EUR" },
            "steps": ["cut", "fold", "glue", "press", "dry", "paint"],
            "stock": { "north": "3", "south": n.to_string(), "east": "0" },
            "state": "OPEN",
            "codes": [3, 1, 70_000, -1],
            "discount": 0,
            "parts": [{ "name": "lid", "count": 1 }, { "name": "leg", "count": 4 }],
        });
        Self { fields, unknown: Vec::new() }
    }

    /// On the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [SCHEMA.encoded("shop.Quote", &self.fields), self.unknown.clone()].concat()
    }

    /// On the wire with its fields in any order, lists of numbers not packed, and a default that is
    /// written. Messages that follow each other are merged (protobuf's encoding guide).
    pub(crate) fn bytes_otherwise(&self, rng: &mut Rng) -> Vec<u8> {
        let fields = self.fields.as_object().into_iter().flatten();
        let mut pieces: Vec<Vec<u8>> = fields
            .map(|(name, value)| {
                UNPACKED.encoded("shop.Quote", &Value::from_iter([(name.clone(), value.clone())]))
            })
            .chain([RESERVED.to_vec(), self.unknown.clone()])
            .collect();
        rng.shuffle(&mut pieces);
        pieces.concat()
    }
}

#[test]
fn the_other_encoding_is_other_bytes_that_say_the_same() {
    let quote = Quote::new(1);
    let said = |bytes: &[u8]| SCHEMA.decoded("shop.Quote", bytes);
    let (one, other) = (quote.bytes(), quote.bytes_otherwise(&mut Rng::with_seed(1)));
    assert_eq!(said(&one), said(&other));
    // Two bytes for the default; the four numbers, a tag each in place of one and a length.
    assert_eq!(other.len(), one.len() + RESERVED.len() + 2);
}
