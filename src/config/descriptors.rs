//! Descriptor sets: read from the files that the configuration names.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use compare::{Descriptors, MessageRule, TextPattern};
use toml::Spanned;

use super::section::Section;

/// Bytes of a descriptor set. Those of whole companies have a few dozen MiB.
const SET_BYTES: u64 = 256 << 20;

/// A descriptor set, and the file it is from.
#[derive(Clone, Debug)]
pub(crate) struct DescriptorSet {
    /// As written.
    pub(crate) path: PathBuf,
    /// Names its content: 16 hexadecimal digits.
    pub(crate) digest: String,
    pub(crate) all: Arc<Descriptors>,
}

impl DescriptorSet {
    /// Reads the set at `path`, below `dir` where it is relative.
    pub(crate) fn load(dir: &Path, path: &Path) -> Result<Self, String> {
        let mut bytes = Vec::new();
        File::open(dir.join(path))
            .and_then(|file| file.take(SET_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|why| format!("cannot be read: {why}"))?;
        if bytes.len() as u64 > SET_BYTES {
            return Err(format!("is larger than {} MiB", SET_BYTES >> 20));
        }
        let all = Descriptors::read(&bytes).map_err(|why| why.to_string())?;
        let digest = blake3::hash(&bytes).to_hex()[..16].to_owned();
        Ok(Self { path: path.to_owned(), digest, all: Arc::new(all) })
    }
}

/// Reads `descriptor_set` and `[[service.message]]`.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    dir: &Path,
) -> (Option<DescriptorSet>, Vec<MessageRule>) {
    let written = section.string("descriptor_set");
    let named = written.is_some();
    let set = written.and_then(|path| {
        DescriptorSet::load(dir, Path::new(path.get_ref()))
            .map_err(|why| {
                let message = format!("descriptor_set = '{}' {why}", path.get_ref());
                section.note(&path.span(), message);
            })
            .ok()
    });
    let mut messages = Vec::new();
    for mut message in section.tables("message", "[[service.message]]") {
        let span = message.span();
        let endpoint = message.string("endpoint").map(Spanned::into_inner);
        let response = message.string("response");
        match &response {
            None => message.note(
                &span,
                "a message needs to say what answers: response = \"package.Message\"".into(),
            ),
            Some(_) if !named => message
                .note(&span, "a message means nothing without the service's descriptor_set".into()),
            Some(response) => {
                let unknown = set.as_ref().and_then(|set| unknown(&set.all, response.get_ref()));
                if let Some(why) = unknown {
                    message.note(&response.span(), why);
                }
            }
        }
        if let Some(response) = response {
            let response = response.into_inner().into();
            messages
                .push(MessageRule { endpoint: endpoint.map(|of| TextPattern::new(&of)), response });
        }
        message.finish();
    }
    (set, messages)
}

/// What is wrong with a message's name, if anything is.
fn unknown(all: &Descriptors, name: &str) -> Option<String> {
    if all.has_message(name) {
        return None;
    }
    let near = all
        .messages()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|&(distance, known)| distance <= 2.max(known.len() / 3));
    let hint = near.map_or_else(
        || "write its full name, 'package.Message'".to_owned(),
        |(_, known)| format!("did you mean '{known}'?"),
    );
    Some(format!("the descriptor set has no message '{name}'; {hint}"))
}

#[cfg(test)]
mod tests {
    use prost_reflect::prost::Message;
    use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

    use super::super::Config;

    /// A set with the message `shop.Item`, importing what is not in it if so.
    fn set(import: Option<&str>) -> Vec<u8> {
        let file = FileDescriptorProto {
            name: Some("shop.proto".into()),
            package: Some("shop".into()),
            syntax: Some("proto3".into()),
            dependency: import.into_iter().map(str::to_owned).collect(),
            message_type: vec![DescriptorProto {
                name: Some("Item".into()),
                field: import.into_iter().map(|_| field()).collect(),
                ..DescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    /// A field whose type is elsewhere.
    fn field() -> prost_reflect::prost_types::FieldDescriptorProto {
        prost_reflect::prost_types::FieldDescriptorProto {
            name: Some("price".into()),
            number: Some(1),
            label: Some(1),
            r#type: Some(11),
            type_name: Some(".shop.Price".into()),
            ..Default::default()
        }
    }

    /// A file `config.toml` beside a `shop.pb` of these bytes, with these lines in its service.
    fn config(shop_pb: Option<&[u8]>, lines: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        if let Some(bytes) = shop_pb {
            std::fs::write(dir.path().join("shop.pb"), bytes).unwrap();
        }
        let text =
            format!("[[service]]\nname = \"shop\"\nprimary = [\":1\"]\nshadow = [\":2\"]\n{lines}");
        let file = dir.path().join("config.toml").display().to_string();
        let told = |faults: super::super::Faults| {
            faults.to_string().replace(&*dir.path().display().to_string(), "")
        };
        Config::parse(&file, &text).map_err(told)
    }

    const MESSAGE: &str = "descriptor_set = \"shop.pb\"\n[[service.message]]\n\
                           endpoint = \"GET /items*\"\nresponse = \"shop.Item\"\n";

    #[test]
    fn a_set_is_found_beside_the_file_and_its_content_is_in_the_digest() {
        let one = config(Some(&set(None)), MESSAGE).unwrap();
        let policy = one.policy();
        let service = &policy.services[0];
        assert!(service.descriptors.as_ref().unwrap().has_message("shop.Item"));
        assert_eq!(&*service.messages[0].response, "shop.Item");
        let more = [set(None), set(None)].concat();
        assert_ne!(config(Some(&more), MESSAGE).map(|c| c.digest()).ok(), Some(one.digest()));
        let effective = one.effective();
        let lines = effective.split_once("[[service]]").unwrap().1;
        let again = config(
            Some(&set(None)),
            lines.split_once("pair_by").unwrap().1.split_once('\n').unwrap().1,
        );
        assert_eq!(again.unwrap().effective(), effective);
    }

    #[test]
    fn every_fault_says_what_to_do() {
        let said = |shop_pb: Option<&[u8]>, lines: &str| config(shop_pb, lines).unwrap_err();
        let named = "descriptor_set = \"shop.pb\"\n";
        let missing = said(None, named);
        assert!(
            missing.contains("/config.toml:5: descriptor_set = 'shop.pb' cannot be read: No such"),
            "{missing}"
        );
        let source = said(Some(b"syntax = \"proto3\";"), named);
        assert!(source.contains("'shop.pb' is no descriptor set"), "{source}");
        assert!(source.contains("make it with 'protoc --include_imports -o"), "{source}");
        let import = said(Some(&set(Some("price.proto"))), named);
        assert!(import.contains("lacks 'price.proto', which 'shop.proto' imports"), "{import}");
        let whole = set(None);
        let near = said(Some(&whole), &MESSAGE.replace("shop.Item", "shop.Itme"));
        assert!(
            near.contains(
                ":8: the descriptor set has no message 'shop.Itme'; did you mean 'shop.Item'?"
            ),
            "{near}"
        );
        let far = said(Some(&whole), &MESSAGE.replace("shop.Item", "x"));
        assert!(far.contains("write its full name"), "{far}");
        let none = said(Some(&whole), "[[service.message]]\nendpoint = \"*\"\n");
        assert!(none.contains("needs to say what answers"), "{none}");
        let without = said(None, "[[service.message]]\nresponse = \"a.B\"\n");
        assert!(without.contains("means nothing without"), "{without}");
    }
}
