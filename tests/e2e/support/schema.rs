//! Messages of protobuf, described by their source: the descriptor set, and messages made of JSON.

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::Compiler;
use protox::file::{File, FileResolver};
use serde_json::Value;

/// What a source describes.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    set: Vec<u8>,
    pool: DescriptorPool,
}

/// The only file that there is.
#[derive(Debug)]
struct Source(String);

/// Its name.
const FILE: &str = "shop.proto";

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            FILE => File::from_source(FILE, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

impl Schema {
    /// What the `.proto` file `source` describes.
    pub(crate) fn new(source: &str) -> Self {
        let mut compiler = Compiler::with_file_resolver(Source(source.to_owned()));
        compiler.open_file(FILE).expect("the source is protobuf's language");
        let set = compiler.encode_file_descriptor_set();
        let pool = DescriptorPool::decode(&set[..]).expect("a descriptor set was made");
        Self { set, pool }
    }

    /// The descriptor set, as protoc writes it.
    pub(crate) fn set(&self) -> &[u8] {
        &self.set
    }

    /// The message `of` this type on the wire, from protobuf's JSON mapping.
    pub(crate) fn encoded(&self, of: &str, json: &Value) -> Vec<u8> {
        let of = self.pool.get_message_by_name(of).expect("the schema has it");
        DynamicMessage::deserialize(of, json).expect("it is of that type").encode_to_vec()
    }

    /// What a message of this type says, in protobuf's JSON mapping.
    pub(crate) fn decoded(&self, of: &str, bytes: &[u8]) -> Value {
        let of = self.pool.get_message_by_name(of).expect("the schema has it");
        let message = DynamicMessage::decode(of, bytes).expect("it is of that type");
        serde_json::to_value(message).expect("a message has a JSON form")
    }
}
