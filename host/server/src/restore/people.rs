//! Users, when a backup is restored: those who were erased after it was made are erased again as far as anybody here
//! knows of it, and the keys of the others are put back, if a copy of them is there.
//!
//! What is known of erasures stands in the backup itself, and as marks beside the keys ([`crate::users::key_files`]).
//! Where neither has one, as with a copy of the keys from before an erasure and no newer one, the user comes back.

use std::collections::BTreeSet;
use std::path::Path;

use attorn_core::UserId;
use attorn_identity::RootKey;
use attorn_store::records::{Record as _, UserRecord};
use attorn_store::{Key, KeyKind, KeyPrefix, ReadError, Store};

use crate::config::Config;
use crate::epochs::EpochError;
use crate::http::failure::Failure;
use crate::users::erase;
use crate::users::key_files::{self, Held, Put};

/// How many users are looked at in one page.
const PAGE: usize = 500;

/// Erase whom the marks name and the backup still has; how many those were.
pub(super) async fn erase_known(store: &Store, config: &Config, copy: Option<&Path>) -> Result<u64, EpochError> {
    let mut erased = BTreeSet::new();
    for dir in [Some(config.user_keys.as_path()), copy].into_iter().flatten() {
        erased.extend(key_files::erased_users(dir).map_err(EpochError::io(dir))?);
    }
    let mut count = 0;
    for user in &erased {
        count += u64::from(erase::again(store, user).await?);
    }
    Ok(count)
}

/// Put back the keys of users who are somebody in this store and have none; how many those were. Files of the copy that
/// hold none go to `bad`.
pub(super) async fn put_keys_back(
    store: &Store,
    (config, root): (&Config, &RootKey),
    copy: &Path,
    bad: &mut Vec<String>,
) -> Result<u64, EpochError> {
    let mut count = 0;
    for user in key_files::users(copy).map_err(EpochError::io(copy))? {
        if !is_somebody(store, &user).await? {
            continue;
        }
        let put = key_files::put_back(copy, &config.user_keys, &user, root);
        match put.map_err(EpochError::io(&config.user_keys))? {
            Put::Back => count += 1,
            Put::NotNeeded => {}
            Put::Bad(why) => bad.push(why),
        }
    }
    Ok(count)
}

/// How many users this store has whose keys are nowhere, or are none that the root key opens: nothing about them can be
/// read. Files that hold no key go to `bad`.
pub(super) async fn without_key(
    store: &Store,
    (config, root): (&Config, &RootKey),
    bad: &mut Vec<String>,
) -> Result<u64, EpochError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::User), after.as_ref(), PAGE).await.map_err(Failure::from)?;
        for (key, found) in &page.items {
            let user = UserRecord::decode(key, &found.value).map_err(|error| Failure::from(ReadError::from(error)))?;
            match key_files::held(&config.user_keys, &user.id, root) {
                Held::Key => continue,
                Held::Nothing => {}
                Held::Bad(why) => bad.push(why),
            }
            count += 1;
        }
        after = page.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

async fn is_somebody(store: &Store, user: &UserId) -> Result<bool, EpochError> {
    let record = store.record::<UserRecord>(&Key::user(user)).await;
    Ok(record.map_err(Failure::from)?.is_some())
}
