//! Clusters: one that most tests share, and others for tests that stop API servers or bring their own operators.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Namespace as CoreNamespace;
use kube::api::{DeleteParams, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::namespace::{LABEL, Namespace};
use super::process::Output;
use super::{schemas, wait};

/// The cluster that tests share where this names one, instead of a control plane of theirs.
const KUBECONFIG: &str = "TEST_KUBECONFIG";

/// How many control planes run beside the shared one: each takes half a gigabyte, and a part of two cores.
static PLACES: Semaphore = Semaphore::const_new(4);

/// Control planes that no test uses now.
static IDLE: Mutex<Vec<Cluster>> = Mutex::new(Vec::new());

/// A cluster with the CRDs installed. All clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kubeconfig: PathBuf,
    /// Whether pods run.
    node: bool,
    /// Nothing where the cluster is somebody else's.
    console: Option<tokio::sync::Mutex<Console>>,
    outputs: Mutex<Vec<Output>>,
}

/// Where a control plane takes commands. It ends when this is dropped.
#[derive(Debug)]
struct Console {
    input: ChildStdin,
    answers: mpsc::UnboundedReceiver<String>,
}

impl Cluster {
    /// The cluster of all tests that only make objects; without an operator, see [`super::operator::Shared`].
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) async fn shared() -> Self {
        match env::var_os(KUBECONFIG) {
            Some(path) => Self::of(path.into(), None, false),
            None => Self::launch("control-plane", &[]).await,
        }
        .with_crds()
        .await
    }

    /// A cluster with a node, on which pods run, and our images loaded into it. Nothing is installed in it. A foreign one
    /// has them already.
    ///
    /// # Panics
    /// Where none can be started.
    #[allow(dead_code, reason = "tests without pods need no node")]
    pub(crate) async fn with_node() -> Self {
        if let Some(path) = env::var_os(KUBECONFIG) {
            return Self::of(path.into(), None, true);
        }
        static BUILT: OnceLock<String> = OnceLock::new();
        let images = BUILT.get_or_init(|| {
            script("hack/cluster.sh", &["build"]);
            // What its samples name beside ours, and no registry has to have.
            script("hack/image.sh", &["build"]) + &script("hack/image.sh", &["redis"])
        });
        let cluster = Self::launch("cluster", &[]).await;
        cluster.load(images).await;
        cluster
    }

    /// Loads the images of these files, one a line, into the nodes.
    ///
    /// # Panics
    /// Where that fails.
    pub(crate) async fn load(&self, images: &str) {
        let mut load = tokio::process::Command::new(path("hack/image.sh"));
        load.arg("load").args(images.lines()).env("KUBECONFIG", self.kubeconfig());
        let loaded = load.output().await.expect("load images");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    }

    /// A control plane for one test, which may do with it what it likes. It may have served a test before, of which
    /// nothing is left.
    ///
    /// # Panics
    /// Where none can be started.
    pub(crate) async fn own() -> Own {
        let place = PLACES.acquire().await.expect("never closed");
        let idle = IDLE.lock().unwrap().pop();
        let cluster = match idle {
            Some(cluster) => cluster,
            None => Self::launch("control-plane", &[]).await.with_crds().await,
        };
        Own { cluster, _place: place }
    }

    /// A control plane for one test in which nothing is installed. It ends with the test.
    ///
    /// # Panics
    /// Where none can be started.
    pub(crate) async fn empty() -> Own {
        Self::empty_with(&[]).await
    }

    /// Likewise, whose API server has these flags beside its own.
    ///
    /// # Panics
    /// Where none can be started.
    pub(crate) async fn empty_with(flags: &[String]) -> Own {
        let place = PLACES.acquire().await.expect("never closed");
        Own { cluster: Self::launch("control-plane", flags).await, _place: place }
    }

    fn of(kubeconfig: PathBuf, console: Option<Console>, node: bool) -> Self {
        let console = console.map(tokio::sync::Mutex::new);
        Self { inner: Arc::new(Inner { kubeconfig, node, console, outputs: Mutex::default() }) }
    }

    async fn launch(what: &str, flags: &[String]) -> Self {
        let directory = new_directory();
        let kubeconfig = directory.join("kubeconfig");
        // The shell removes what the control plane does not know of: logs, and what kubectl keeps.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"directory=$1; shift; trap '' HUP INT TERM; "$@"; rm -rf "$directory""#, "launch"])
            .arg(&directory)
            .arg(binary())
            .args([what, "--exit-with-stdin", "--kubeconfig"])
            .arg(&kubeconfig)
            .arg("--log-dir")
            .arg(directory.join("logs"))
            .args(flags.iter().map(|flag| format!("--apiserver-flag={flag}")));
        // Ctrl-C reaches the test alone, and then the control plane ends with its input.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut launcher = command.spawn().expect("start a cluster");
        let input = launcher.stdin.take().expect("a pipe");
        let errors = Output::default();
        errors.read_from(launcher.stderr.take().expect("a pipe"));
        let output = BufReader::new(launcher.stdout.take().expect("a pipe"));
        let (said, mut answers) = mpsc::unbounded_channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
            let _ = launcher.wait();
        });
        match answers.recv().await {
            Some(line) if line.starts_with("ready ") => {
                Self::of(kubeconfig, Some(Console { input, answers }), what == "cluster")
            }
            other => panic!("the {what} said {other:?}\n{}", errors.end("", 60)),
        }
    }

    async fn with_crds(self) -> Self {
        schemas::install(&self).await;
        self
    }

    /// A client. It belongs to the runtime that it is made on, so each test has its own. It tries nothing twice.
    ///
    /// # Panics
    /// Where the kubeconfig is broken.
    pub(crate) async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(&self.inner.kubeconfig).expect("read the kubeconfig");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a configuration");
        config.default_retry = false;
        Client::try_from(config).expect("a client")
    }

    /// Where its kubeconfig is.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.inner.kubeconfig
    }

    /// Whether it lives on when the tests end.
    pub(crate) fn is_foreign(&self) -> bool {
        self.inner.console.is_none()
    }

    /// Whether pods run in it. Of a foreign one it is what the tests that use it want.
    pub(crate) fn has_node(&self) -> bool {
        self.inner.node
    }

    /// A new namespace whose name begins so.
    pub(crate) async fn namespace(&self, prefix: &str) -> Namespace {
        Namespace::make(self, &self.client().await, prefix).await
    }

    /// Tells the cluster what to do, and returns when that is done: `stop-apiserver`, `start-apiserver`,
    /// `restart-apiserver`, `kill-apiserver`, `pause-apiserver`, `resume-apiserver`, and the same with `kubelet` and with
    /// `kube-proxy` where there is a node.
    ///
    /// # Panics
    /// Where it cannot, or the cluster is somebody else's.
    pub(crate) async fn tell(&self, command: &str) {
        let console = self.inner.console.as_ref().expect("a control plane of the tests' own");
        let mut console = console.lock().await;
        writeln!(console.input, "{command}").expect("the control plane runs");
        let answer = tokio::time::timeout(wait::BOUND, console.answers.recv()).await;
        assert_eq!(answer.ok().flatten(), Some(format!("ok {command}")));
    }

    /// Runs kubectl, with `input` as its standard input.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) async fn kubectl(&self, arguments: &[&str], input: &str) -> Kubectl {
        let mut command = tokio::process::Command::new(binary());
        command
            .arg("kubectl")
            .args(arguments)
            .env("KUBECONFIG", &self.inner.kubeconfig)
            .env("KUBECACHEDIR", self.cache())
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut running = command.spawn().expect("start kubectl");
        let mut pipe = running.stdin.take().expect("a pipe");
        let writing = async move { tokio::io::AsyncWriteExt::write_all(&mut pipe, input.as_bytes()).await };
        let ran = async { tokio::join!(writing, running.wait_with_output()).1 };
        let ended = tokio::time::timeout(wait::BOUND, ran).await;
        let ended =
            ended.unwrap_or_else(|_| panic!("kubectl {arguments:?} did not end")).expect("kubectl ran");
        Kubectl {
            code: ended.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
        }
    }

    fn cache(&self) -> PathBuf {
        match (&self.inner.console, self.inner.kubeconfig.parent()) {
            (Some(_), Some(directory)) => directory.join("cache"),
            _ => Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubectl"),
        }
    }

    /// Shows the lines of this output that name a test's namespace where that test fails.
    pub(crate) fn show_on_failure(&self, output: &Output) {
        self.inner.outputs.lock().unwrap().push(output.clone());
    }

    /// The last lines of the operators here in which `text` occurs.
    pub(crate) fn said_of(&self, text: &str) -> String {
        let outputs = self.inner.outputs.lock().unwrap();
        let said = outputs.iter().map(|output| output.end(text, 40)).filter(|said| !said.is_empty());
        said.collect::<Vec<_>>().join("\n--\n")
    }

    /// Takes away what a test leaves.
    async fn clear(&self) {
        self.inner.outputs.lock().unwrap().clear();
        let client = self.client().await;
        let all = ListParams::default();
        let delete = DeleteParams::default();
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        validating.delete_collection(&delete, &all).await.expect("delete webhook configurations");
        mutating.delete_collection(&delete, &all).await.expect("delete webhook configurations");
        let namespaces: Api<CoreNamespace> = Api::all(client);
        let ours = ListParams::default().labels(LABEL);
        for namespace in namespaces.list(&ours).await.expect("list namespaces") {
            Namespace::empty(self, &namespace.metadata.name.expect("a name")).await;
        }
        wait::until("the namespaces are gone", async || {
            let left = namespaces.list(&ours).await.map_err(|error| error.to_string())?;
            let names: Vec<_> = left.into_iter().filter_map(|namespace| namespace.metadata.name).collect();
            if names.is_empty() { Ok(()) } else { Err(names.join(" ")) }
        })
        .await;
    }
}

/// What kubectl did.
#[derive(Debug)]
pub(crate) struct Kubectl {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it complained about.
    pub(crate) stderr: String,
}

impl Kubectl {
    /// Its output.
    ///
    /// # Panics
    /// Where it failed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "kubectl: {}", self.stderr);
        self.stdout
    }

    /// What it complained about.
    ///
    /// # Panics
    /// Where it did not fail.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, 1, "kubectl: {}{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// A cluster that one test has to itself.
#[derive(Debug)]
pub(crate) struct Own {
    cluster: Cluster,
    _place: SemaphorePermit<'static>,
}

impl Deref for Own {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Own {
    /// Gives the cluster to the next test. One that is dropped instead, by a test that failed, ends.
    pub(crate) async fn done(self) {
        self.cluster.clear().await;
        IDLE.lock().unwrap().push(self.cluster.clone());
    }
}

/// Kubernetes and kubectl in one file; made where it is missing.
///
/// # Panics
/// Where it cannot be made.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| script("hack/control-plane.sh", &["build"]).trim().into())
}

/// What a script prints.
///
/// # Panics
/// Where it fails.
pub(crate) fn script(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(path(name));
    let ran = command.args(arguments).output().unwrap_or_else(|error| panic!("run {name}: {error}"));
    assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A file of the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn new_directory() -> PathBuf {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let name = format!("cluster-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).expect("make a directory");
    path
}
