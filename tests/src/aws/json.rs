//! What speaks JSON: ECS, ECR, CloudWatch Logs, Secrets Manager.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::server::Answer;
use super::world::{Service, Task, World};
use super::{ACCOUNT, REGION, Shared};

/// Answers an action.
pub(super) fn answer(shared: &Shared, action: &str, body: &Value) -> Answer {
    let mut world = shared.world();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let done = match action {
        "DescribeServices" => {
            let names = body["services"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let found = names.filter_map(|name| world.services.get(name.rsplit('/').next().unwrap_or(name)));
            let services: Vec<Value> = found.map(|service| service_json(&world, service)).collect();
            json!({ "services": services, "failures": [] })
        }
        "UpdateService" => {
            let name = text("service");
            let wanted = text("taskDefinition");
            let definition = world.definition(&wanted).unwrap_or(wanted);
            let Some(service) = world.services.get_mut(&name) else {
                return Answer::Refused("ServiceNotFoundException", "Service not found.".to_owned());
            };
            if !definition.is_empty() {
                service.definition = definition;
            }
            if let Some(count) = body["desiredCount"].as_u64() {
                service.desired = usize::try_from(count).unwrap_or(usize::MAX);
            }
            world.settle();
            json!({ "service": service_json(&world, &world.services[&name]) })
        }
        "ListTasks" => {
            let (service, status) = (text("serviceName"), text("desiredStatus"));
            let is = |task: &&Task| task.service == service && task.status == status;
            let arns: Vec<String> = world.tasks.iter().filter(is).map(|task| arn(&world, task)).collect();
            json!({ "taskArns": arns })
        }
        "DescribeTasks" => {
            let wanted: Vec<&str> =
                body["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let is = |task: &&Task| wanted.iter().any(|arn| arn.ends_with(&task.id));
            let tasks: Vec<Value> =
                world.tasks.iter().filter(is).map(|task| task_json(&world, task)).collect();
            json!({ "tasks": tasks, "failures": [] })
        }
        "GetTaskProtection" => {
            let all = world.tasks.iter().filter(|task| task.status == "RUNNING");
            let all = all
                .map(|task| json!({ "taskArn": arn(&world, task), "protectionEnabled": task.is_protected }));
            json!({ "protectedTasks": all.collect::<Vec<_>>(), "failures": [] })
        }
        "DescribeTaskDefinition" => {
            let definition = world.definitions.get(&text("taskDefinition")).cloned().unwrap_or_default();
            let containers = definition["ContainerDefinitions"].as_array().cloned().unwrap_or_default();
            let containers = containers.iter().map(|one| {
                json!({
                    "name": one["Name"],
                    "logConfiguration": {
                        "logDriver": one["LogConfiguration"]["LogDriver"],
                        "options": one["LogConfiguration"]["Options"],
                    },
                })
            });
            json!({ "taskDefinition": { "containerDefinitions": containers.collect::<Vec<_>>() } })
        }
        "ListTaskDefinitions" => {
            let family = text("familyPrefix");
            let all = world.definitions.keys().filter(|arn| arn.contains(&format!("/{family}:")));
            json!({ "taskDefinitionArns": all.collect::<Vec<_>>() })
        }
        "DeregisterTaskDefinition" => {
            world.definitions.remove(&text("taskDefinition"));
            json!({})
        }
        "DescribeImages" => {
            let (name, tag) =
                (text("repositoryName"), body["imageIds"][0]["imageTag"].as_str().unwrap_or_default());
            if !world.images.contains(&(name.clone(), tag.to_owned())) {
                return Answer::Refused("ImageNotFoundException", "The image does not exist".to_owned());
            }
            json!({ "imageDetails": [{ "imageDigest": digest(&name, tag), "imageTags": [tag] }] })
        }
        "PutImage" => {
            let (name, tag) = (text("repositoryName"), text("imageTag"));
            world.images.insert((name.clone(), tag.clone()));
            json!({ "image": { "imageId": { "imageDigest": digest(&name, &tag), "imageTag": tag } } })
        }
        "GetAuthorizationToken" => json!({ "authorizationData": [{
            "authorizationToken": STANDARD.encode("AWS:password"),
            "proxyEndpoint": format!("https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"),
        }] }),
        "GetLogEvents" => {
            let (group, stream) = (text("logGroupName"), text("logStreamName"));
            let lines = world.logs.iter().filter(|line| line.group == group && line.stream == stream);
            let events = lines.map(|line| json!({ "message": line.text, "timestamp": line.at }));
            json!({ "events": events.collect::<Vec<_>>() })
        }
        "FilterLogEvents" => {
            let (group, from) = (text("logGroupName"), body["startTime"].as_i64().unwrap_or(0));
            let lines =
                world.logs.iter().enumerate().filter(|(_, line)| line.group == group && line.at >= from);
            let events = lines.map(|(index, line)| {
                json!({ "eventId": index.to_string(), "message": line.text, "timestamp": line.at, "logStreamName": line.stream })
            });
            json!({ "events": events.collect::<Vec<_>>() })
        }
        "GetSecretValue" => match world.secrets.get(&text("SecretId")) {
            Some(secret) => json!({ "SecretString": secret }),
            None => return Answer::Refused("ResourceNotFoundException", "no such secret".to_owned()),
        },
        other => panic!("the stand-in for AWS does not know {other}"),
    };
    Answer::Json(done)
}

fn arn(world: &World, task: &Task) -> String {
    let cluster = world.services.get(&task.service).map_or("cluster", |service| service.cluster.as_str());
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{}", task.id)
}

fn task_json(world: &World, task: &Task) -> Value {
    let containers = if task.container.is_empty() {
        json!([])
    } else {
        json!([{ "name": task.container, "exitCode": task.exit_code, "lastStatus": task.status }])
    };
    json!({
        "taskArn": arn(world, task),
        "taskDefinitionArn": task.definition,
        "lastStatus": task.status,
        "desiredStatus": task.status,
        "healthStatus": "HEALTHY",
        "stoppedReason": Some(&task.reason).filter(|reason| !reason.is_empty()),
        "containers": containers,
    })
}

fn service_json(world: &World, service: &Service) -> Value {
    let running: Vec<&Task> =
        world.tasks.iter().filter(|task| task.service == service.name && task.status == "RUNNING").collect();
    let current = running.iter().filter(|task| task.definition == service.definition).count();
    let old = running.len() - current;
    let mut deployments = vec![json!({
        "status": "PRIMARY",
        "taskDefinition": service.definition,
        "desiredCount": service.desired,
        "runningCount": current,
        "failedTasks": 0,
        "rolloutState": if old == 0 { "COMPLETED" } else { "IN_PROGRESS" },
    })];
    if old > 0 {
        deployments
            .push(json!({ "status": "ACTIVE", "desiredCount": 0, "runningCount": old, "failedTasks": 0 }));
    }
    json!({
        "serviceName": service.name,
        "status": "ACTIVE",
        "desiredCount": service.desired,
        "runningCount": running.len(),
        "pendingCount": 0,
        "taskDefinition": service.definition,
        "deployments": deployments,
    })
}

/// A digest that is the image's own.
fn digest(name: &str, tag: &str) -> String {
    let seed = name
        .bytes()
        .chain(tag.bytes())
        .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("sha256:{seed:064x}")
}
