//! A server in this process, on a port and in a directory of its own.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use attorn_server::WallClock;
use attorn_server::config::Config;
use attorn_server::init::{InitOptions, init};
use attorn_server::run;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::files::copy_dir;
use crate::http::Reach;
use crate::people::Staff;
use crate::svids::{Authority, Certified};

/// A fresh directory, and what its `init` gave.
pub struct Fresh {
    /// The directory, removed at the end.
    pub dir: TempDir,
    /// The configuration file.
    pub config: std::path::PathBuf,
    /// The token that makes the first admin.
    pub bootstrap_token: String,
    /// Where the server will be.
    pub reach: Reach,
}

impl Fresh {
    /// Make one where temporary files go.
    pub async fn make() -> Self {
        Self::make_in(&std::env::temp_dir()).await
    }

    /// Make one in this directory.
    pub async fn make_in(parent: &Path) -> Self {
        let dir = TempDir::new_in(parent).unwrap();
        let listen = free_address();
        let options = InitOptions { dir: dir.path().join("attorn"), listen, public_url: None };
        let report = init(&options).await.unwrap_or_else(|error| panic!("init failed: {error}"));
        let fresh = Self {
            config: report.config_path.clone(),
            bootstrap_token: report.bootstrap_token.expose().to_owned(),
            reach: Reach::new(format!("http://{listen}")),
            dir,
        };
        // A test may be as quick as it can; what happens to floods has its own.
        fresh.configure("agent_requests_per_s_max = 200", "agent_requests_per_s_max = 1000000")
    }

    /// One whose server speaks TLS, with a certificate that this authority signed.
    pub async fn make_with_tls(authority: &Authority) -> Self {
        Self::make().await.over_tls(&authority.server(), &authority.pem)
    }

    /// The same, whose server speaks TLS with this certificate, which the root in PEM stands behind.
    #[must_use]
    pub fn over_tls(mut self, server: &Certified, root_pem: &str) -> Self {
        let folder = self.config.parent().unwrap().to_owned();
        std::fs::write(folder.join("tls.crt"), &server.pem).unwrap();
        std::fs::write(folder.join("tls.key"), &server.key_pem).unwrap();
        std::fs::set_permissions(folder.join("tls.key"), Permissions::from_mode(0o600)).unwrap();
        let url = self.reach.url.replace("http://", "https://");
        let plain = format!("\"{}\"", self.reach.url);
        self = self.configure(&plain, &format!("\"{url}\""));
        let tls = "tls = \"server\"\ntls_certificate = \"tls.crt\"\ntls_key = \"tls.key\"";
        self = self.configure("tls = \"none\"", tls);
        self.reach = Reach::trusting(url, root_pem);
        self
    }

    /// The same with another text in its configuration.
    pub fn configure(self, from: &str, to: &str) -> Self {
        let text = std::fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "`{from}` is not in {text}");
        std::fs::write(&self.config, text.replace(from, to)).unwrap();
        self
    }

    /// The directory of the store.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.config.parent().unwrap_or(Path::new("/")).join("data")
    }

    /// What makes its store ours.
    pub fn ours(&self) -> attorn_store::Ours {
        attorn_server::data::ours(&attorn_server::Config::load(&self.config).unwrap()).unwrap()
    }
}

/// A server in this process.
pub struct Server {
    /// How to reach it.
    pub reach: Reach,
    /// Who administers it.
    pub staff: Staff,
    stop: Option<oneshot::Sender<()>>,
    running: Running,
    /// The server's wall clock, which a test may shift.
    pub wall: WallClock,
    // Removed last.
    fresh: Fresh,
}

impl Server {
    /// Start one with nothing registered but its staff.
    pub async fn start() -> Self {
        Self::start_in(Fresh::make().await).await
    }

    /// The same in this directory.
    pub async fn start_in(fresh: Fresh) -> Self {
        Self::start_with(fresh, run::Start::default()).await
    }

    /// The same, started so; with a wall clock of its own.
    pub async fn start_with(fresh: Fresh, start: run::Start) -> Self {
        let wall = WallClock::default();
        let (running, stop) = run(&fresh, run::Start { wall: wall.clone(), ..start }).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        Self { reach: fresh.reach.clone(), staff, stop: Some(stop), running, wall, fresh }
    }

    /// Stop it, and start it again with the same wall clock, which it accepts or not.
    pub async fn restart(&mut self, accept_clock: bool) {
        self.pause().await;
        self.go_on(accept_clock).await;
    }

    /// Stop it; [`Self::go_on`] starts it again.
    pub async fn pause(&mut self) {
        drop(self.stop.take());
        (&mut self.running).await.unwrap().unwrap();
    }

    /// Start what was stopped.
    pub async fn go_on(&mut self, accept_clock: bool) {
        let start = run::Start { accept_clock, wall: self.wall.clone(), ..run::Start::default() };
        let (running, stop) = run(&self.fresh, start).await;
        (self.running, self.stop) = (running, Some(stop));
    }

    /// Stop it, copy all that it keeps to another directory, and start it there. The first is removed.
    pub async fn move_to_copy(&mut self) {
        self.pause().await;
        let dir = TempDir::new().unwrap();
        let home = dir.path().join("attorn");
        copy_dir(self.fresh.config.parent().unwrap(), &home);
        self.fresh.config = home.join("attorn.toml");
        self.fresh.dir = dir;
        let start = run::Start { wall: self.wall.clone(), ..run::Start::default() };
        let (running, stop) = run(&self.fresh, start).await;
        (self.running, self.stop) = (running, Some(stop));
    }

    /// The directory of its store.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.fresh.data_dir()
    }

    /// Stop it, and wait until it has.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.running).await.unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

type Running = JoinHandle<Result<(), run::ServeError>>;

async fn run(fresh: &Fresh, start: run::Start) -> (Running, oneshot::Sender<()>) {
    let config = Config::load(&fresh.config).unwrap();
    // What a test says of policies is not about how busy the machine is.
    let start = run::Start { request_wall_us_max: start.request_wall_us_max.or(Some(10_000_000)), ..start };
    let server = Box::pin(run::Server::bind(config, start)).await;
    let server = server.unwrap_or_else(|error| panic!("no start: {error}"));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    (tokio::spawn(server.run(stopped)), stop)
}

/// An address on loopback that nobody listens on: below the ports that the system gives to outgoing
/// connections, so that none of those takes it meanwhile.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test processes begin elsewhere.
    let first = u16::try_from(std::process::id() % 500).unwrap() * 20;
    for _ in 0..1_000 {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free on loopback");
}
