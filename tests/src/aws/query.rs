//! What speaks forms and XML: CloudFormation, STS, and S3.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::server::{Answer, respond};
use super::template::Template;
use super::world::{Change, ChangeSet, Event, Stack, now};
use super::{ACCOUNT, REGION, Shared, engine};

/// How many events or changes a page has.
const PAGE: usize = 20;
/// How often a change set is in the making when it is looked at.
const LOOKS: u32 = 1;

/// A request's form.
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// `Parameters.member.1.ParameterKey` and so on.
    fn pairs(&self, list: &str, key: &str, value: &str) -> BTreeMap<String, String> {
        let mut pairs = BTreeMap::new();
        for number in 1.. {
            let name = self.get(&format!("{list}.member.{number}.{key}"));
            if name.is_empty() {
                return pairs;
            }
            let field = format!("{list}.member.{number}.{value}");
            if self.0.iter().any(|(known, _)| *known == field) {
                pairs.insert(name.to_owned(), self.get(&field).to_owned());
            }
        }
        pairs
    }

    fn list(&self, list: &str) -> BTreeSet<String> {
        let prefix = format!("{list}.member.");
        self.0.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, value)| value.clone()).collect()
    }
}

/// Answers an action of CloudFormation or STS.
pub(super) fn answer(shared: &Arc<Shared>, action: &str, form: &Form) -> Answer {
    let answer = match action {
        "GetCallerIdentity" => Ok(format!(
            "<Arn>arn:aws:iam::{ACCOUNT}:user/test</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
        )),
        "DescribeStacks" => describe_stacks(shared, form),
        "DescribeStackEvents" => describe_stack_events(shared, form),
        "DescribeStackResources" => describe_stack_resources(shared, form),
        "CreateChangeSet" => create_change_set(shared, form),
        "DescribeChangeSet" => describe_change_set(shared, form),
        "DeleteChangeSet" => {
            shared.world().change_sets.remove(form.get("ChangeSetName"));
            Ok(String::new())
        }
        "ExecuteChangeSet" => execute_change_set(shared, form),
        "DeleteStack" => {
            let id = shared.world().stack(form.get("StackName")).map(|stack| stack.id.clone());
            if let Some(id) = id {
                shared.world().tell_stack(&id, "DELETE_IN_PROGRESS", "User Initiated");
                tokio::spawn(engine::delete(Arc::clone(shared), id, form.list("RetainResources")));
            }
            Ok(String::new())
        }
        "ContinueUpdateRollback" => match shared.world().stack(form.get("StackName")) {
            Some(stack) if stack.status == "UPDATE_ROLLBACK_FAILED" => {
                tokio::spawn(engine::continue_rollback(Arc::clone(shared), stack.id.clone()));
                Ok(String::new())
            }
            Some(_) | None => {
                Err(("ValidationError", "the stack is in no state to continue a rollback".to_owned()))
            }
        },
        other => panic!("the stand-in for AWS does not know {other}"),
    };
    match answer {
        Ok(inner) => Answer::Xml(format!(
            "<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
        )),
        Err((code, message)) => Answer::Refused(code, message),
    }
}

type Answered = Result<String, (&'static str, String)>;

fn unknown(name: &str) -> (&'static str, String) {
    ("ValidationError", format!("Stack with id {name} does not exist"))
}

fn describe_stacks(shared: &Shared, form: &Form) -> Answered {
    let world = shared.world();
    let name = form.get("StackName");
    let stack = world.stack(name).ok_or_else(|| unknown(name))?;
    Ok(format!("<Stacks><member>{}</member></Stacks>", stack_xml(stack)))
}

fn stack_xml(stack: &Stack) -> String {
    let mut xml = String::new();
    tag(&mut xml, "StackId", &stack.id);
    tag(&mut xml, "StackName", &stack.name);
    tag(&mut xml, "StackStatus", &stack.status);
    tag(&mut xml, "StackStatusReason", &stack.reason);
    tag(&mut xml, "CreationTime", stack.events.first().map_or("", |event| &event.at));
    let lists = [
        ("Outputs", "OutputKey", "OutputValue", &stack.outputs),
        ("Parameters", "ParameterKey", "ParameterValue", &stack.parameters),
        ("Tags", "Key", "Value", &stack.tags),
    ];
    for (list, key, value, pairs) in lists {
        let _ = write!(xml, "<{list}>");
        for (name, content) in pairs {
            xml.push_str("<member>");
            tag(&mut xml, key, name);
            tag(&mut xml, value, content);
            xml.push_str("</member>");
        }
        let _ = write!(xml, "</{list}>");
    }
    let drift = if stack.drifted { "DRIFTED" } else { "NOT_CHECKED" };
    let _ = write!(xml, "<DriftInformation><StackDriftStatus>{drift}</StackDriftStatus></DriftInformation>");
    xml
}

fn describe_stack_events(shared: &Shared, form: &Form) -> Answered {
    let world = shared.world();
    let name = form.get("StackName");
    let stack = world.stack(name).ok_or_else(|| unknown(name))?;
    let skip: usize = form.get("NextToken").parse().unwrap_or(0);
    let newest: Vec<&Event> = stack.events.iter().rev().skip(skip).collect();
    let mut xml = "<StackEvents>".to_owned();
    for event in newest.iter().take(PAGE) {
        xml.push_str("<member>");
        let fields = [
            ("StackId", &stack.id),
            ("StackName", &stack.name),
            ("EventId", &event.id),
            ("LogicalResourceId", &event.resource),
            ("PhysicalResourceId", &event.physical),
            ("ResourceType", &event.kind),
            ("Timestamp", &event.at),
            ("ResourceStatus", &event.status),
            ("ResourceStatusReason", &event.reason),
        ];
        for (name, value) in fields {
            tag(&mut xml, name, value);
        }
        xml.push_str("</member>");
    }
    xml.push_str("</StackEvents>");
    if newest.len() > PAGE {
        tag(&mut xml, "NextToken", &(skip + PAGE).to_string());
    }
    Ok(xml)
}

fn describe_stack_resources(shared: &Shared, form: &Form) -> Answered {
    let world = shared.world();
    let name = form.get("StackName");
    let stack = world.stack(name).ok_or_else(|| unknown(name))?;
    let mut xml = "<StackResources>".to_owned();
    for (resource, one) in &stack.resources {
        xml.push_str("<member>");
        tag(&mut xml, "LogicalResourceId", resource);
        tag(&mut xml, "PhysicalResourceId", &one.physical);
        tag(&mut xml, "ResourceType", &one.kind);
        tag(&mut xml, "Timestamp", &now());
        tag(&mut xml, "ResourceStatus", &one.status);
        xml.push_str("</member>");
    }
    xml.push_str("</StackResources>");
    Ok(xml)
}

fn create_change_set(shared: &Shared, form: &Form) -> Answered {
    let invalid = |why: String| ("ValidationError", why);
    let mut world = shared.world();
    let name = form.get("StackName").to_owned();
    let is_creation = form.get("ChangeSetType") == "CREATE";
    let there = world.stack(&name).cloned();
    match (&there, is_creation) {
        (None, false) => return Err(invalid(format!("Stack [{name}] does not exist"))),
        (Some(stack), true) if stack.status != "REVIEW_IN_PROGRESS" => {
            return Err(invalid(format!("Stack [{name}] already exists and cannot be created again")));
        }
        (Some(stack), _) if stack.status.ends_with("IN_PROGRESS") && stack.status != "REVIEW_IN_PROGRESS" => {
            return Err(invalid(format!(
                "Stack:{} is in {} state and can not be updated.",
                stack.id, stack.status
            )));
        }
        (Some(stack), false)
            if ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED"]
                .contains(&stack.status.as_str()) =>
        {
            return Err(invalid(format!(
                "Stack:{} is in {} state and can not be updated.",
                stack.id, stack.status
            )));
        }
        _ => {}
    }
    let template = Template::parse(form.get("TemplateBody")).map_err(invalid)?;
    let mut given = form.pairs("Parameters", "ParameterKey", "ParameterValue");
    let kept = form.pairs("Parameters", "ParameterKey", "UsePreviousValue");
    for key in kept.into_keys() {
        let old = there.as_ref().and_then(|stack| stack.parameters.get(&key));
        given.insert(key, old.cloned().unwrap_or_default());
    }
    let parameters = template.parameters(&given).map_err(invalid)?;
    let tags = form.pairs("Tags", "Key", "Value");
    if there.is_none() {
        let id = format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{:08x}", world.serial());
        world.stacks.push(Stack {
            id: id.clone(),
            name: name.clone(),
            tags: tags.clone(),
            ..Stack::default()
        });
        world.tell_stack(&id, "REVIEW_IN_PROGRESS", "User Initiated");
    }
    let stack = world.stack(&name).map(|stack| stack.id.clone()).unwrap_or_default();
    let mut changes = world.compare(&name, &template, &parameters);
    let is_drifted = there.as_ref().is_some_and(|stack| stack.drifted);
    if changes.is_empty() && is_drifted && form.get("DeploymentMode") == "REVERT_DRIFT" {
        changes.extend(world.changed_by_hand(&name));
    }
    let id = format!(
        "arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{}/{:08x}",
        form.get("ChangeSetName"),
        world.serial()
    );
    let failure = changes.is_empty().then(|| {
        "The submitted information didn't contain changes. Submit different information to create a change set."
            .to_owned()
    });
    let set = ChangeSet {
        id: id.clone(),
        stack: stack.clone(),
        template: form.get("TemplateBody").to_owned(),
        parameters,
        tags,
        is_creation,
        changes,
        failure,
        looks: LOOKS,
    };
    world.change_sets.insert(id.clone(), set);
    Ok(format!("<Id>{id}</Id><StackId>{stack}</StackId>"))
}

fn describe_change_set(shared: &Shared, form: &Form) -> Answered {
    let mut world = shared.world();
    let id = form.get("ChangeSetName");
    let set = world.change_sets.get_mut(id);
    let set = set.ok_or_else(|| ("ChangeSetNotFound", format!("ChangeSet [{id}] does not exist")))?;
    let mut xml = String::new();
    tag(&mut xml, "ChangeSetId", &set.id);
    tag(&mut xml, "StackId", &set.stack);
    if set.looks > 0 {
        set.looks -= 1;
        tag(&mut xml, "Status", "CREATE_IN_PROGRESS");
        return Ok(xml);
    }
    if let Some(reason) = &set.failure {
        tag(&mut xml, "Status", "FAILED");
        tag(&mut xml, "StatusReason", reason);
        return Ok(xml);
    }
    tag(&mut xml, "Status", "CREATE_COMPLETE");
    let skip: usize = form.get("NextToken").parse().unwrap_or(0);
    xml.push_str("<Changes>");
    for change in set.changes.iter().skip(skip).take(PAGE) {
        xml.push_str(&change_xml(change));
    }
    xml.push_str("</Changes>");
    if set.changes.len() > skip + PAGE {
        tag(&mut xml, "NextToken", &(skip + PAGE).to_string());
    }
    Ok(xml)
}

fn change_xml(change: &Change) -> String {
    let mut xml = "<member><Type>Resource</Type><ResourceChange>".to_owned();
    tag(&mut xml, "Action", change.action);
    tag(&mut xml, "LogicalResourceId", &change.resource);
    tag(&mut xml, "PhysicalResourceId", &change.physical);
    tag(&mut xml, "ResourceType", &change.kind);
    if let Some(replacement) = change.replacement {
        tag(&mut xml, "Replacement", replacement);
        if replacement == "True" {
            tag(&mut xml, "PolicyAction", if change.keeps { "ReplaceAndRetain" } else { "ReplaceAndDelete" });
        }
    }
    if !change.properties.is_empty() {
        xml.push_str("<Scope><member>Properties</member></Scope><Details>");
        for (path, before, after, recreation) in &change.properties {
            xml.push_str("<member><Target><Attribute>Properties</Attribute>");
            tag(&mut xml, "Name", path.trim_start_matches("/Properties/"));
            tag(&mut xml, "Path", path);
            for (name, value) in [("BeforeValue", before), ("AfterValue", after)] {
                if let Some(value) = value {
                    tag(&mut xml, name, value);
                }
            }
            tag(&mut xml, "RequiresRecreation", recreation);
            xml.push_str("</Target><Evaluation>Static</Evaluation></member>");
        }
        xml.push_str("</Details>");
    }
    xml + "</ResourceChange></member>"
}

fn execute_change_set(shared: &Arc<Shared>, form: &Form) -> Answered {
    let id = form.get("ChangeSetName");
    let set = shared.world().change_sets.remove(id);
    let set = set.ok_or_else(|| ("ChangeSetNotFound", format!("ChangeSet [{id}] does not exist")))?;
    tokio::spawn(engine::execute(Arc::clone(shared), set));
    Ok(String::new())
}

/// S3, with the bucket in the path.
pub(super) fn objects(shared: &Shared, head: &Parts, body: &Bytes) -> Response<Full<Bytes>> {
    let path = head.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = head.uri.query().unwrap_or_default();
    let mut world = shared.world();
    let Some(objects) = world.objects.get_mut(bucket) else {
        let body = format!("<Error><Code>NoSuchBucket</Code><Message>{bucket}</Message></Error>");
        return respond(StatusCode::NOT_FOUND, "text/xml", body);
    };
    let (status, body) = if head.method == Method::PUT {
        objects.insert(key.to_owned());
        (StatusCode::OK, String::new())
    } else if head.method == Method::HEAD {
        (if objects.contains(key) { StatusCode::OK } else { StatusCode::NOT_FOUND }, String::new())
    } else if head.method == Method::POST && query.contains("delete") {
        let text = String::from_utf8_lossy(body);
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        for key in keys {
            objects.remove(key);
        }
        (StatusCode::OK, "<DeleteResult></DeleteResult>".to_owned())
    } else {
        let mut versions = String::new();
        for key in objects.iter() {
            versions.push_str("<Version>");
            tag(&mut versions, "Key", key);
            tag(&mut versions, "VersionId", "v1");
            versions.push_str("</Version>");
        }
        (StatusCode::OK, format!("<ListVersionsResult>{versions}</ListVersionsResult>"))
    };
    respond(status, "text/xml", body)
}

fn tag(xml: &mut String, name: &str, value: &str) {
    let _ = write!(xml, "<{name}>{}</{name}>", escaped(value));
}

/// Text as it stands in XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
