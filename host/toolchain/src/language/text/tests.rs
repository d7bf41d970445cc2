use serde_json::json;

use super::*;
use crate::project;
use crate::template::{NewPolicy, TemplateError, create};

const TEXTS: [Language; 2] = [Language::Cedar, Language::Rego];

/// A policy that does nothing stands for the adapter, which is read as bytes alone.
fn component() -> Vec<u8> {
    let (module, contract) = (include_str!("../../bench/reference.wat"), include_str!("../../../../../wit/policy.wit"));
    attorn_build::component_of_wat("reference", module, contract).unwrap()
}

struct Home {
    directory: tempfile::TempDir,
    language: Language,
}

impl Home {
    /// A new project, as `new` makes it.
    fn new(language: Language) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let adapter = directory.path().join("adapter.wasm");
        fs::write(&adapter, component()).unwrap();
        create(&NewPolicy { name: "listed", within: directory.path(), language, sdk: Some(&adapter) }).unwrap();
        Self { directory, language }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("listed").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn build(&self) -> Result<project::Made, String> {
        self.build_saying().0
    }

    /// With what it says meanwhile.
    fn build_saying(&self) -> (Result<project::Made, String>, Vec<String>) {
        let mut said = Vec::new();
        let made = project::build(&self.path(""), &mut |line| said.push(line.to_owned()));
        (made.map_err(|error| error.to_string()), said)
    }

    fn settings(&self) -> Value {
        self.build().unwrap();
        serde_json::from_slice(&fs::read(self.path("settings.json")).unwrap()).unwrap()
    }

    #[track_caller]
    fn refused(&self, problem: &str) {
        let before = ["policy.wasm", "settings.json"].map(|name| fs::read(self.path(name)).ok());
        let error = self.build().unwrap_err();
        assert!(error.contains(problem), "{error}");
        let after = ["policy.wasm", "settings.json"].map(|name| fs::read(self.path(name)).ok());
        assert_eq!(before, after, "{problem}: something was written");
    }
}

#[test]
fn the_component_is_the_adapter_as_it_is_and_the_same_sources_give_the_same_bytes() {
    for language in TEXTS {
        let (one, other) = (Home::new(language), Home::new(language));
        let made = [one.build().unwrap(), other.build().unwrap()];
        assert_eq!(fs::read(&made[0].path).unwrap(), component());
        assert_eq!((&made[0].digest, &made[0].built), (&made[1].digest, &made[1].built));
        let settings = made.each_ref().map(|made| fs::read_to_string(made.settings.as_ref().unwrap()).unwrap());
        assert_eq!(settings[0], settings[1]);
        let sdk = format!("attorn-plugin-{} blake3:{}", language.as_str(), made[0].digest);
        assert_eq!((made[0].built.language.as_str(), &made[0].built.sdk), (language.as_str(), &sdk));
        // What is built is no source of it, and is written only where it differs.
        let written = || fs::metadata(one.path("settings.json")).unwrap().modified().unwrap();
        let before = written();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(one.build().unwrap().built, made[0].built);
        assert_eq!(written(), before);
        one.write("settings.json", "mine");
        assert_eq!(one.build().unwrap().built, made[0].built);
        assert_eq!(fs::read_to_string(one.path("settings.json")).unwrap(), settings[0]);
        // And the text is one.
        let text = if language == Language::Cedar { "policy.cedar" } else { "policy/listed.rego" };
        one.write(text, "package attorn\n");
        assert_ne!(one.build().unwrap().built.source, made[0].built.source);
    }
}

#[test]
fn the_text_stands_in_the_settings_line_by_line() {
    let cedar = Home::new(Language::Cedar);
    cedar.write("cedar.json", r#"{ "principal": "user", "otherwise": "abstain" }"#);
    cedar.write("policy.cedar", "permit (principal,\n\taction, \"é\");\n\n");
    cedar.write("schema.cedarschema", "entity Agent;");
    let expect = json!({ "otherwise": "abstain", "policies": ["permit (principal,", "\taction, \"é\");", ""],
        "principal": "user", "schema": ["entity Agent;"] });
    assert_eq!(cedar.settings(), expect);
    fs::remove_file(cedar.path("schema.cedarschema")).unwrap();
    assert_eq!(cedar.settings().get("schema"), None);

    let rego = Home::new(Language::Rego);
    rego.write("rego.json", r#"{ "package": "shop" }"#);
    fs::create_dir(rego.path("policy/deeper")).unwrap();
    rego.write("policy/deeper/data.json", r#"{ "b": 2 }"#);
    rego.write("policy/listed.rego", "package attorn\r\n\nallow");
    let expect = json!({ "data": { "actions": ["faq.read"], "deeper": { "b": 2 } }, "package": "shop",
        "modules": { "listed.rego": ["package attorn\r", "", "allow"] } });
    assert_eq!(rego.settings(), expect);
}

#[test]
fn what_would_not_count_is_refused_and_nothing_is_written() {
    let cedar = Home::new(Language::Cedar);
    cedar.build().unwrap();
    for (name, problem) in [
        ("more.cedar", "more.cedar`: it would not be in force: all policies stand in `policy.cedar`"),
        ("old/policy.cedar", "old/policy.cedar`: it would not be in force"),
        ("other.cedarschema", "other.cedarschema`: it would not count"),
    ] {
        fs::create_dir_all(cedar.path(name).parent().unwrap()).unwrap();
        cedar.write(name, "forbid (principal, action, resource);");
        cedar.refused(problem);
        fs::remove_file(cedar.path(name)).unwrap();
    }
    let rego = Home::new(Language::Rego);
    rego.build().unwrap();
    rego.write("policy/data.yaml", "a: 1");
    rego.refused("policy`: `data.yaml`: data is taken from `data.json` alone");
    fs::remove_file(rego.path("policy/data.yaml")).unwrap();
    fs::remove_file(rego.path("policy/listed.rego")).unwrap();
    rego.refused("there is no `*.rego` in");
    fs::remove_dir_all(rego.path("policy")).unwrap();
    rego.refused("listed/policy`");
    for home in [&cedar, &Home::new(Language::Rego)] {
        let manifest = home.language.manifest();
        let brought = if home.language == Language::Cedar { "policies" } else { "modules" };
        let [long, nearly] = [1 << 20, (1 << 20) - 20].map(|n| format!(r#"{{ "a": "{}" }}"#, "x".repeat(n)));
        for (text, problem) in [
            (format!(r#"{{ "{brought}": "mine" }}"#), format!("it has `{brought}`, which the project's other files")),
            ("[]".to_owned(), "invalid type: sequence".to_owned()),
            ("{".to_owned(), "EOF".to_owned()),
            (r#"{ "a": 1, "a": 2 }"#.to_owned(), "stands twice".to_owned()),
            (long.clone(), "it has more than 1048576 bytes".to_owned()),
            (nearly.clone(), "with the policy's text it comes to more than 1048576 bytes".to_owned()),
        ] {
            home.write(manifest, &text);
            home.refused(&problem);
        }
    }
}

#[test]
fn a_module_that_is_not_in_force_or_no_source_is_refused_and_what_is_left_out_is_said() {
    let rego = Home::new(Language::Rego);
    let strays = ["deny.rego", "lib/deny.rego", "policy.rego", "lib/deny_test.rego"];
    let hidden = ["policy/.manifest", "policy/node_modules/a.rego", "policy/__pycache__/deep/data.json"];
    for (names, problem) in [(&strays[..], "it would not be in force"), (&hidden, "it would count, and hidden files")] {
        for name in names {
            fs::create_dir_all(rego.path(name).parent().unwrap()).unwrap();
            rego.write(name, if name.ends_with("rego") { "package attorn\n" } else { r#"{ "roots": [""] }"# });
            rego.refused(&format!("{name}`: {problem}"));
            fs::remove_file(rego.path(name)).unwrap();
        }
    }
    rego.write("policy/notes.txt", "");
    let (made, mut said) = rego.build_saying();
    said.sort();
    assert_eq!(
        said,
        ["left out: `listed_test.rego` tests others", "left out: `notes.txt` is neither a module nor `data.json`"]
    );
    made.unwrap();
    let (made, said) = Home::new(Language::Cedar).build_saying();
    assert!(made.is_ok() && said.is_empty(), "{said:?}");
}

#[test]
fn a_directory_of_modules_that_is_a_link_or_an_archive_is_refused() {
    let rego = Home::new(Language::Rego);
    let elsewhere = rego.directory.path().join("elsewhere");
    fs::rename(rego.path("policy"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, rego.path("policy")).unwrap();
    rego.refused("listed/policy`: it is no plain directory");
    fs::remove_file(rego.path("policy")).unwrap();
    rego.write("policy", "an archive");
    rego.refused("listed/policy`: it is no plain directory");
    fs::remove_file(rego.path("policy")).unwrap();
    fs::rename(&elsewhere, rego.path("policy")).unwrap();
    rego.build().unwrap();
}

#[test]
fn nothing_but_plain_files_is_read() {
    let cedar = Home::new(Language::Cedar);
    for name in ["cedar.json", "policy.cedar", "schema.cedarschema", "vendor/cedar.wasm"] {
        let kept = fs::read(cedar.path(name)).unwrap();
        let elsewhere = cedar.directory.path().join("elsewhere");
        fs::rename(cedar.path(name), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, cedar.path(name)).unwrap();
        cedar.refused("it is no plain file");
        fs::remove_file(cedar.path(name)).unwrap();
        fs::write(cedar.path(name), kept).unwrap();
    }
    cedar.build().unwrap();
    cedar.write("vendor/cedar.wasm", "no component");
    assert_eq!(cedar.build().unwrap_err(), "what was built is no policy for this version");
    fs::File::options().write(true).open(cedar.path("vendor/cedar.wasm")).unwrap().set_len((32 << 20) + 1).unwrap();
    assert!(cedar.build().unwrap_err().ends_with("vendor/cedar.wasm`: it has more than 33554432 bytes"));
    fs::remove_file(cedar.path("vendor/cedar.wasm")).unwrap();
    assert!(cedar.build().unwrap_err().contains("vendor/cedar.wasm"));
}

#[test]
fn no_project_is_made_without_its_adapter() {
    for language in TEXTS {
        let within = tempfile::tempdir().unwrap();
        let adapter = within.path().join("adapter.wasm");
        let new = NewPolicy { name: "listed", within: within.path(), language, sdk: Some(&adapter) };
        let refused = |sdk, problem: &str| {
            let error = create(&NewPolicy { sdk: Some(sdk), ..new }).unwrap_err();
            assert!(matches!(error, TemplateError::BadAdapter { .. }), "{error:?}");
            let error = error.to_string();
            assert!(error.contains("` is not the SDK of this language: ") && error.contains(problem), "{error}");
        };
        refused(&adapter, "it cannot be read: No such file or directory");
        fs::write(&adapter, "no component").unwrap();
        refused(&adapter, "it does not begin as WebAssembly does");
        refused(within.path(), "it cannot be read: No such file or directory");
        fs::File::options().write(true).open(&adapter).unwrap().set_len((32 << 20) + 1).unwrap();
        refused(&adapter, "it has more than 33554432 bytes");
        refused(Path::new("/dev/null"), "it is no plain file");
        assert!(!within.path().join("listed").exists());
        // That of a plugin's directory, where it was built.
        fs::write(within.path().join("policy.wasm"), component()).unwrap();
        create(&NewPolicy { sdk: Some(within.path()), ..new }).unwrap();
        let kept = within.path().join("listed/vendor").join(format!("{}.wasm", language.as_str()));
        assert_eq!(fs::read(&kept).unwrap(), component());
        // Whoever names one may name a link to it; what goes into the project is a file.
        let link = within.path().join("link.wasm");
        std::os::unix::fs::symlink("policy.wasm", &link).unwrap();
        fs::remove_dir_all(within.path().join("listed")).unwrap();
        create(&NewPolicy { sdk: Some(&link), ..new }).unwrap();
        assert!(fs::symlink_metadata(&kept).unwrap().is_file());
    }
}
