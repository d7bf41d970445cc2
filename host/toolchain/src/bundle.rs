//! OPA's policies as settings of the plugin `rego`: the modules and the data of a directory, or of a bundle (`bundle.tar.gz`,
//! as `opa build` makes it).
//!
//! An archive may be hostile: it is read within bounds, never unpacked to disk, and refused whole where it holds a link, a
//! path that leads out of it, or one file twice. Nothing is evaluated and no signature is checked here.

mod files;

use std::collections::BTreeMap;
use std::path::Path;

use attorn_api::json::canonical;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use files::Files;

/// The most bytes of all files that count; settings may not be larger.
pub const BYTES_MAX: u64 = 1 << 20;

/// What a bundle comes to.
#[derive(Debug, PartialEq)]
pub struct Bundle {
    /// `modules`, `data` and, where the manifest says it, `rego_version`.
    pub settings: Map<String, Value>,
    /// The modules that test others, `*_test.rego`, by their paths inside. They are no part of the settings.
    pub tests: Map<String, Value>,
    /// The files that the settings are made of, by their paths inside.
    pub taken: Vec<String>,
    /// What is in it and left out, for people.
    pub left_out: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is not taken.
    #[error("`{path}`: {why}")]
    Refused {
        /// What, by its path inside.
        path: String,
        /// Why.
        why: String,
    },
    /// There is no module in it.
    #[error("there is no `*.rego` in `{path}`")]
    Empty {
        /// The bundle.
        path: String,
    },
}

/// What of `.manifest` counts.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default = "everywhere")]
    roots: Vec<String>,
    rego_version: Option<u64>,
    #[serde(default)]
    file_rego_versions: BTreeMap<String, u64>,
    #[serde(default)]
    wasm: Vec<Value>,
}

fn everywhere() -> Vec<String> {
    vec![String::new()]
}

/// The settings that a directory or a bundle comes to.
///
/// # Errors
///
/// It cannot be read, or holds what is not taken.
pub fn read(path: &Path) -> Result<Bundle, BundleError> {
    let is_directory = std::fs::metadata(path).map_err(|source| io(path, source))?.is_dir();
    let files = if is_directory { Files::of_directory(path)? } else { Files::of_archive(path)? };
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    let (mut modules, mut tests) = (Map::new(), Map::new());
    let mut data = Map::new();
    let mut manifest = None;
    for (name, bytes) in files.0 {
        let text = String::from_utf8(bytes).map_err(|_| refused(&name, "it is no UTF-8"))?;
        let (directory, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
        match file {
            ".manifest" if directory.is_empty() => {
                manifest = Some(parsed::<Manifest>(&name, &text)?);
                taken.push(name);
            }
            "data.json" => {
                let document = parsed::<Map<String, Value>>(&name, &text)?;
                merge(&mut data, &places(directory), document).map_err(|at| {
                    refused(&name, format!("`data.{at}` is in another file, too, and one of them would be lost"))
                })?;
                taken.push(name);
            }
            file if file.ends_with("_test.rego") => {
                left_out.push(format!("`{name}` tests others"));
                tests.insert(name.clone(), text.into());
            }
            _ if extension == Some("rego") => {
                modules.insert(name.clone(), text.into());
                taken.push(name);
            }
            "data.yaml" | "data.yml" => {
                return Err(refused(&name, "data is taken from `data.json` alone; write it as JSON"));
            }
            _ if extension == Some("wasm") => {
                return Err(refused(&name, "it is compiled; build the bundle without `--target wasm`"));
            }
            ".signatures.json" => left_out.push(format!("`{name}`: signatures are not checked")),
            _ => left_out.push(format!("`{name}` is neither a module nor `data.json`")),
        }
    }
    if modules.is_empty() {
        return Err(BundleError::Empty { path: path.display().to_string() });
    }
    let mut settings = Map::new();
    let version = manifest.map_or(Ok(None), |manifest| manifest.check(&modules, &data))?;
    if let Some(version) = version {
        settings.insert("rego_version".into(), version.into());
    }
    settings.insert("modules".into(), modules.into());
    settings.insert("data".into(), data.into());
    Ok(Bundle { settings, tests, taken, left_out })
}

impl Manifest {
    /// The version of Rego, if it says one; or what is outside of the roots.
    fn check(&self, modules: &Map<String, Value>, data: &Map<String, Value>) -> Result<Option<u64>, BundleError> {
        if !self.wasm.is_empty() || !self.file_rego_versions.is_empty() {
            let why = "it has `wasm` or `file_rego_versions`, which are not taken";
            return Err(refused(".manifest", why));
        }
        if let Some(version) = self.rego_version.filter(|version| *version > 1) {
            return Err(refused(".manifest", format!("`rego_version` is {version}, and 0 or 1 is right")));
        }
        let roots: Vec<Vec<String>> = self.roots.iter().map(|root| places(root)).collect();
        for (name, text) in modules {
            let package = package(text.as_str().unwrap_or_default());
            let Some(package) = package else { return Err(refused(name, "it has no line that begins with `package`")) };
            if !roots.iter().any(|root| package.starts_with(root)) {
                let why = format!("its package `{}` is outside of the roots in `.manifest`", package.join("."));
                return Err(refused(name, why));
            }
        }
        match outside(data, &mut Vec::new(), &roots) {
            Some(place) => Err(refused("data.json", format!("`data.{place}` is outside of the roots in `.manifest`"))),
            None => Ok(self.rego_version),
        }
    }
}

/// The first place in `data` that is below no root.
fn outside(data: &Map<String, Value>, above: &mut Vec<String>, roots: &[Vec<String>]) -> Option<String> {
    for (name, value) in data {
        above.push(name.clone());
        if !roots.iter().any(|root| above.starts_with(root)) {
            let is_above = roots.iter().any(|root| root.starts_with(above));
            match value {
                Value::Object(members) if is_above => {
                    if let Some(found) = outside(members, above, roots) {
                        return Some(found);
                    }
                }
                _ => return Some(above.join(".")),
            }
        }
        above.pop();
    }
    None
}

/// The package of a module, as its first line that begins so has it.
pub(crate) fn package(module: &str) -> Option<Vec<String>> {
    let line = module.lines().find_map(|line| line.trim_start().strip_prefix("package "))?;
    let name = line.split(['#', ';']).next().unwrap_or_default().trim();
    let parts = name.split(['.', '[']).map(|part| part.trim_matches(|c: char| "\"]".contains(c)).to_owned());
    Some(parts.collect())
}

fn places(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Put a document at this place, beside what is there; or the place of what is there already.
fn merge(data: &mut Map<String, Value>, place: &[String], document: Map<String, Value>) -> Result<(), String> {
    if let Some((first, rest)) = place.split_first() {
        let below = data.entry(first.clone()).or_insert_with(|| json!({}));
        let below = below.as_object_mut().ok_or_else(|| first.clone())?;
        return merge(below, rest, document).map_err(|at| format!("{first}.{at}"));
    }
    for (name, value) in document {
        match (data.get_mut(&name), value) {
            (None, value) => {
                data.insert(name, value);
            }
            (Some(Value::Object(there)), Value::Object(more)) => {
                merge(there, &[], more).map_err(|at| format!("{name}.{at}"))?;
            }
            (Some(_), _) => return Err(name),
        }
    }
    Ok(())
}

fn parsed<T: serde::de::DeserializeOwned>(path: &str, text: &str) -> Result<T, BundleError> {
    // For duplicate keys and numbers that two readers would read differently.
    canonical(text).map_err(|error| refused(path, error.to_string()))?;
    serde_json::from_str(text).map_err(|error| refused(path, error.to_string()))
}

fn refused(path: impl Into<String>, why: impl Into<String>) -> BundleError {
    BundleError::Refused { path: path.into(), why: why.into() }
}

fn io(path: &Path, source: std::io::Error) -> BundleError {
    BundleError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests;
