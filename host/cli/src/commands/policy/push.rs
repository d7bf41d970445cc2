//! `attorn policy push`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use attorn_api::agents::UserPresence;
use attorn_api::policies::{
    COMPONENT_HELP, Component, Limits, Mode, PolicyVersion, PushVersion, Selector, no_component,
};
use attorn_core::{ActionPattern, LabelName, PolicyId, ResourceType};
use attorn_toolchain::ComponentSignature;
use clap::Args;
use serde_json::Value;

use super::new_key;
use crate::commands::load;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::{read_bytes, read_text};
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

/// The longest component, in bytes.
const COMPONENT_BYTES_MAX: u64 = 32 << 20;

/// The longest settings file that is read, in bytes; the server takes less.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy push read-only --component read_only.wasm --activate \\
    --settings '{\"allow\":[{\"actions\":[\"faq.read\"],\"resource_types\":[\"article\"]}]}'
  attorn policy push payments --component payments.wasm --settings payments.json --action 'payment.*' --required
  attorn policy push payments --component payments.wasm --signature payments.wasm.minisig")]
pub(crate) struct Push {
    /// The policy's id; the first push makes it
    #[arg(value_parser = parse::id::<PolicyId>)]
    id: PolicyId,
    /// The WebAssembly component
    #[arg(long, value_name = "FILE")]
    component: PathBuf,
    /// The settings that its `init` gets: JSON, or a file that holds it
    #[arg(long, value_name = "FILE|JSON", default_value = "{}")]
    settings: String,
    #[command(flatten)]
    signature: Signature,
    /// Ask it only about these actions, which may end in `.*`. Repeat it for more
    #[arg(long, value_name = "PATTERN", value_parser = parse::id::<ActionPattern>)]
    action: Vec<ActionPattern>,
    /// Ask it only about resources of these types. Repeat it for more
    #[arg(long, value_name = "TYPE", value_parser = parse::id::<ResourceType>)]
    resource_type: Vec<ResourceType>,
    /// Ask it only about agents with this label. Repeat it for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::label)]
    agent_label: Vec<(LabelName, String)>,
    /// Ask it only when the agent acts for a user (`with`), or only when it acts for none (`without`)
    #[arg(long, value_name = "with|without", value_parser = parse::user)]
    user: Option<UserPresence>,
    /// Its silence denies
    #[arg(long)]
    required: bool,
    /// Evaluate it after the answer and record what it says, but never let it count
    #[arg(long)]
    shadow: bool,
    /// The CPU time of one evaluation, in microseconds; with both others
    #[arg(long, value_name = "US", requires_all = ["wall_us_max", "memory_bytes_max"])]
    cpu_us_max: Option<u64>,
    /// The wall time of one evaluation, in microseconds; with both others
    #[arg(long, value_name = "US", requires_all = ["cpu_us_max", "memory_bytes_max"])]
    wall_us_max: Option<u64>,
    /// The memory of one evaluation, in bytes; with both others
    #[arg(long, value_name = "BYTES", requires_all = ["cpu_us_max", "wall_us_max"])]
    memory_bytes_max: Option<u64>,
    /// Put the version in force at once
    #[arg(long)]
    activate: bool,
}

/// Which signature goes with the component.
#[derive(Debug, Args)]
pub(super) struct Signature {
    /// The component's signature; the one beside the component, with `.minisig`, if there is one and it is not said
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    signature: Option<PathBuf>,
    /// Send the component without its signature, also where one stands beside it (`.minisig`): a server that asks for
    /// signatures refuses it then
    #[arg(long)]
    unsigned: bool,
}

impl Push {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let settings = settings(&self.settings)?;
        let component = read_component(&self.component)?;
        let signature = self.signature.read(&self.component)?;
        let selector = self.selector()?;
        let body = PushVersion {
            component: put(client, component).await?,
            settings,
            selector,
            mode: if self.shadow { Mode::Shadow } else { Mode::Enforce },
            required: self.required,
            limits: self.limits(),
            signature,
        };
        let path = format!("/v1/policies/{}/versions", self.id);
        let version: PolicyVersion = load::post(client, output, &path, &body).await?;
        if !self.activate {
            if output.json {
                return output.json(&version).map(|()| Exit::Done);
            }
            let PolicyVersion { policy, version, digest, signer, .. } = version;
            output.line(format!("pushed {policy} version {version}, digest {digest}"));
            if let Some(signer) = signer {
                output.line(format!("signed by {} with the key {}", signer.id, signer.key));
            }
            output.note(format!("it is not in force: `attorn policy activate {policy} {version}`"));
            return Ok(Exit::Done);
        }
        super::print_changed(output, &super::activate(client, output, &self.id, version.version).await?)
    }

    fn selector(&self) -> Result<Selector, Failure> {
        let mut agent_labels = BTreeMap::new();
        for (name, value) in &self.agent_label {
            if agent_labels.insert(name.to_string(), value.clone()).is_some() {
                return Err(Failure::usage(format!("the label `{name}` is given twice")));
            }
        }
        Ok(Selector {
            actions: self.action.iter().map(ToString::to_string).collect(),
            resource_types: self.resource_type.iter().map(ToString::to_string).collect(),
            agent_labels,
            user: self.user,
        })
    }

    /// The argument parser takes all three or none.
    fn limits(&self) -> Option<Limits> {
        Some(Limits {
            cpu_us_max: self.cpu_us_max?,
            wall_us_max: self.wall_us_max?,
            memory_bytes_max: self.memory_bytes_max?,
        })
    }
}

impl Signature {
    /// The signature's text. What is no text is refused by the server as what it is.
    pub(super) fn read(&self, component: &Path) -> Result<Option<String>, Failure> {
        let beside = new_key::beside(component, "minisig");
        let path = match &self.signature {
            _ if self.unsigned => return Ok(None),
            Some(path) => path,
            None if beside.try_exists().is_ok_and(|exists| !exists) => return Ok(None),
            None => &beside,
        };
        let bytes = read_bytes(path, ComponentSignature::BYTES_MAX as u64)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Put a component at the server, and give its digest.
pub(super) async fn put(client: &OperatorClient, component: Vec<u8>) -> Result<String, Failure> {
    let digest = blake3::hash(&component).to_hex().to_string();
    let put: Component = client.put(&format!("/v1/components/{digest}"), component).await?;
    Ok(put.digest)
}

/// That a directory is no component: whoever names one means the component in it.
pub(super) fn no_directory(path: &Path) -> Result<(), Failure> {
    if !path.is_dir() {
        return Ok(());
    }
    let component = path.join("policy.wasm");
    let help = if component.is_file() {
        format!("name the component in it: `{}`", component.display())
    } else {
        format!("name the component's file; `attorn policy build` makes `{}` of a project", component.display())
    };
    Err(Failure::usage(format!("`{}` is a directory, and no component", path.display())).with_help(help))
}

/// A component's bytes. A file that is plainly something else is not sent.
pub(crate) fn read_component(path: &Path) -> Result<Vec<u8>, Failure> {
    no_directory(path)?;
    let fail = |error: std::io::Error| Failure::file("read", path, &error);
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(Failure::new(format!("`{}` has more than {COMPONENT_BYTES_MAX} bytes", path.display())));
    }
    match no_component(&bytes) {
        Some(problem) => {
            Err(Failure::new(format!("`{}` is no component: {problem}", path.display())).with_help(COMPONENT_HELP))
        }
        None => Ok(bytes),
    }
}

/// Settings are JSON if they look like an object or list, and else the name of a file.
pub(super) fn settings(text: &str) -> Result<Value, Failure> {
    if text.trim_start().starts_with(['{', '[']) {
        return parse::strict_json(text)
            .map_err(|problem| Failure::usage(format!("the settings are no JSON: {problem}")));
    }
    let file = read_text(Path::new(text), SETTINGS_BYTES_MAX)?;
    parse::strict_json(&file).map_err(|problem| Failure::usage(format!("`{text}` is no JSON: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_file_that_is_no_component_is_not_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        for (bytes, problem) in [
            (&b"root:x:0:0\n"[..], "it does not begin as WebAssembly does"),
            (b"", "it does not begin as WebAssembly does"),
            (b"\0asm\x01\0\0\0", "this is a core WebAssembly module, not a component"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let failure = read_component(&path).unwrap_err();
            assert_eq!(failure.message, format!("`{}` is no component: {problem}", path.display()));
            assert!(failure.help.is_some());
        }
        std::fs::write(&path, b"\0asm\x0d\0\x01\0").unwrap();
        assert!(read_component(&path).is_ok());
        let failure = read_component(directory.path()).unwrap_err();
        assert!(failure.exit == Exit::Usage && failure.message.ends_with("` is a directory, and no component"));
        assert!(failure.help.unwrap().starts_with("name the component's file; `attorn policy build` makes `"));
        std::fs::write(directory.path().join("policy.wasm"), b"").unwrap();
        let help = read_component(directory.path()).unwrap_err().help.unwrap();
        assert!(help.starts_with("name the component in it: `") && help.ends_with("/policy.wasm`"), "{help}");
    }

    #[test]
    fn settings_are_json_or_a_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.json");
        std::fs::write(&path, "[1, 2").unwrap();
        let name = path.to_str().unwrap();
        for (text, exit, problem) in [
            ("{", Exit::Usage, "the settings are no JSON"),
            (r#"{"a":1,"a":1}"#, Exit::Usage, "stands twice"),
            ("none.json", Exit::Error, "cannot read `none.json`"),
            (name, Exit::Usage, "is no JSON"),
        ] {
            let failure = settings(text).unwrap_err();
            assert!(failure.exit == exit && failure.message.contains(problem), "{failure}");
        }
        std::fs::write(&path, "[1, 2]").unwrap();
        assert_eq!(settings(name).unwrap(), settings("[1,2]").unwrap());
    }
}
