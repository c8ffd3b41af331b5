//! The gRPC service of the shop, and what its new version gets wrong.
//!
//! `Get` answers with an item, `Watch` with a stream of three. What is wrong is by the number that is
//! asked for, in turns of ten: see [`Fault`].

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};

use super::schema::Schema;
use super::shop::{Answer, Version, gzip};

const SOURCE: &str = r#"
syntax = "proto3";
package shop;
message Ask { int64 number = 1; }
message Price { int64 cents = 1; string currency = 2; }
message Item {
  int64 number = 1;
  string name = 2;
  Price price = 3;
  repeated string tags = 4;
  map<string, int64> stock = 5;
}
service Shop {
  rpc Get(Ask) returns (Item);
  rpc Watch(Ask) returns (stream Item);
}
"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new(SOURCE));

/// The paths of the methods.
pub(crate) const GET: &str = "/shop.Shop/Get";
pub(crate) const WATCH: &str = "/shop.Shop/Watch";

/// What a number's answer is like on the shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// As the primary's.
    None,
    /// Another price, in the second message of a stream.
    Price,
    /// The last tag is missing, in the first message of a stream.
    Tag,
    /// INTERNAL behind the messages, where the primary has OK.
    StatusBehind,
    /// NOT_FOUND and nothing else (trailers-only), where the primary has an item.
    StatusAlone,
    /// NOT_FOUND from both: alone from the primary, behind a header from the shadow. The same.
    StatusElsewhere,
    /// Each message in gzip, where the primary has plain ones. The same.
    Gzip,
    /// Another trailer.
    Trailer,
    /// The primary's first attempt is UNAVAILABLE, which Envoy tries again. The same then.
    Retried,
}

impl Fault {
    pub(crate) const fn of(number: u64) -> Self {
        match number % 10 {
            1 => Self::Price,
            2 => Self::Tag,
            3 => Self::StatusBehind,
            4 => Self::StatusAlone,
            5 => Self::StatusElsewhere,
            6 => Self::Gzip,
            7 => Self::Trailer,
            8 => Self::Retried,
            _ => Self::None,
        }
    }

    /// The gRPC status of the primary.
    pub(crate) const fn primary_status(self) -> &'static str {
        match self {
            Self::StatusElsewhere => "5",
            _ => "0",
        }
    }
}

/// The descriptor set.
pub(crate) fn descriptor_set() -> &'static [u8] {
    SCHEMA.set()
}

/// The message that asks for `number`, framed.
pub(crate) fn ask(number: u64) -> Bytes {
    frame(0, &SCHEMA.encoded("shop.Ask", &json!({ "number": number.to_string() }))).into()
}

/// What `version` answers to `body`, sent to `path`, for the first time or again; `None` where that
/// is no method.
pub(crate) fn answer(version: Version, path: &str, again: bool, body: &[u8]) -> Option<Answer> {
    let messages = match path {
        GET => 1,
        WATCH => 3,
        _ => return None,
    };
    let asked = SCHEMA.decoded("shop.Ask", &body[5..]);
    let number: u64 = asked["number"].as_str().map_or(0, |text| text.parse().expect("a number"));
    let fault = Fault::of(number);
    let is_shadow = version == Version::Shadow;
    let mut items: Vec<Value> = (0..messages).map(|n| item(number, n)).collect();
    let mut answer = Answer {
        status: 200,
        content_type: Some("application/grpc"),
        trailers: vec![("grpc-status", "0"), ("x-sum", "17")],
        ..Answer::default()
    };
    match fault {
        Fault::StatusElsewhere => {
            items.clear();
            let status = vec![("grpc-status", "5"), ("grpc-message", "no such item")];
            answer.trailers.clear();
            *(if is_shadow { &mut answer.trailers } else { &mut answer.fields }) = status;
        }
        Fault::Retried if !is_shadow && !again => {
            items.clear();
            answer.fields = vec![("grpc-status", "14")];
            answer.trailers.clear();
        }
        _ if !is_shadow => {}
        Fault::None | Fault::Retried => {}
        Fault::Price => items[messages / 2]["price"]["cents"] = json!("1"),
        Fault::Tag => {
            items[0]["tags"].as_array_mut().expect("a list").pop();
        }
        Fault::StatusBehind => answer.trailers[0].1 = "13",
        Fault::StatusAlone => {
            items.clear();
            answer.fields = vec![("grpc-status", "5"), ("grpc-message", "no such item")];
            answer.trailers.clear();
        }
        Fault::Gzip => answer.fields = vec![("grpc-encoding", "gzip")],
        Fault::Trailer => answer.trailers[1].1 = "18",
    }
    let zipped = is_shadow && fault == Fault::Gzip;
    let frames = items.iter().map(|item| {
        let message = SCHEMA.encoded("shop.Item", item);
        if zipped { frame(1, &gzip(&message)) } else { frame(0, &message) }
    });
    answer.body = frames.collect::<Vec<_>>().concat().into();
    Some(answer)
}

/// The `n`th item of an answer.
fn item(number: u64, n: usize) -> Value {
    json!({
        "number": number.to_string(),
        "name": format!("item {n} of {number}"),
        "price": { "cents": "1999", "currency": "EUR" },
        "tags": ["new", "red"],
        "stock": { "north": "3", "south": number.to_string() },
    })
}

/// PROTOCOL-HTTP2.md: whether it is compressed, its length, and the message.
fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).expect("a message is short").to_be_bytes();
    [&[flags][..], &len, message].concat()
}
