//! Descriptor sets: what protobuf messages mean.
//!
//! Owns reading a `FileDescriptorSet` (protoc, buf) and what is asked of it: the message of a name,
//! the method of a gRPC path. Editions are read as well as proto2 and proto3. A set that names types
//! it does not hold is refused whole: comparing by half of it would hide what the other half says.

use std::fmt;
use std::sync::LazyLock;

use buffa::Message;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
};
use buffa_descriptor::{DescriptorPool, MessageIndex};
use hashbrown::{HashMap, HashSet};

/// The messages and methods of a service, by a descriptor set.
pub struct Descriptors {
    pub(crate) pool: DescriptorPool,
    pub(crate) known: WellKnown,
    /// By gRPC path, `/package.Service/Method`.
    methods: HashMap<Box<[u8]>, Method>,
}

/// Messages that are read for what they mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WellKnown {
    pub(crate) any: Option<MessageIndex>,
    pub(crate) timestamp: Option<MessageIndex>,
    pub(crate) duration: Option<MessageIndex>,
    /// `google.rpc.Status`: what `grpc-status-details-bin` holds.
    pub(crate) status: Option<MessageIndex>,
}

/// What a method answers with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) response: MessageIndex,
    /// Whether it answers with any number of messages.
    pub(crate) streams: bool,
}

impl Descriptors {
    /// Reads a serialized `FileDescriptorSet`.
    ///
    /// # Errors
    /// [`DescriptorsError`]: it is none, or not a whole one.
    pub fn read(bytes: &[u8]) -> Result<Self, DescriptorsError> {
        let set = FileDescriptorSet::decode_from_slice(bytes)
            .map_err(|why| DescriptorsError::NotASet(why.to_string()))?;
        if set.file.iter().all(|file| file.message_type.is_empty()) {
            return Err(DescriptorsError::Empty);
        }
        // What is missing says more than the first name that it leaves without a meaning.
        let missing = missing_import(&set);
        let pool = DescriptorPool::new(set)
            .map_err(|why| missing.unwrap_or_else(|| DescriptorsError::Invalid(why.to_string())))?;
        Ok(Self::new(pool))
    }

    /// What is known of every service: the status that gRPC answers with.
    pub(crate) fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Descriptors> =
            LazyLock::new(|| Descriptors::new(DescriptorPool::default()));
        &BUILT_IN
    }

    fn new(mut pool: DescriptorPool) -> Self {
        add_status(&mut pool);
        let index = |name| pool.message_index(name);
        let known = WellKnown {
            any: index("google.protobuf.Any"),
            timestamp: index("google.protobuf.Timestamp"),
            duration: index("google.protobuf.Duration"),
            status: index("google.rpc.Status"),
        };
        let methods = pool.services().iter().flat_map(|service| {
            service.methods().iter().map(|method| {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let streams = method.is_server_streaming();
                (path.into_bytes().into(), Method { response: method.output(), streams })
            })
        });
        let methods = methods.collect();
        Self { pool, known, methods }
    }

    /// Whether it has a message of this full name, `package.Message`.
    #[must_use]
    pub fn has_message(&self, name: &str) -> bool {
        self.message(name).is_some()
    }

    /// The full names of its messages.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.pool.messages().iter().map(|message| message.full_name())
    }

    pub(crate) fn message(&self, name: &str) -> Option<MessageIndex> {
        self.pool.message_index(name)
    }

    /// The method that a gRPC request path names.
    pub(crate) fn method(&self, path: &[u8]) -> Option<Method> {
        self.methods.get(path).copied()
    }
}

impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptors")
            .field("messages", &self.pool.messages().len())
            .field("methods", &self.methods.len())
            .finish_non_exhaustive()
    }
}

/// The first import of a file of `set` that is not in it.
fn missing_import(set: &FileDescriptorSet) -> Option<DescriptorsError> {
    let name = |file: &FileDescriptorProto| file.name.clone().unwrap_or_default();
    let names: HashSet<String> = set.file.iter().map(name).collect();
    set.file.iter().find_map(|file| {
        let import = file.dependency.iter().find(|import| !names.contains(*import))?;
        Some(DescriptorsError::ImportMissing(name(file), import.clone()))
    })
}

/// Adds `google.rpc.Status`, where it is not there: every gRPC service answers with it, whether or
/// not its own files import it.
fn add_status(pool: &mut DescriptorPool) {
    let field = |name: &str, number, r#type, of: Option<&str>| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(if of.is_some() { Label::LABEL_REPEATED } else { Label::LABEL_OPTIONAL }),
        r#type: Some(r#type),
        type_name: of.map(str::to_owned),
        ..FieldDescriptorProto::default()
    };
    let file = |package: &str, message: &str, fields| FileDescriptorProto {
        name: Some(format!("tapdiff/{package}.{message}.proto")),
        package: Some(package.to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![DescriptorProto {
            name: Some(message.to_owned()),
            field: fields,
            ..DescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    let mut set = FileDescriptorSet::default();
    if pool.message_index("google.protobuf.Any").is_none() {
        let fields = vec![
            field("type_url", 1, Type::TYPE_STRING, None),
            field("value", 2, Type::TYPE_BYTES, None),
        ];
        set.file.push(file("google.protobuf", "Any", fields));
    }
    if pool.message_index("google.rpc.Status").is_none() {
        let fields = vec![
            field("code", 1, Type::TYPE_INT32, None),
            field("message", 2, Type::TYPE_STRING, None),
            field("details", 3, Type::TYPE_MESSAGE, Some(".google.protobuf.Any")),
        ];
        set.file.push(file("google.rpc", "Status", fields));
    }
    // Where something else has one of the names it stays as it is, and details are compared as sent.
    let _ = pool.add_file_descriptor_set(set);
}

/// Why bytes are no descriptor set to compare by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescriptorsError {
    /// They are no `FileDescriptorSet`; why, as the decoder says it.
    NotASet(String),
    /// They describe no message.
    Empty,
    /// A file imports one that is not there: the file, and what it imports.
    ImportMissing(String, String),
    /// What they describe makes no sense; why, as the linker says it.
    Invalid(String),
}

impl fmt::Display for DescriptorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAKE: &str = "make it with 'protoc --include_imports -o FILE.pb FILE.proto' or \
                            'buf build -o FILE.binpb'";
        match self {
            Self::NotASet(why) => write!(f, "is no descriptor set ({why}); {MAKE}"),
            Self::Empty => write!(f, "describes no message; {MAKE}"),
            Self::ImportMissing(file, import) => {
                write!(f, "lacks '{import}', which '{file}' imports; {MAKE}")
            }
            Self::Invalid(why) => write!(f, "cannot be used: {why}"),
        }
    }
}

impl std::error::Error for DescriptorsError {}

#[cfg(test)]
mod tests {
    use buffa_descriptor::generated::descriptor::Edition;

    use super::*;
    use crate::schema;

    fn error(bytes: &[u8]) -> String {
        Descriptors::read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_set_knows_its_messages_and_methods() {
        let all = schema::descriptors();
        assert!(all.has_message("shop.Order") && !all.has_message("shop.Shop"));
        assert!(all.messages().any(|name| name == "old.Thing.Part"));
        let method = |path: &str| all.method(path.as_bytes()).map(|method| method.streams);
        assert_eq!(method("/shop.Shop/Get"), Some(false));
        assert_eq!(method("/shop.Shop/Watch"), Some(true));
        assert_eq!(method("/shop.Shop/Put"), None);
        assert!(Descriptors::built_in().known.status.is_some());
    }

    #[test]
    fn a_set_that_is_not_whole_says_what_to_do() {
        let said = error(&schema::set(false));
        assert!(
            said.starts_with("lacks 'google/protobuf/any.proto', which 'shop.proto'"),
            "{said}"
        );
        assert!(said.contains("--include_imports"), "{said}");
        let said = error(b"syntax = \"proto3\";");
        assert!(said.starts_with("is no descriptor set"), "{said}");
        assert!(error(b"").starts_with("describes no message"));
    }

    #[test]
    fn an_edition_says_whether_fields_have_presence() {
        let mut set = FileDescriptorSet::decode_from_slice(&schema::set(true)).unwrap();
        for file in &mut set.file {
            if file.name.as_deref() == Some("shop.proto") {
                file.syntax = Some("editions".to_owned());
                file.edition = Some(Edition::EDITION_2023);
            }
        }
        let all = Descriptors::read(&set.encode_to_vec()).unwrap();
        let presence = |all: &Descriptors| {
            let of = all.message("shop.Order").unwrap();
            all.pool.message(of).field(1).unwrap().presence()
        };
        use buffa::editions::FieldPresence::{Explicit, Implicit};
        assert_eq!((presence(&all), presence(&schema::descriptors())), (Explicit, Implicit));
    }
}
