//! A server in this process, which can be stopped and started anew over the same directory: what no API would make in
//! time is put into its store meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attorn_core::BoundsLimits;
use attorn_identity::{KeyLabel, RootKey, UserKey};
use attorn_server::run::{Server, Start};
use attorn_server::{Config, Rehearsals};
use attorn_store::Store;
use attorn_tests::server::Fresh;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Four are the most by default; this is twice that.
pub(super) const HOPS_MAX: usize = 8;
/// How often a store is tried that its server has not let go of yet.
const TRIES: usize = 500;

/// The server.
pub(super) struct Host {
    pub(super) fresh: Fresh,
    running: Option<Running>,
}

struct Running {
    rehearsals: Rehearsals,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Host {
    /// Start one in a new directory below this one.
    pub(super) async fn start(parent: &Path) -> Self {
        let fresh = Fresh::make_in(parent).await;
        let running = Some(Running::start(&fresh).await);
        Self { fresh, running }
    }

    /// Decisions that are tried in it without being made.
    pub(super) fn rehearsals(&self) -> &Rehearsals {
        &self.running.as_ref().unwrap().rehearsals
    }

    /// Stop it. What comes back is its store.
    pub(super) async fn stop(&mut self) -> Store {
        let Running { rehearsals, stop, ended } = self.running.take().unwrap();
        drop((rehearsals, stop));
        ended.await.unwrap();
        let config = self.config();
        for _ in 0..TRIES {
            if let Ok(store) = Store::open(&config.data_dir, &attorn_server::data::ours(&config).unwrap()) {
                return store;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server has not let go of its store");
    }

    /// Start it again over this store.
    pub(super) async fn start_again(&mut self, store: Store) {
        drop(store);
        self.running = Some(Running::start(&self.fresh).await);
    }

    /// The key of one of its users.
    pub(super) fn user_key(&self, user: &str) -> UserKey {
        let config = self.config();
        let root: RootKey = std::fs::read_to_string(&config.root_key).unwrap().parse().unwrap();
        let path: PathBuf = config.user_keys.join(&user[user.len() - 2..]).join(format!("{user}.key"));
        let label = KeyLabel { kind: "user", id: user, version: 1 };
        let secret = root.unwrap(label, &std::fs::read(path).unwrap()).unwrap();
        UserKey::of(Zeroizing::new(secret.as_slice().try_into().unwrap()))
    }

    fn config(&self) -> Config {
        Config::load(&self.fresh.config).unwrap()
    }
}

impl Running {
    async fn start(fresh: &Fresh) -> Self {
        let limits = BoundsLimits { hops_max: HOPS_MAX, ..BoundsLimits::default() };
        let start = Start { limits, ..Start::default() };
        let server = Server::bind(Config::load(&fresh.config).unwrap(), start).await.unwrap();
        let rehearsals = server.rehearsals();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(async { server.run(stopped).await.unwrap() });
        Self { rehearsals, stop, ended }
    }
}
