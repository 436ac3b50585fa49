//! A stand-in for AWS: CloudFormation, ECS, ECR, S3, CloudWatch Logs, Secrets Manager and STS, as far as a
//! deployment asks them. It evaluates the real templates, works resource by resource, and goes wrong when a
//! test tells it to: failures, rollbacks, throttling, expired credentials, lost connections.

mod engine;
mod json;
mod query;
mod server;
mod template;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::mobzctl;
use world::{Fault, LogLine, Task, World};

/// The region everything is in.
const REGION: &str = "eu-central-1";
/// The account everything belongs to.
const ACCOUNT: &str = "123456789012";

/// An account of AWS. It ends when dropped.
#[derive(Debug)]
pub struct Aws {
    url: String,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// All that an account held at some time.
#[derive(Clone, Debug)]
pub struct Snapshot(World);

#[derive(Debug, Default)]
struct Shared(Mutex<World>);

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// `mobzctl` in this folder, with a stand-in for AWS at this URL and no other setting.
pub fn mobzctl_at(url: &str, folder: &Path) -> Command {
    let mut command = mobzctl();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "AKIATEST")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

impl Drop for Aws {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Aws {
    /// An empty account.
    pub fn start() -> Self {
        Self::of(World::default())
    }

    /// An account that begins with what another held.
    pub fn from(snapshot: &Snapshot) -> Self {
        Self::of(snapshot.0.clone())
    }

    fn of(world: World) -> Self {
        let shared = Arc::new(Shared(Mutex::new(world)));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        // On a thread of its own: a test may itself be asynchronous.
        let serve = || runtime.block_on(server::serve(Arc::clone(&shared)));
        let url = std::thread::scope(|scope| scope.spawn(serve).join()).expect("it serves");
        Self { url, shared, runtime: Some(runtime) }
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.shared.world().clone())
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `mobzctl` in this folder, with this account's credentials and no other setting.
    pub fn mobzctl(&self, folder: &Path) -> Command {
        mobzctl_at(&self.url, folder)
    }

    /// Puts an image into a repository, by `repository:tag`.
    pub fn has_image(&self, repository: &str, tag: &str) {
        self.shared.world().images.insert((repository.to_owned(), tag.to_owned()));
    }

    /// Puts an object into a bucket that is there.
    pub fn has_object(&self, bucket: &str, key: &str) {
        self.shared.world().objects.entry(bucket.to_owned()).or_default().insert(key.to_owned());
    }

    /// The next time this resource is created, updated or deleted (`CREATE`, `UPDATE`, `DELETE`; `*` and
    /// `ROLLBACK` for a stack's rollback), it goes wrong.
    pub fn fails(&self, stack: &str, resource: &str, verb: &'static str, reason: &str) {
        let (stack, resource, reason) = (stack.to_owned(), resource.to_owned(), reason.to_owned());
        self.shared.world().faults.push(Fault { stack, resource, verb, reason, times: 1 });
    }

    /// Keeps a resource from getting done until [`Aws::release`].
    pub fn holds(&self, stack: &str, resource: &str) {
        self.shared.world().held.insert(format!("{stack}/{resource}"));
    }

    /// Lets everything go on that was held.
    pub fn release(&self) {
        self.shared.world().held.clear();
    }

    /// Answers this action with `Throttling`, so often.
    pub fn throttles(&self, action: &str, times: u32) {
        self.shared.world().throttled.push_back((action.to_owned(), times));
    }

    /// Hangs up on the next requests without an answer, so often.
    pub fn cuts(&self, times: u32) {
        self.shared.world().cut = times;
    }

    /// Each answer takes so long from now on.
    pub fn answers_after(&self, delay: Duration) {
        self.shared.world().delay = delay;
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.shared.world().asked.len()
    }

    /// From now on the credentials have expired, or are good again.
    pub fn expires(&self, expired: bool) {
        self.shared.world().expired = expired;
    }

    /// The state of a stack; empty where there is none.
    pub fn status(&self, stack: &str) -> String {
        self.shared.world().stack(stack).map(|stack| stack.status.clone()).unwrap_or_default()
    }

    /// Puts a stack into a state, as if that had happened before.
    pub fn set_status(&self, stack: &str, status: &str) {
        self.shared.world().tell_stack(stack, status, "");
    }

    /// Leaves a stack of an environment behind that was only proposed.
    pub fn leaves_proposal(&self, stack: &str, environment: &str) {
        let mut world = self.shared.world();
        let id = format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/{:08x}", world.serial());
        let tags = BTreeMap::from([("mobz:environment".to_owned(), environment.to_owned())]);
        world.stacks.push(world::Stack {
            id: id.clone(),
            name: stack.to_owned(),
            tags,
            ..world::Stack::default()
        });
        world.tell_stack(&id, "REVIEW_IN_PROGRESS", "User Initiated");
    }

    /// Says of a stack that it was found to be changed by hand.
    pub fn drifts(&self, stack: &str) {
        if let Some(stack) = self.shared.world().stack_mut(stack) {
            stack.drifted = true;
        }
    }

    /// The names of the stacks there are.
    pub fn stacks(&self) -> Vec<String> {
        let world = self.shared.world();
        let living = world.stacks.iter().filter(|stack| stack.status != "DELETE_COMPLETE");
        living.map(|stack| stack.name.clone()).collect()
    }

    /// The change sets that were made and neither executed nor taken away.
    pub fn change_sets(&self) -> usize {
        self.shared.world().change_sets.len()
    }

    /// How often this action was asked for.
    pub fn asked(&self, action: &str) -> usize {
        self.shared.world().asked.iter().filter(|asked| *asked == action).count()
    }

    /// An output of a stack.
    pub fn output(&self, stack: &str, name: &str) -> String {
        let world = self.shared.world();
        world.stack(stack).and_then(|stack| stack.outputs.get(name).cloned()).unwrap_or_default()
    }

    /// The name in AWS of a stack's resource.
    pub fn resource(&self, stack: &str, resource: &str) -> String {
        let world = self.shared.world();
        let stack = world.stack(stack);
        stack
            .and_then(|stack| stack.resources.get(resource))
            .map(|one| one.physical.clone())
            .unwrap_or_default()
    }

    /// Takes all tags from a stack.
    pub fn untag(&self, stack: &str) {
        if let Some(stack) = self.shared.world().stack_mut(stack) {
            stack.tags.clear();
        }
    }

    /// A parameter that a stack was given.
    pub fn parameter(&self, stack: &str, name: &str) -> String {
        let world = self.shared.world();
        world.stack(stack).and_then(|stack| stack.parameters.get(name).cloned()).unwrap_or_default()
    }

    /// A task of a service that stopped, and what it logged last.
    pub fn has_stopped_task(
        &self,
        service: &str,
        definition: &str,
        container: &str,
        log: (&str, &str),
        lines: &[&str],
    ) {
        let mut world = self.shared.world();
        let id = format!("{:032x}", world.serial());
        let (group, prefix) = log;
        for (index, line) in lines.iter().enumerate() {
            let (group, stream) = (group.to_owned(), format!("{prefix}/{container}/{id}"));
            let at = i64::try_from(index).unwrap_or(0) + 1_000;
            world.logs.push(LogLine { group, stream, at, text: (*line).to_owned() });
        }
        world.tasks.push(Task {
            id,
            service: service.to_owned(),
            definition: definition.to_owned(),
            status: "STOPPED",
            is_protected: false,
            reason: "Essential container in task exited".to_owned(),
            container: container.to_owned(),
            exit_code: Some(1),
        });
    }

    /// Logs a line now.
    pub fn logs(&self, group: &str, stream: &str, text: &str) {
        let at = jiff::Timestamp::now().as_millisecond();
        let (group, stream, text) = (group.to_owned(), stream.to_owned(), text.to_owned());
        self.shared.world().logs.push(LogLine { group, stream, at, text });
    }

    /// The running tasks of a service: id, revision of the definition.
    pub fn running(&self, service: &str) -> Vec<(String, String)> {
        let world = self.shared.world();
        let running = world.tasks.iter().filter(|task| task.service == service && task.status == "RUNNING");
        running
            .map(|task| (task.id.clone(), task.definition.rsplit(':').next().unwrap_or_default().to_owned()))
            .collect()
    }

    /// Protects a task from being stopped, or no longer, as a regulator does.
    pub fn protects(&self, task: &str, is_protected: bool) {
        let mut world = self.shared.world();
        world
            .tasks
            .iter_mut()
            .filter(|known| known.id == task)
            .for_each(|task| task.is_protected = is_protected);
        world.settle();
    }

    /// How many tasks a service wants.
    pub fn desired(&self, service: &str) -> usize {
        self.shared.world().services.get(service).map_or(0, |service| service.desired)
    }
}
