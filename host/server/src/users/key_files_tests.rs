//! A key of a user is copied and put back whole, or not at all.

use attorn_identity::UserKey;
use tempfile::TempDir;

use super::super::keys::wrapped;
use super::*;

fn root(first: &str) -> RootKey {
    format!("{first}AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").parse().unwrap()
}

/// What the file of a user's key holds.
fn key(root: &RootKey, user: &str) -> Vec<u8> {
    wrapped(root, &user.parse().unwrap(), &UserKey::generate().unwrap())
}

fn write(dir: &Path, files: &[(&str, &[u8])]) {
    fs::create_dir_all(dir.join("ab")).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn a_copy_has_every_key_and_nothing_else() {
    let (dir, root) = (TempDir::new().unwrap(), root("A"));
    let (keys, to) = (dir.path().join("keys"), dir.path().join("copy"));
    let [one, two] = ["usr_ab", "usr_zab"].map(|user| key(&root, user));
    write(&keys, &[("ab/usr_ab.key", &one), ("ab/usr_zab.key", &two)]);
    write(&keys, &[("ab/usr_1ab.erased", b"x"), ("y", b"y"), ("ab/usr_3ab.gone", b""), ("ab/usr_4ab.key.tmp", b"x")]);
    assert_eq!(copy_user_keys(&keys, &to, Some(&root)).unwrap(), CopiedKeys { keys: 2, bad: Vec::new() });
    assert_eq!(fs::read(to.join("ab/usr_ab.key")).unwrap(), one);
    assert_eq!(fs::read_dir(to.join("ab")).unwrap().count(), 3);
    assert_eq!(erased_users(&to).unwrap(), ["usr_3ab".parse().unwrap()]);
    assert_eq!(erased_users(&dir.path().join("nowhere")).unwrap(), []);
    let mut all = users(&to).unwrap();
    all.sort();
    assert_eq!(all, ["usr_ab".parse().unwrap(), "usr_zab".parse().unwrap()]);
    assert!(copy_user_keys(&keys, &to, None).is_err(), "a copy is never written over");
    // Put back where there is none, and not over one, nor for somebody who was erased.
    let back = dir.path().join("back");
    for (id, expect) in [("usr_ab", Put::Back), ("usr_ab", Put::NotNeeded), ("usr_zab", Put::NotNeeded)] {
        if id == "usr_zab" {
            fs::write(back.join("ab/usr_zab.gone"), "").unwrap();
        }
        assert_eq!(put_back(&to, &back, &id.parse().unwrap(), &root).unwrap(), expect, "{id}");
    }
    assert_eq!(fs::read(back.join("ab/usr_ab.key")).unwrap(), one);
    assert_eq!(fs::read_dir(back.join("ab")).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn what_the_root_key_does_not_open_is_named_in_a_copy() {
    let (dir, root, other) = (TempDir::new().unwrap(), root("A"), root("B"));
    let keys = dir.path().join("keys");
    let [whole, foreign] = [&root, &other].map(|root| key(root, "usr_ab"));
    write(&keys, &[("ab/usr_ab.key", &whole), ("ab/usr_1ab.key", &whole), ("ab/usr_2ab.key", b"")]);
    write(&keys, &[("ab/usr_3ab.key", &[0; 2_000]), ("ab/x y.key", b"x"), ("ab/usr_5ab.key", &foreign)]);
    std::os::unix::fs::symlink(keys.join("ab/usr_ab.key"), keys.join("ab/usr_4ab.key")).unwrap();
    let copied = copy_user_keys(&keys, &dir.path().join("copy"), Some(&root)).unwrap();
    assert_eq!((copied.keys, copied.bad.len()), (1, 6), "{copied:?}");
    for name in ["usr_1ab", "usr_2ab", "usr_3ab", "usr_4ab", "usr_5ab", "x y"] {
        let said = copied.bad.iter().filter(|bad| bad.contains(&format!("/ab/{name}.key` is no user's key: ")));
        assert_eq!(said.count(), 1, "{name}: {copied:?}");
    }
    // Whoever may not read the root key sees as much as can be seen without.
    let copied = copy_user_keys(&keys, &dir.path().join("without"), None).unwrap();
    assert_eq!((copied.keys, copied.bad.len()), (4, 3), "{copied:?}");
}

#[test]
fn half_a_key_is_none_and_is_replaced_by_a_whole_one() {
    let (dir, root) = (TempDir::new().unwrap(), root("A"));
    let (copy, keys) = (dir.path().join("copy"), dir.path().join("keys"));
    let user: UserId = "usr_ab".parse().unwrap();
    let whole = key(&root, "usr_ab");
    for there in [&b""[..], &whole[..whole.len() / 2], b"garbage"] {
        write(&copy, &[("ab/usr_ab.key", &whole)]);
        write(&keys, &[("ab/usr_ab.key", there), ("ab/usr_ab.key.tmp", b"of one that was killed")]);
        let Held::Bad(said) = held(&keys, &user, &root) else { panic!() };
        assert!(said.contains("/keys/ab/usr_ab.key` is no user's key: "), "{said}");
        assert_eq!(put_back(&copy, &keys, &user, &root).unwrap(), Put::Back);
        assert_eq!(fs::read(keys.join("ab/usr_ab.key")).unwrap(), whole);
        assert_eq!(fs::read_dir(keys.join("ab")).unwrap().count(), 1, "nothing is left behind");
        assert_eq!(held(&keys, &user, &root), Held::Key);
        // And one that is whole is never replaced by what is none, nor one that is none.
        write(&copy, &[("ab/usr_ab.key", there)]);
        assert_eq!(put_back(&copy, &keys, &user, &root).unwrap(), Put::NotNeeded);
        fs::remove_file(keys.join("ab/usr_ab.key")).unwrap();
        let Put::Bad(said) = put_back(&copy, &keys, &user, &root).unwrap() else { panic!() };
        assert!(said.contains("/copy/ab/usr_ab.key` is no user's key: "), "{said}");
        assert!(!keys.join("ab/usr_ab.key").exists());
    }
    fs::remove_file(copy.join("ab/usr_ab.key")).unwrap();
    assert_eq!(put_back(&copy, &keys, &user, &root).unwrap(), Put::NotNeeded);
    assert_eq!(held(&keys, &user, &root), Held::Nothing);
}

#[test]
fn what_cannot_be_written_leaves_no_key() {
    let (dir, root) = (TempDir::new().unwrap(), root("A"));
    let (copy, keys) = (dir.path().join("copy"), dir.path().join("keys"));
    let user: UserId = "usr_ab".parse().unwrap();
    write(&copy, &[("ab/usr_ab.key", &key(&root, "usr_ab"))]);
    // What is being written has no place.
    fs::create_dir_all(keys.join("ab/usr_ab.key.tmp/x")).unwrap();
    assert!(put_back(&copy, &keys, &user, &root).is_err());
    assert_eq!(held(&keys, &user, &root), Held::Nothing);
    fs::remove_dir_all(keys.join("ab/usr_ab.key.tmp")).unwrap();
    assert_eq!(put_back(&copy, &keys, &user, &root).unwrap(), Put::Back);
}
