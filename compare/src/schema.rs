//! Protobuf for tests: a descriptor set made of its source, and messages made of JSON.

use std::sync::{Arc, LazyLock};

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::Descriptors;

const SHOP: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "old.proto";

enum State { NONE = 0; OPEN = 1; DONE = 2; }
message Price { int64 amount = 1; string currency = 2; }
message Item {
  string id = 1;
  string name = 2;
  Price price = 3;
  repeated string tags = 4;
}
message Order {
  int64 number = 1;
  repeated Item items = 2;
  map<string, Price> prices = 3;
  map<int32, string> names = 4;
  oneof payment { string card = 5; Price cash = 6; }
  State state = 7;
  bytes blob = 8;
  optional int32 discount = 9;
  repeated int32 codes = 10;
  bool paid = 11;
  float ratio = 12;
  double weight = 13;
  sint64 delta = 14;
  sint32 small = 15;
  fixed64 mark = 16;
  sfixed32 offset = 17;
  uint64 big = 18;
  google.protobuf.Timestamp at = 19;
  google.protobuf.Duration took = 20;
  google.protobuf.Any extra = 21;
  Order next = 22;
  repeated State states = 23;
  repeated fixed32 marks = 24;
  old.Thing thing = 25;
  map<bool, State> flags = 26;
}
service Shop {
  rpc Get(Item) returns (Order);
  rpc Watch(Item) returns (stream Item);
}
"#;

const OLD: &str = r#"
syntax = "proto2";
package old;
message Thing {
  optional int32 count = 1 [default = 5];
  repeated group Part = 2 { optional string name = 3; }
  extensions 100 to 200;
}
extend Thing { optional string label = 100; }
"#;

/// The files from memory.
#[derive(Debug)]
struct Sources;

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "shop.proto" => File::from_source(name, SHOP),
            "old.proto" => File::from_source(name, OLD),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The set as protoc writes it; without imports as it does without `--include_imports`.
pub(crate) fn set(include_imports: bool) -> Vec<u8> {
    let mut sources = ChainFileResolver::new();
    sources.add(GoogleFileResolver::new());
    sources.add(Sources);
    let mut compiler = Compiler::with_file_resolver(sources);
    compiler.include_imports(include_imports).open_file("shop.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// The set as compare reads it.
pub(crate) fn descriptors() -> Arc<Descriptors> {
    static ALL: LazyLock<Arc<Descriptors>> =
        LazyLock::new(|| Arc::new(Descriptors::read(&set(true)).unwrap()));
    Arc::clone(&ALL)
}

/// A message on the wire, of what protobuf's JSON mapping says.
pub(crate) fn encoded(name: &str, json: &str) -> Vec<u8> {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(&set(true)[..]).unwrap());
    let of = POOL.get_message_by_name(name).unwrap();
    let mut json = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(of, &mut json).unwrap().encode_to_vec()
}
